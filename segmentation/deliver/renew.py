"""A scheduled run: computed, compared with the last, published, made current, old ones removed.

The new run becomes the current one last of all, together with its line in the history. Whatever
fails before leaves the last one current, so that the next night compares with what readers had.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from segmentation.actions.compare import MOVED
from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import ModelError, OutputError, ParameterError, SourceError
from segmentation.core.guarded_csv import write_plain_csv
from segmentation.core.placing import NewFile
from segmentation.deliver.make_run import make_run
from segmentation.deliver.publish import Published, publish
from segmentation.deliver.run_places import (
    Asked,
    current_of,
    make_current,
    manifest_in,
    prune,
)
from segmentation.run.compare_runs import Compared, compare_folders

HISTORY = ["before", "after", "as_of", "customers", "moved", "verdict", "reasons"]
"""One row a renewal: its ``before`` is the ``after`` of the row above. No customer is named."""
NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Renewed:
    """What a renewal did: the run, what it was compared with, and the runs that were removed."""

    folder: Path
    before: Path | None
    is_new: bool
    compared: Compared | None
    why_not: str
    published: Published | None
    removed: list[str]


def renew(
    asked: Asked,
    *,
    runs_dir: Path,
    name: str,
    keep: int,
    changes: Path | None = None,
    table: str | None = None,
    location: str | None = None,
    reuse: bool = True,
) -> Renewed:
    """Run a profile on its schedule; on the same orders nothing is computed or changed again.

    Parameters
    ----------
    keep : int
        Earlier runs of this name to keep.
    changes : Path, optional
        Folder for the tables of `compare`, the movement of each customer among them.
    table, location : str, optional
        Where to publish, as in `publish`.

    Raises
    ------
    SegmentationError
        In one sentence; the last run is then still the current one.
    """
    if location and not table:
        raise ParameterError("--location: says where to publish; name the table with --mysql.")
    link = runs_dir / name
    before, history = current_of(link), _history(_history_of(link))
    own = make_run(
        asked.profile,
        asked.parameters,
        runs_dir=runs_dir,
        name=name,
        reuse=reuse,
        asked=replace(asked, becomes_current=False),
        again=not reuse,
    )
    is_new = own.name != (before and before.name)
    compared, why_not = None, "" if before else "it is the first run"
    if is_new and before:
        try:
            compared = compare_folders(before, own, output=changes)
        except (SourceError, ModelError) as error:  # of another version: the schedule goes on
            why_not = str(error)
    published = publish(own, table=table, location=location) if table else None
    if is_new:
        row = _row(before, own, compared, why_not)
        _make_current(link, before, own, pd.concat([history, pd.DataFrame([row])]))
    return Renewed(
        folder=link,
        before=before,
        is_new=is_new,
        compared=compared,
        why_not=why_not,
        published=published,
        removed=prune(runs_dir, keep, only=name),
    )


def _row(before: Path | None, own: Path, compared: Compared | None, why_not: str) -> dict[str, str]:
    manifest = manifest_in(own) or {}
    changes = compared.changes if compared else None
    return {
        "before": before.name if before else "",
        "after": own.name,
        "as_of": manifest["as_of"] or "undated",
        "customers": str(manifest["rows"]["customers"]),
        "moved": str(_moved(changes.migration)) if changes else "",
        "verdict": changes.verdict if changes else NOT_COMPARED,
        "reasons": "; ".join(changes.reasons) if changes else why_not,
    }


def _make_current(link: Path, before: Path | None, own: Path, history: pd.DataFrame) -> None:
    """Let the link and the history tell of a run together."""

    def is_still_the_last() -> None:
        if current_of(link) != before:
            raise OutputError(f"{link}: another run became current meanwhile; run it again.")

    place = _history_of(link)
    with scratch_folder(place) as working:
        write_plain_csv(history, working / place.name)
        new = NewFile(working / place.name, place, is_still_the_last)
        make_current(link.parent, own.name, also=[new])


def _history_of(link: Path) -> Path:
    return link.with_name(f"{link.name}.history.csv")


def _moved(migration: pd.DataFrame) -> int:
    return int(migration.loc[migration["movement"] == MOVED, "customers"].sum())


def _history(place: Path) -> pd.DataFrame:
    if not place.exists():
        return pd.DataFrame(columns=HISTORY)
    try:
        history = pd.read_csv(place, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        history = pd.DataFrame()
    if list(history.columns) != HISTORY:
        raise OutputError(f"{place}: is no history of ours, or is damaged; move it elsewhere.")
    return history
