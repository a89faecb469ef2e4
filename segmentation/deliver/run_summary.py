"""A finished run in a few lines, from the files of its folder."""

from __future__ import annotations

import json
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from segmentation.core.columns import format_share
from segmentation.core.errors import SourceError
from segmentation.core.groups import group_labels
from segmentation.core.parameters import load_yaml
from segmentation.core.phrases import shorten
from segmentation.deliver.check import findings_found
from segmentation.deliver.lineage import changes_in
from segmentation.deliver.run_folder import WORKBOOK, stages_sentence
from segmentation.deliver.run_places import manifest_in
from segmentation.segments.model_checks import why_not_exported
from segmentation.segments.own_labels import OWN_LABELS

SLACK_LONGEST = {"header": 150, "section": 3_000}
"""Characters that a block of a Slack message may have (Slack's reference of blocks)."""


def summary(folder: Path, profile: str) -> dict[str, str]:
    """What was read, what came out, how far it can be trusted and what to open, a line each."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    currency = load_yaml(folder / "params.yaml")["currency"]
    rows, amount = manifest["rows"], {n: Decimal(v) for n, v in manifest["amount"].items()}
    aside, less = rows["raw"] - rows["kept"], amount["raw"] - amount["kept"]
    return {
        "customers": f"{rows['customers']:,} with orders that count",
        "money": f"{currency} {amount['kept']:,} of {amount['raw']:,} found",
        "set aside": f"{aside / rows['raw']:.1%} of {rows['raw']:,} lines, {currency} {less:,}",
        "severe findings": _severe(folder),
        "segments": _segments(folder),
        **_own_labels(manifest),
        "trust": _trust(folder),
        "stages": stages_sentence(folder),
        "open": _to_open(folder, profile, manifest.get("command", "")),
    }


def message(folder: Path, form: str) -> str:
    """A finished run for people and programs elsewhere: ``text``, ``json`` or ``slack``.

    Raises
    ------
    SourceError
        If the folder is no run.
    """
    manifest = manifest_in(folder)
    if manifest is None:
        raise SourceError(f"{folder}: is no run's folder (it has no manifest.json of a run).")
    said = summary(folder, manifest["profile"])
    del said["stages"]  # what it cost is for whoever ran it
    title = f"{folder.resolve().name}, observed up to {manifest['as_of'] or 'no known day'}"
    lines = [f"{name}: {text}" for name, text in said.items()]
    if form == "json":
        kept = ("profile", "as_of", "rows", "amount")
        facts = {"run": folder.resolve().name} | {name: manifest[name] for name in kept}
        facts["currency"] = load_yaml(folder / "params.yaml")["currency"]
        columns = ["segment_type", "segment", "customers", "revenue"]
        profile = pd.read_csv(folder / "profile.csv", dtype={"revenue": str})[columns]
        facts |= {"segments": profile.to_dict("records"), "said": said}
        return json.dumps(facts, indent=2, ensure_ascii=False)
    if form == "slack":
        body = "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        texts = {"header": ("plain_text", title), "section": ("mrkdwn", body)}
        blocks = [
            {"type": kind, "text": {"type": how, "text": shorten(text, SLACK_LONGEST[kind])}}
            for kind, (how, text) in texts.items()
        ]
        return json.dumps({"text": title, "blocks": blocks}, ensure_ascii=False)
    return "\n".join([title, *lines])


def _severe(folder: Path) -> str:
    found = findings_found(pd.read_csv(folder / "findings.csv"))
    severe = found[found["severity"] == "severe"] if "severity" in found else found[:0]
    names = ", ".join(dict.fromkeys(severe["finding"]))
    return f"{len(severe)}{f' ({names})' if names else ''}, of {len(found)} in findings.csv"


def _segments(folder: Path) -> str:
    profile = pd.read_csv(folder / "profile.csv")
    kinds = group_labels(profile["segment_type"])
    several = profile["segment_type"].nunique() > 1
    parts = [
        f"{row.segment}{f' ({kinds[row.segment_type]})' if several else ''} {row.customers:,}"
        for row in profile.itertuples()
    ]
    return f"{len(parts)}: {', '.join(parts)}"


def _own_labels(manifest: dict[str, Any]) -> dict[str, str]:
    """How far a model follows labels of the analyst's own, and so whether it is exported."""
    if (labels := manifest.get(OWN_LABELS)) is None:
        return {}
    n, why = labels["customers"], why_not_exported(manifest)
    share = format_share(labels["followed"] / n, n)
    said = f"the nearest segment centre gives {share} of the customers theirs"
    return {"own labels": f"no model is exported: {why}" if why else f"{said}; it is the model"}


def _trust(folder: Path) -> str:
    """The verdict; without one, how many segments hold when customers are drawn again."""
    verdict = folder / "verdict.json"
    if verdict.exists():
        said: Any = json.loads(verdict.read_text(encoding="utf-8"))
        if not isinstance(said, dict):
            return " ".join(str(group["sentence"]) for group in said)
        kinds = group_labels(said)
        sentences = (
            (f"{kinds[kind].capitalize()}: " if len(said) > 1 else "") + str(group["sentence"])
            for kind, group in said.items()
        )
        return " ".join(sentences)
    verdicts = pd.read_csv(folder / "evidence_stability.csv")["verdict"].value_counts()
    counted = ", ".join(f"{number} {word}" for word, number in verdicts.items())
    return f"segments when customers are drawn again: {counted or 'not tested'}"


def _to_open(folder: Path, profile: str, command: str) -> str:
    files = (WORKBOOK, "ledger.csv", "findings.csv")
    there = [name for name in files if (folder / name).exists()]
    report = shlex.join(["segmentation", "report", profile, *changes_in(command)])
    return f"{', '.join(there)}; for a book: {report}"
