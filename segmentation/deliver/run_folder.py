"""A run's folder: everything one execution made, put in place in one step."""

from __future__ import annotations

import contextlib
import filecmp
import json
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from segmentation import __version__
from segmentation.actions.break_even import margin_used, margin_words
from segmentation.actions.messages import one_message
from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import OutputError
from segmentation.core.guarded_csv import write_plain_csv
from segmentation.core.keys import key_of
from segmentation.core.own_folders import MARK, PROCESSED, is_own_file, mark_folder
from segmentation.core.parameter_fields import SHIPPED
from segmentation.core.parameters import PROJECT_ROOT
from segmentation.core.placing import NewFile
from segmentation.core.progress import progress_bar
from segmentation.deliver.check import findings_found
from segmentation.deliver.lineage import command_of, write_lineage
from segmentation.deliver.on_cluster import write_customers
from segmentation.deliver.run_places import Asked, RunPlace
from segmentation.deliver.workbook import write_workbook
from segmentation.evidence.cuts import VALUE
from segmentation.evidence.rankings import SPEND
from segmentation.run.cache import code_fingerprint, package_fingerprint, write_parquet
from segmentation.run.run import Run
from segmentation.run.stages import STAGES
from segmentation.segments.colours import colours_of
from segmentation.segments.model import SegmentModel
from segmentation.segments.names import fact_sentence
from segmentation.segments.own_labels import OWN_LABELS

WORKBOOK = "customer_segmentation_output.xlsx"
WORKBOOK_CSV = "workbook_csv"
SHIPPED_WORKBOOK_PROFILE = "marketplace"
WORKBOOK_STAGES = (
    *("orders", "findings", "segments", "stability", "preferences", "recommendations", "forecast"),
    *("history", "next_steps", "cuts"),
)
"""Stages whose results the workbook is made of."""
PROCESSED_FOLDER = PROJECT_ROOT / "data" / "processed_data"
EVIDENCE_FILES = {
    "stability": "evidence_stability.csv",
    "stability_whole": "evidence_stability_whole.csv",
    "margin_flips": "evidence_margin_flips.csv",
    "starts": "evidence_starts.csv",
    "sensitivity": "evidence_sensitivity.csv",
    "dbscan_evidence": "evidence_dbscan.csv",
    "planted": "evidence_planted_anomalies.csv",
    "anomaly_effect": "evidence_anomaly_effect.csv",
    "rules": "evidence_rules.csv",
    "separation": "evidence_separation.csv",
    "holdout_segments": "evidence_holdout_segments.csv",
    "holdout_rankings": "evidence_holdout_rankings.csv",
    "holdout_curve": "evidence_holdout_curve.csv",
    "holdout_cuts": "evidence_holdout_cuts.csv",
    "holdout_responses": "evidence_holdout_responses.csv",
    "holdout_aa": "evidence_holdout_aa.csv",
    "order_anyway": "order_anyway.csv",
    "order_anyway_before": "evidence_order_anyway.csv",
    "forecast_calibration": "forecast_calibration.csv",
}
PACKAGES = (
    "duckdb",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "sqlglot",
    "xlsxwriter",
)


def compute_stages(run: Run, *, label: str, after: Callable[[str], None] | None = None) -> None:
    """Compute every stage in order, with a progress bar that says what is being done.

    Parameters
    ----------
    after : callable
        Is told the name of each stage as soon as its results are there.
    """
    with progress_bar(list(STAGES.values()), unit="stage", desc=label) as bar:
        for stage in bar:
            bar.set_postfix_str(stage.does)
            run.stage(stage.name)
            if after:
                after(stage.name)


def write_run(run: Run, folder: Path, asked: Asked, *, name: str, place: RunPlace) -> None:
    """Write every file of a run's folder, from stage results.

    Parameters
    ----------
    name : str
        What the run is called: the name of the link to the current one.
    place : RunPlace
        Where the folder goes: what is written names it as readers find it.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    (folder / "params.yaml").write_text(
        yaml.safe_dump(run.parameters.as_plain(), sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )
    for kind, rules in run.rules.items():
        if getattr(run.parameters, kind) != SHIPPED:  # own rules belong to what made the run
            text = yaml.safe_dump(rules, sort_keys=False, allow_unicode=True)
            (folder / f"{kind}.yaml").write_text(text, encoding="utf-8")
    customers_at = "run"
    if run.is_sampled:
        everybody, customers_at = write_customers(run, folder)
        write_plain_csv(everybody, folder / "profile.csv")
    else:
        _write_customers_here(run, folder)
    write_plain_csv(run["ledger"], folder / "ledger.csv")
    write_plain_csv(run["k_evidence"], folder / "tuning_k.csv")
    write_plain_csv(run["tuning_dbscan"], folder / "tuning_dbscan.csv")
    write_plain_csv(run["findings"], folder / "findings.csv")
    write_plain_csv(run["returned_lines"], folder / "returns.csv")
    write_plain_csv(run["special_lines"], folder / "special_lines.csv")
    write_plain_csv(run["returns_migration"], folder / "returns_migration.csv")
    for result, file in EVIDENCE_FILES.items():
        write_plain_csv(run[result], folder / file)
    verdict = json.dumps(run["verdict"], indent=2, ensure_ascii=False)
    (folder / "verdict.json").write_text(verdict + "\n", encoding="utf-8")
    (folder / "model").mkdir()
    _with_forecast(run["model"], run["forecast_facts"]).save(folder / "model")
    made = {"name": name, "folder": place.shown.name, "command": command_of(asked, name)}
    made |= manifest_of(run, asked)
    manifest = json.dumps(made | {"customers_at": customers_at}, indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
    write_lineage(folder, run.parameters)


def _with_forecast(model: SegmentModel, facts: dict[str, Any]) -> SegmentModel:
    """The model as it is served: with what forecasts a customer, or why nobody is forecast."""
    wanted = ("r", "alpha", "a", "b", "outcome_days") if facts["possible"] else ("reason",)
    return replace(model, info=model.info | {"forecast": {name: facts[name] for name in wanted}})


def _write_customers_here(run: Run, folder: Path) -> None:
    """What holds one row per customer, or figures of all of them that need each row."""
    write_parquet(_table(run["features"]), folder / "features.parquet")
    write_parquet(_table(run["segments"]), folder / "segments.parquet")
    if run["forecast_facts"]["possible"]:
        write_parquet(_table(run["forecast"]), folder / "forecast.parquet")
    write_plain_csv(run["profile"], folder / "profile.csv")
    for name in ("movement", "retention"):
        write_plain_csv(run[name], folder / f"{name}.csv")
    for name in ("recommendations", "campaign_plan", "campaign_arms", "call_first", "slipping"):
        write_plain_csv(run[name], folder / f"{name}.csv")
    _put_workbook(run, folder)


def _table(frame: pd.DataFrame) -> pa.Table:
    """Arrow table with text ids and without machine-dependent metadata."""
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


_SAID = ("gross_margin", "contact_cost", "outcome_days")
"""Parameters that decide what pays and is forecast, for whoever reads the workbook alone."""


def _put_workbook(run: Run, folder: Path) -> None:
    """The workbook and its CSV twins: from memory where all that decides them is the same."""
    key = key_of(
        [run.key(stage) for stage in WORKBOOK_STAGES],
        run.parameters.currency,
        [getattr(run.parameters, name) for name in _SAID],
        package_fingerprint(),
        [metadata.version(name) for name in PACKAGES],
    )
    made = run.cache.get_or_compute("workbook", key, lambda working: _write_workbook(run, working))
    shutil.copyfile(made / WORKBOOK, folder / WORKBOOK)
    shutil.copytree(made / WORKBOOK_CSV, folder / WORKBOOK_CSV)


def _write_workbook(run: Run, folder: Path) -> None:
    facts = run["facts"]
    currency = run.parameters.currency
    csv_folder = folder / WORKBOOK_CSV
    csv_folder.mkdir()
    sentences = [fact_sentence(fact, currency=currency) for _, fact in facts.iterrows()]
    write_workbook(
        folder / WORKBOOK,
        segments=run["segments"],
        customers=_with_place(
            _with_forecasts(
                _with_arms(_with_last_order(run["customers"], run["overview"]["as_of"]), run),
                run["forecast"] if run["forecast_facts"]["possible"] else None,
            ),
            run["holdout_cuts"],
        ),
        profile=_with_stability(run["profile"], run["stability"]),
        ledger=run["ledger"],
        facts=facts[["segment_type", "cluster", "segment", "true_of"]].assign(fact=sentences),
        recommendations=run["recommendations"],
        campaign=run["campaign_plan"],
        findings=findings_found(run["findings"]),
        colours=colours_of(run["profile"], run.rules["naming_rules"]),
        next_steps={name: run[name] for name in ("call_first", "slipping")},
        no_history=run["no_history"],
        overview=run["overview"]
        | {name: getattr(run.parameters, name) for name in ("currency", *_SAID)}
        | {
            "gross_margin": margin_used(run.parameters.gross_margin, run["margins"]),
            "margin_is": margin_words(run.parameters.gross_margin, run["margins"]),
        },
        currency=currency,
        csv_folder=csv_folder,
    )


def _with_last_order(customers: pd.DataFrame, as_of: str | None) -> pd.DataFrame:
    """Customers with the day of their last order; unchanged where no day is known."""
    if not as_of or "recency" not in customers:
        return customers
    days = pd.to_timedelta(customers["recency"], unit="D")
    return customers.assign(last_order=(pd.Timestamp(as_of) - days).astype("datetime64[s]"))


def _with_arms(customers: pd.DataFrame, run: Run) -> pd.DataFrame:
    """Customers with the arm of their segment's campaign, and what each gets; empty where nothing."""
    arms = run["campaign_arms"]
    arm = customers["customer_id"].map(arms.set_index("customer_id")["arm"]).astype(object)
    return customers.assign(
        campaign_arm=arm.where(arm.notna(), None),
        message=one_message(customers, arms, run["call_first"], run["slipping"]),
    )


def _with_place(customers: pd.DataFrame, cuts: pd.DataFrame) -> pd.DataFrame:
    """Customers with their place among all by spend, or by expected value if that found more before."""
    found = cuts.groupby("ranking")["revenue_share"].mean()
    by_value = "expected_value" in customers and found.get(VALUE, 0.0) > found.get(SPEND, 0.0)
    name, by = (
        ("place_by_value", "expected_value") if by_value else ("place_by_spend", "total_spent")
    )
    place = customers[by].astype(float).rank(method="min", ascending=False)
    return customers.assign(**{name: place.astype("Int64")})


def _with_forecasts(customers: pd.DataFrame, forecast: pd.DataFrame | None) -> pd.DataFrame:
    """Customers with what is to be expected of each; unchanged where forecasts are withheld."""
    if forecast is None:
        return customers
    names = ["chance", "expected_orders", "expected_value"]
    found = forecast.set_index("customer_id")[names].reindex(customers["customer_id"])
    return customers.assign(**{name: found[name].to_numpy() for name in names})


def _with_stability(profile: pd.DataFrame, stability: pd.DataFrame) -> pd.DataFrame:
    """Profile with the verdict of resampling beside each segment."""
    keys = ["segment_type", "cluster"]
    verdicts = stability[[*keys, "jaccard", "verdict"]].rename(columns={"verdict": "stability"})
    joined = profile.merge(verdicts.astype({"cluster": "int64"}), on=keys, how="left")
    joined["jaccard"] = joined["jaccard"].astype("float64")
    joined["stability"] = joined["stability"].fillna("not tested")
    first = [*keys, "segment", "customers", "stability", "jaccard"]
    return joined[[*first, *(name for name in profile.columns if name not in first)]]


def manifest_of(run: Run, asked: Asked) -> dict[str, Any]:
    """What made this run: versions, input hashes, seed, row counts, cost of each stage."""
    costs = []
    for stage in STAGES:
        cost = json.loads((run.stage(stage) / "cost.json").read_text(encoding="utf-8"))
        costs.append({"stage": stage, "key": run.key(stage), "reused": run.reused[stage]} | cost)
    ledger, info = run["ledger"].set_index("rule"), run["model"].info
    return {
        "profile": asked.profile,
        "profile_place": asked.place or asked.profile,
        "changed": asked.changed,
        "program": {"segmentation": __version__, "code": code_fingerprint()},
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "inputs": run.snapshot.inputs,
        "database": run["overview"]["database"],
        "synthetic": run["overview"]["synthetic"],
        "seed": run.parameters.random_state,
        "as_of": run["overview"]["as_of"],
        "time_zone": run.parameters.time_zone,
        "rows": {
            "raw": int(ledger.at["raw", "rows"]),
            "kept": int(ledger.at["kept", "rows"]),
            "customers": run["overview"]["customers"],
            "fitted_on": len(run["segments"]),
        },
        "amount": {
            "raw": _exact(ledger.at["raw", "amount"]),
            "kept": _exact(ledger.at["kept", "amount"]),
        },
        **{name: info[name] for name in (OWN_LABELS,) if name in info},
        "forecast": run["forecast_facts"],
        "stages": costs,
    }


def stages_sentence(folder: Path) -> str:
    """Which stages of a finished run were computed, with seconds, and which reused."""
    stages = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["stages"]
    computed = [f"{s['stage']} {s['seconds']:.1f} s" for s in stages if not s["reused"]]
    reused = [s["stage"] for s in stages if s["reused"]]
    said = [f"computed {', '.join(computed)}"] if computed else []
    said += [f"reused {', '.join(reused)}"] if reused else []
    return "; ".join(said)


def _exact(amount: Decimal) -> str:
    return f"{amount:f}"


def check_processed_workbook(runs_dir: Path) -> None:
    """Refuse to replace a workbook in ``data/processed_data`` that was changed there.

    Raises
    ------
    OutputError
        In one sentence.
    """
    there, earlier = PROCESSED_FOLDER / WORKBOOK, runs_dir / SHIPPED_WORKBOOK_PROFILE / WORKBOOK
    if not there.exists() or is_own_file(there):
        return
    if not (earlier.is_file() and filecmp.cmp(there, earlier, shallow=False)):
        raise OutputError(
            f"{there}: was changed since this program wrote it; move it elsewhere and run again."
        )


@contextlib.contextmanager
def copy_for_processed(folder: Path, runs_dir: Path) -> Iterator[list[NewFile]]:
    """A run's workbook, ready to go to ``data/processed_data`` (the shipped marketplace's does)."""
    PROCESSED_FOLDER.mkdir(parents=True, exist_ok=True)
    with scratch_folder(PROCESSED_FOLDER / WORKBOOK) as working:
        shutil.copyfile(folder / WORKBOOK, working / WORKBOOK)
        mark_folder(working, PROCESSED)
        ask = partial(check_processed_workbook, runs_dir)
        yield [NewFile(working / name, PROCESSED_FOLDER / name, ask) for name in (WORKBOOK, MARK)]
