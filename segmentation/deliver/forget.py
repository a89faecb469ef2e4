"""Customers who asked to be forgotten, taken out of everything that runs keep of them.

What a run counted of all its customers (ledger, evidence, pages) stays as of its time. Rows of
single customers go: from tables, lists, the workbook and the model. A run is rewritten and not
computed again, because what it was made of may be gone.
"""

from __future__ import annotations

import csv
import json
import os
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.spatial import cKDTree

from segmentation.core.atomic import (
    atomic_path,
    remove_leftovers,
    scratch_folder,
    swap_folder,
    write_text_atomic,
)
from segmentation.core.errors import OutputError, ParameterError, SegmentationError, first_three
from segmentation.core.guarded_csv import write_plain_csv
from segmentation.core.own_folders import (
    PROCESSED,
    RUN,
    foreign_in,
    is_own_file,
    mark_folder,
    marked_files,
)
from segmentation.core.placing import opened
from segmentation.deliver.customer_rows import ID, find_customers, forms_of
from segmentation.deliver.run_folder import PROCESSED_FOLDER, SHIPPED_WORKBOOK_PROFILE, WORKBOOK
from segmentation.orders.customer_ids import cleaned
from segmentation.run.cache_bounds import clean_runs
from segmentation.segments.model import GroupModel, load_model
from segmentation.segments.table import profile
from segmentation.sources.forgotten import LIST, held, read_list, write_list

NOT_REACHED = (
    "not reached, for you to see to: the source itself, files sent or copied elsewhere (lists, "
    "score, compare, reduced models), tables in databases (publish, materialize) and on clusters, the pages of "
    "books, whose sums and pictures are of their time, and what git keeps."
)
FINDINGS = "findings.csv"
_SAME_ROW = 1e-9
"""Core points are customers' prepared rows, to the last digits."""


@dataclass
class Done:
    """What was removed, for the sentences of the command."""

    on_list: int = 0
    runs: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def read_ids(path: Path) -> list[str]:
    """Customers' ids of a text file, one a line, each as it stands there.

    Raises
    ------
    ParameterError
        If the file cannot be read as UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"--from-file {path}: cannot be read ({type(error).__name__}); give a text file in "
            "UTF-8 with one customer id a line."
        ) from None
    return [line for line in text.split("\n") if line]


def forget(runs_dir: Path, customers: Iterable[str]) -> Done:
    """Put customers on the list, then remove them from every run and empty the cache.

    The list comes first: what is interrupted leaves nobody out of it, and is completed by
    asking again.

    Raises
    ------
    ParameterError
        If there is no such folder, or an id is empty.
    OutputError
        If a run or report is at work, or files could not be rewritten; names them.
    """
    given = list(dict.fromkeys(customers))
    wanted = _in_both_forms(given)
    if not all(each.strip() for each in wanted):
        raise ParameterError("forget: an id is empty; give customers' ids as the source has them.")
    if not runs_dir.is_dir():
        raise ParameterError(f"--runs-dir {runs_dir}: is no folder; give the folder of runs.")
    done, found, failed = Done(), set[str](), list[str]()
    forms = forms_of(wanted)
    with held(runs_dir, alone=True):
        listed = read_list(runs_dir)
        if not listed.salt:
            listed = replace(listed, salt=secrets.token_hex(16))
        listed = listed.with_customers(wanted)
        write_list(runs_dir, listed)
        done.on_list = len(listed)
        _settle(runs_dir)
        for folder in sorted(_runs_below(runs_dir)):
            try:
                here, said = _remove_from_run(folder, forms)
            except (SegmentationError, OSError, ValueError, csv.Error, zipfile.BadZipFile) as error:
                failed.append(f"{folder} ({type(error).__name__})")
                continue
            found |= here
            done.runs += [f"{folder.relative_to(runs_dir)}: {said}"] if here else []
        # another list gives other keys: nothing there would be used again
        in_use = clean_runs(runs_dir, everything=True).in_use
    failed += [f"{in_use:,} results in the cache (in use)"] if in_use else []
    if failed:
        raise OutputError(
            f"on the list, but not everywhere removed: {first_three(failed)}; close what is open, "
            "delete or mend what is damaged, then forget again."
        )
    done.unknown = [each for each in given if found.isdisjoint(_in_both_forms([each]))]
    return done


def _in_both_forms(customers: Iterable[str]) -> list[str]:
    """Ids as the source has them and as runs publish them, each once."""
    given = list(customers)
    return list(dict.fromkeys(one for each in given for one in (each, cleaned(each) or each)))


def allow(runs_dir: Path, customers: Iterable[str]) -> int:
    """Take customers off the list again; the next run reads them.

    Returns
    -------
    int
        How many stay on the list.

    Raises
    ------
    ParameterError
        If one is not on it; nobody is taken off then.
    """
    wanted = set(_in_both_forms(customers))
    with held(runs_dir, alone=True):
        listed = read_list(runs_dir)
        absent = sorted(each for each in wanted if listed.hash_of(each) not in listed.hashes)
        if absent:
            raise ParameterError(
                f"--allow: {len(absent)} customer(s) are not on the list: {first_three(absent)}."
            )
        left = listed.hashes - {listed.hash_of(each) for each in wanted}
        write_list(runs_dir, replace(listed, hashes=left))
        return len(left)


def command(
    runs_dir: Path,
    customers: Sequence[str],
    *,
    from_file: Path | None,
    is_asked: bool,
    allowed: Sequence[str],
) -> list[str]:
    """What ``segmentation forget`` does, and the lines that it prints.

    Raises
    ------
    ParameterError
        If nothing is asked, or several things at once.
    """
    wanted = [*customers, *(read_ids(from_file) if from_file else ())]
    if sum(map(bool, (wanted or from_file, is_asked, allowed))) != 1:
        raise ParameterError("forget: give customers (or --from-file), or --list, or --allow.")
    if is_asked:
        return [f"{len(read_list(runs_dir)):,} customer(s) on the list: {runs_dir / LIST}"]
    if allowed:
        left = allow(runs_dir, allowed)
        return [f"{len(allowed):,} customer(s) taken off the list, {left:,} stay on it"]
    if not wanted:
        raise ParameterError(f"--from-file {from_file}: holds no id; write one a line.")
    done = forget(runs_dir, wanted)
    unknown = [
        f"{len(done.unknown):,} of {len(set(wanted)):,} stand in no run ({first_three(done.unknown)}"
        "); they are on the list all the same."
    ]
    on_list = f"{done.on_list:,} customer(s) on the list: {runs_dir / LIST}"
    return [*done.runs, *(unknown if done.unknown else ()), on_list, NOT_REACHED]


def _settle(runs_dir: Path) -> None:
    """Clear up after processes that were killed: what they left holds customers too."""
    with opened(runs_dir):
        for path in runs_dir.glob(".*.tmp"):
            remove_leftovers(runs_dir / path.name[1:].removesuffix(".tmp").rsplit(".", 1)[0])


def _runs_below(runs_dir: Path) -> Iterator[Path]:
    """Folders that a run made, whatever they are called; links lead to such a folder."""
    for parent, folders, _ in os.walk(runs_dir):
        if _is_run(Path(parent)):
            folders.clear()
            yield Path(parent)


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("manifest.json", "params.yaml"))


def _remove_from_run(folder: Path, forms: dict[str, str]) -> tuple[set[str], str]:
    """Remove customers from one run; whom it held, and what was done in words."""
    here = _named_in_examples(folder / FINDINGS, forms)
    files = []
    for path in sorted(folder.rglob("*")):
        if found := find_customers(path, forms):
            files.append(path.relative_to(folder))
            here |= found
    if not here:
        return here, ""
    count = len({cleaned(each) or each for each in here})
    said = f"{count:,} customer(s) removed from {len(files)} file(s)"
    with scratch_folder(folder) as working:
        shutil.copytree(folder, working, symlinks=True, dirs_exist_ok=True)
        for name in files:
            _rewrite(working / name, forms)
            # Spark's own checksum of a file, of which it would refuse another content
            (working / name).with_name(f".{name.name}.crc").unlink(missing_ok=True)
        _describe_others(working)
        _without_examples(working / FINDINGS, here)
        if (working / "model").is_dir():
            said += _remove_from_model(folder, working / "model", here)
        if (working / "notebooks").is_dir():
            shutil.rmtree(working / "notebooks")  # their pictures have a point per customer
            said += "; its executed notebooks deleted"
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        manifest["forgotten"] = manifest.get("forgotten", 0) + count
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        write_text_atomic(working / "manifest.json", text + "\n")
        own = marked_files(folder, RUN)
        if own is not None:  # what a person put there stays a person's
            mark_folder(working, RUN, leave_out=foreign_in(folder, own))
        swap_folder(working, folder)
    copied = PROCESSED_FOLDER / WORKBOOK
    if manifest["profile"] == SHIPPED_WORKBOOK_PROFILE and find_customers(copied, forms):
        is_own = is_own_file(copied)
        _rewrite(copied, forms)
        if is_own:
            others = {path.name for path in copied.parent.iterdir()} - {WORKBOOK}
            mark_folder(copied.parent, PROCESSED, leave_out=others)
    return here, said


def _rewrite(path: Path, forms: dict[str, str]) -> None:
    with atomic_path(path) as temporary:
        find_customers(path, forms, temporary)


def _named_in_examples(path: Path, forms: dict[str, str]) -> set[str]:
    """Whom the examples or facts of the findings name, or an order whose id holds theirs."""
    if not path.is_file():
        return set()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    texts = [text for name in ("examples", "facts") if name in table for text in table[name]]
    words = {word for text in texts for word in re.split(r"[\s,:'\"\[\]{}]+", text)}
    return {customer for form, customer in forms.items() if form in words - {""}}


def _without_examples(path: Path, here: set[str]) -> None:
    """Leave the examples of all findings out: an order's id may name its customer."""

    def without(text: str) -> str:
        facts = json.loads(text)
        if not {*facts.get("perhaps", ())} & here:
            return text
        kept = [one for one in facts["perhaps"] if one not in here]
        return json.dumps(facts | {"perhaps": kept})

    if path.is_file():
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if "examples" in table:
            table["facts"] = table["facts"].map(without)
            write_plain_csv(table.assign(examples=""), path)


def _describe_others(folder: Path) -> None:
    """Count ``profile.csv`` of the customers who are left: `compare` checks it against them."""
    path = folder / "profile.csv"
    counted = pd.read_csv(path, dtype={"revenue": str})
    scale = max(len(text.partition(".")[2]) for text in counted["revenue"])
    means = [name for name in counted.columns if name.endswith("_mean")]
    features = pq.read_table(folder / "features.parquet").to_pandas()
    segments = pq.read_table(folder / "segments.parquet", columns=[ID, "cluster", "segment"])
    customers = features.merge(segments.to_pandas(), on=ID, validate="one_to_one")
    if len(customers):
        names = tuple(name.removesuffix("_mean") for name in means)
        counted = profile(customers, names, amount_scale=scale)
    write_plain_csv(counted.head(len(customers)), path)


def _remove_from_model(folder: Path, model_folder: Path, customers: set[str]) -> str:
    """Take the rows of customers out of a model's core points, and say what that changes."""
    model = load_model(model_folder)
    names = [ID, "segment_type", *model.features]
    table = pq.read_table(folder / "features.parquet", columns=names).to_pandas()
    gone, groups, dropped, changed = table[ID].isin(customers), {}, 0, 0
    for kind, group in model.groups.items():
        own = table["segment_type"] == kind
        columns = list(group.preparation.features)
        values = table.loc[own, columns].to_numpy(dtype=np.float64)
        rows = group.preparation.for_flags(values, group.preparation.apply(values))
        theirs = gone[own].to_numpy()
        groups[kind] = _without_rows(group, rows[theirs], rows[~theirs])
        dropped += len(group.core_points) - len(groups[kind].core_points)
        flags = [each.is_anomaly(rows[~theirs])[0] for each in (group, groups[kind])]
        changed += int((flags[0] != flags[1]).sum())
    if not dropped:
        return ""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in model_folder.iterdir()}
    replace(model, groups=groups, sha256="").save(model_folder)
    for name, mode in modes.items():
        (model_folder / name).chmod(mode)
    return (
        f"; the model has {dropped:,} core point(s) less and another checksum, and flags "
        f"{changed:,} of the {int((~gone).sum()):,} other customers differently from now on"
    )


def _without_rows(group: GroupModel, gone: np.ndarray, others: np.ndarray) -> GroupModel:
    """A group without the core points that are rows of customers who are gone only."""
    points = group.core_points
    if not len(points) or not len(gone) or not points.shape[1]:
        return group
    distance, at = cKDTree(points).query(gone)
    mine = np.unique(at[distance <= _SAME_ROW])
    if len(mine) and len(others):
        shared, by = cKDTree(points[mine]).query(others)
        mine = np.delete(mine, np.unique(by[shared <= _SAME_ROW]))
    left = np.delete(points, mine, axis=0)
    # no core point left: nobody is unusual, where else everybody would be
    return replace(group, core_points=left, eps=group.eps if len(left) else 0.0)
