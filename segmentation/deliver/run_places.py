"""Where runs are: each in a folder of its own, and a link that names the current one.

``runs/cdnow.1a2b3c4d`` is one run for ever: the digits are made of everything that decides
it, so the same run lands in the same folder. ``runs/cdnow`` is a link to the current one,
and what readers use.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import OutputError, ParameterError, in_one_sentence
from segmentation.core.keys import key_of
from segmentation.core.own_folders import RUN, foreign_in, is_own, marked_files, refuse_listed
from segmentation.core.parameters import (
    PATHS,
    Parameters,
    parameters_from,
    profile_title,
    profile_values,
    resolve,
)
from segmentation.core.placing import (
    NewFile,
    NewFolder,
    NewLink,
    finish_what_was_begun,
    opened,
    put_in_place,
)
from segmentation.run.cache import package_fingerprint
from segmentation.run.run import Run
from segmentation.run.stages import STAGES

MANIFEST = "manifest.json"
OTHER_NAME = "choose another --name or --runs-dir"
OWN_NAME = re.compile(r"(?P<name>.+)\.[0-9a-f]{8}")
_EARLIER_FILES = re.compile(
    r"(manifest\.json|params\.yaml|naming_rules\.yaml|plays\.yaml"
    r"|customer_segmentation_output\.xlsx|workbook_csv/[^/]+\.csv"
    r"|(ledger|profile|tuning_k|tuning_dbscan|findings|returns|special_lines|returns_migration"
    r"|recommendations|campaign_plan|campaign_arms|evidence_[a-z_]+)\.csv"
    r"|(features|segments)\.parquet(/[^/]+)?|model/(model\.json|core_points\.npz)"
    r"|notebooks/\d\d_\w+\.ipynb)"
)
"""What runs of versions without a mark consist of."""


@dataclass(frozen=True)
class Asked:
    """What somebody asks to run, and whether it is to be the current run of its name.

    Parameters
    ----------
    place : str
        Where the profile is, seen from the folder of runs; the name of a shipped one.
    title : str
        What the profile calls its part of the book.
    changed : mapping
        Each parameter that was given another value, with the profile's and the run's.
    is_experiment : bool
        Whether parameters were given besides the profile's.
    """

    profile: str
    parameters: Parameters
    place: str = ""
    title: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)
    is_experiment: bool = False
    becomes_current: bool = True


def ask(
    profile: str,
    file: Path | None,
    overrides: dict[str, Any],
    *,
    runs_dir: Path,
    make_current: bool,
) -> Asked:
    """What the command line asks for, checked."""
    name, parameters = resolve(profile, file=file, overrides=overrides)
    own = parameters_from(profile_values(profile)[1]).as_plain()
    now = parameters.as_plain()
    is_experiment = bool(file or overrides)
    place = name
    if profile != name:  # the path of a file: a link to it is the same profile
        place = os.path.relpath(os.path.realpath(profile), os.path.realpath(runs_dir))
    return Asked(
        profile=name,
        parameters=parameters,
        place=place,
        title=profile_title(profile),
        changed={n: {"profile": own[n], "run": now[n]} for n in now if now[n] != own[n]},
        is_experiment=is_experiment,
        becomes_current=make_current or not is_experiment,
    )


@dataclass(frozen=True)
class RunPlace:
    """Where one run goes."""

    own: Path
    link: Path
    becomes_current: bool

    @property
    def shown(self) -> Path:
        """What readers use: the link of the current run, else the run's own folder."""
        return self.link if self.becomes_current else self.own

    def outputs(self, working: Path) -> list[NewFolder | NewLink]:
        """What takes its place: the run's own folder, and the link."""
        like = self.own if self.own.exists() else self.link
        found: list[NewFolder | NewLink] = [NewFolder(working, self.own, RUN, OTHER_NAME, like)]
        if self.becomes_current:
            aside = _name_of_earlier(self.link) if _is_plain(self.link) else ""
            found.append(NewLink(self.own.name, self.link, aside))
        return found


def check_name(link: Path, asked: Asked) -> None:
    """Refuse a name that a folder of somebody's has, or another profile's run.

    Raises
    ------
    OutputError
        In one sentence.
    """
    if OWN_NAME.fullmatch(link.name):
        raise ParameterError(
            f"--name {link.name!r}: ends like a run's own folder; leave out the last eight digits."
        )
    if link.name == "_build":
        raise ParameterError("--name '_build': that is where the book goes; choose another.")
    if not os.path.lexists(link):
        return
    if link.is_symlink():
        if not is_link_of_ours(link):
            raise OutputError(f"{link}: is a link that this program did not make; {OTHER_NAME}.")
    elif not link.is_dir():
        raise OutputError(f"{link}: a file of that name is in the way; {OTHER_NAME}.")
    elif manifest_in(link) is None:
        raise OutputError(
            f"{link}: is there already and is no run that this program made; move it elsewhere, "
            f"or {OTHER_NAME}."
        )
    elif asked.becomes_current:
        refuse_listed(link, foreign_in(link, files_of(link)), OTHER_NAME)
    manifest = manifest_in(link) or {}
    profile = manifest.get("profile", asked.profile)
    place = manifest.get("profile_place") or asked.place
    if (profile, place) != (asked.profile, asked.place or place):
        shown = profile if profile != asked.profile else place
        raise OutputError(
            f"{link}: holds runs of another profile, {shown}; give this run a --name of its own."
        )


def place_of(run: Run, link: Path, asked: Asked) -> RunPlace:
    """Where a run goes, by everything that decides it; what is there may be replaced.

    Raises
    ------
    OutputError
        If its own folder holds what a person put there.
    """
    plain = {n: value for n, value in asked.parameters.as_plain().items() if n not in PATHS}
    keys = [run.key(stage) for stage in STAGES]
    key = key_of(keys, plain, package_fingerprint(), asked.profile)[:8]
    place = RunPlace(link.with_name(f"{link.name}.{key}"), link, asked.becomes_current)
    NewFolder(place.own, place.own, RUN, OTHER_NAME).check()
    return place


def keep_notebooks(own: Path, working: Path) -> None:
    """What a report of the very same run executed stays with it."""
    if (own / "notebooks").is_dir() and not (working / "notebooks").exists():
        shutil.copytree(own / "notebooks", working / "notebooks")


def run_scratch(runs_dir: Path, name: str) -> Any:
    """A hidden folder to make a run in, whichever folder it then goes to."""
    return scratch_folder(Path(os.path.realpath(runs_dir)) / name, follow=False)


def manifest_in(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run; None where a folder holds no readable one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return manifest if manifest["stages"] and manifest["profile"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def files_of(folder: Path) -> Mapping[str, str | None]:
    """Files that belong to a run: by its mark, or by name where an earlier version made it."""
    marked = marked_files(folder, RUN)
    if marked is not None:
        return marked
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {name: None for name in names if _EARLIER_FILES.fullmatch(name)}


def is_link_of_ours(link: Path) -> bool:
    """Whether a link names an own folder of its name beside it."""
    found = OWN_NAME.fullmatch(str(link.readlink())) if link.is_symlink() else None
    return found is not None and found["name"] == link.name


def own_folders_in(runs_dir: Path) -> list[Path]:
    """Every run: own folders, and plain ones of earlier versions."""
    if not runs_dir.is_dir():
        return []
    found = [path for path in sorted(runs_dir.iterdir()) if _is_plain(path)]
    return [path for path in found if not path.name.startswith(".") and manifest_in(path)]


def runs_listed(runs_dir: Path) -> list[dict[str, str]]:
    """One row for each run: what it is of, what was changed, how large it is, when made."""
    return [_described(path) for path in own_folders_in(runs_dir)]


def _described(folder: Path) -> dict[str, str]:
    manifest = manifest_in(folder) or {}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    made = datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, tz=UTC)
    changed = (f"{n} {v['run']}" for n, v in manifest.get("changed", {}).items())
    return {
        "run": folder.name,
        "current": "yes" if is_current(folder) else "",
        "profile": manifest.get("profile_place") or str(manifest["profile"]),
        "changed": ", ".join(changed),
        "customers": f"{manifest['rows']['customers']:,}",
        "as_of": str(manifest["as_of"] or "undated"),
        "made (UTC)": made.strftime("%Y-%m-%d %H:%M"),
        "size": f"{size / 1e6:,.1f} MB",
    }


def is_current(folder: Path) -> bool:
    """Whether a run is the current one of its name; a plain folder always is."""
    found = OWN_NAME.fullmatch(folder.name)
    if not found:
        return True
    link = folder.with_name(found["name"])
    return link.is_symlink() and str(link.readlink()) == folder.name


def current_of(link: Path) -> Path | None:
    """Own folder of the current run of a name, whole as it was made; None before the first."""
    if link.is_symlink():
        return link.with_name(str(link.readlink())) if link.exists() else None
    return link if manifest_in(link) else None


def make_current(runs_dir: Path, run: str, also: Sequence[NewFile] = ()) -> Path:
    """Let the link of a run's name point to it.

    Parameters
    ----------
    run : str
        An own folder: its name in the folder of runs, or its path.
    also : sequence of NewFile
        What takes its place together with the link.

    Returns
    -------
    Path
        The link.

    Raises
    ------
    ParameterError, OutputError
        If there is no such run, or it is not as it was made.
    """
    folder = runs_dir / Path(run).name
    found = OWN_NAME.fullmatch(folder.name)
    if found is None or manifest_in(folder) is None:
        known = ", ".join(path.name for path in own_folders_in(runs_dir)) or "none"
        raise ParameterError(f"--make-current {run}: is no run of {runs_dir}; there are {known}.")
    marked = marked_files(folder, RUN) or {}
    missing = [name for name in marked if not (folder / name).is_file()]
    damaged = [name for name in foreign_in(folder, files_of(folder)) if name in marked]
    if lost := [*missing, *damaged]:
        raise OutputError(f"{folder}: is not as it was made ({lost[0]}); run it again.")
    link = folder.with_name(found["name"])
    manifest = manifest_in(folder) or {}
    asked = Asked(manifest["profile"], Parameters(), manifest.get("profile_place", ""))
    check_name(link, asked)
    aside = _name_of_earlier(link) if _is_plain(link) else ""
    put_in_place(runs_dir, [NewLink(folder.name, link, aside), *also])
    return link


def prune(runs_dir: Path, keep: int, *, only: str | None = None) -> list[str]:
    """Remove old runs: of each name (or one) all but the newest ``keep`` that are not current.

    A run that holds anything foreign stays.

    Returns
    -------
    list of str
        Names of the folders removed.
    """
    removed = []
    with opened(runs_dir):
        by_name: dict[str, list[Path]] = {}
        for folder in own_folders_in(runs_dir):
            found = OWN_NAME.fullmatch(folder.name)
            if found and only in (None, found["name"]) and not is_current(folder):
                by_name.setdefault(found["name"], []).append(folder)
        for name, folders in by_name.items():
            folders.sort(key=lambda path: ((path / MANIFEST).stat().st_mtime_ns, path.name))
            for folder in folders[: max(0, len(folders) - keep)]:
                if is_own(folder, RUN):
                    with run_scratch(runs_dir, name) as gone:
                        folder.rename(gone)
                    removed.append(folder.name)
    return removed


def _is_plain(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _name_of_earlier(folder: Path) -> str:
    """Own name of a run that has none yet."""
    text = (folder / MANIFEST).read_bytes()
    return f"{folder.name}.{hashlib.sha256(text).hexdigest()[:8]}"


def make_folder(folder: Path) -> None:
    """The folder of runs, made where it is not there, and what a killed command began ended.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or in_one_sentence(error)
        raise OutputError(
            f"--runs-dir {folder}: cannot be made ({reason}); choose another folder."
        ) from None
    finish_what_was_begun(folder)
