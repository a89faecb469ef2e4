"""Values of parameters from profiles, files and the command line, checked and completed.

An unknown or out-of-range parameter is an error, never a warning.
"""

from __future__ import annotations

import datetime as dt
import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import ValidationError

from segmentation.core.columns import SHIPPED_FEATURES
from segmentation.core.errors import ParameterError, first_three
from segmentation.core.parameter_fields import (
    FILES,
    PATHS,
    Parameters,
)
from segmentation.core.yaml_text import read_yaml, read_yaml_file

if TYPE_CHECKING:  # `segmentation serve` reads parameters, but no table
    import pandas as pd

PROJECT_ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK_FOLDER = PROJECT_ROOT / "notebooks"
PROFILE_FOLDER = NOTEBOOK_FOLDER / "params"
SHIPPED_PROFILES = ("cdnow", "online_retail", "marketplace")


def parameters_from(values: dict[str, Any], *, origin: str = "parameters") -> Parameters:
    """Check a set of values and complete it with defaults.

    Parameters
    ----------
    values : dict
        Parameter name to value, as YAML gives them.
    origin : str
        Where the values came from, for the error sentence.

    Raises
    ------
    ParameterError
        Names each wrong parameter and what would be accepted.

    Examples
    --------
    >>> parameters_from({"n_clusters": 4}).n_clusters
    4
    >>> parameters_from({"n_cluster": 4})
    Traceback (most recent call last):
    segmentation.core.errors.ParameterError: parameters: unknown parameter n_cluster (did you mean n_clusters?); `segmentation params` lists all.
    """
    unknown = [name for name in values if name not in Parameters.model_fields]
    if unknown:
        hints = [_with_suggestion(str(name)) for name in unknown]
        raise ParameterError(
            f"{origin}: unknown parameter {first_three(hints)}; `segmentation params` lists all."
        )
    try:
        return Parameters(**values)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        reasons = [item["msg"] for item in error.errors() if item["loc"][0] == name]
        custom = [r.removeprefix("Value error, ") for r in reasons if r.startswith("Value error")]
        said = f" ({custom[0]})" if custom else ""
        raise ParameterError(
            f"{origin}: {name} is {_shown(values[name])}, "
            f"accepted is {accepted_values(name)}{said}."
        ) from None


def _shown(value: Any) -> str:
    text = repr(value)
    if "://" in text:  # a URL may carry a password: never repeat it
        text = re.sub(r"://.*(?=['\"])", "://…", text, flags=re.S)
    return text if len(text) <= 60 else text[:57] + "…"


def _with_suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, Parameters.model_fields, n=1)
    return f"{name} (did you mean {close[0]}?)" if close else name


def accepted_values(name: str) -> str:
    """What a parameter accepts, in words.

    Examples
    --------
    >>> accepted_values("k_max"), accepted_values("returns")
    ('a whole number from 2 to 50', 'exclude or net')
    >>> accepted_values("dbscan_eps"), accepted_values("contact_cost")
    ('a number above 0, or auto', 'a number from 0')
    """
    field = Parameters.model_fields[name]
    choices = _literals(field.annotation)
    kinds = _kinds(field.annotation)
    bounds = _bounds([*field.metadata, *_nested_metadata(field.annotation)])
    words = []
    if bool in kinds:
        words.append("true or false")
    elif int in kinds:
        words.append(f"a whole number from {bounds['ge']} to {bounds['le']}")
    elif float in kinds:
        low = f"above {bounds['gt']}" if "gt" in bounds else f"from {bounds['ge']}"
        high = f" and below {bounds['lt']}" if "lt" in bounds else ""
        high = f" and up to {bounds['le']}" if "le" in bounds else high
        words.append(f"a number {low}{high}")
    elif dt.date in kinds:
        words.append("a date YYYY-MM-DD")
    elif name == "features":
        words.append(f"a list of {', '.join(SHIPPED_FEATURES)}, or of your own")
    elif name == "currency":
        words.append("a code of three capital letters")
    elif not choices:
        words.append(_unit_of(name))
    if choices:
        words.append(" or ".join(choices))
    return ", or ".join(words)


def choices_of(name: str) -> list[str]:
    """Words that a parameter accepts.

    Examples
    --------
    >>> choices_of("returns"), choices_of("n_clusters"), choices_of("anomalies_in_fit")
    (['exclude', 'net'], ['auto'], ['true', 'false'])
    """
    annotation = Parameters.model_fields[name].annotation
    return ["true", "false"] if annotation is bool else _literals(annotation)


def _bounds(metadata: list[Any]) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for item in metadata:
        bounds |= {b: getattr(item, b) for b in ("ge", "gt", "le", "lt") if hasattr(item, b)}
    return bounds


def _nested_metadata(annotation: Any) -> list[Any]:
    """Constraints inside a union, such as those of the number in ``number or auto``."""
    found: list[Any] = []
    for argument in get_args(annotation):
        for item in getattr(argument, "__metadata__", ()):
            found += getattr(item, "metadata", [item])
    return found


def _kinds(annotation: Any) -> set[Any]:
    if get_origin(annotation) is Annotated:
        return {get_args(annotation)[0]}
    arguments = get_args(annotation)
    if not arguments or get_origin(annotation) is Literal:
        return {annotation}
    return set().union(*(_kinds(argument) for argument in arguments))


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    if get_origin(annotation) is Annotated:
        return []
    return [choice for argument in get_args(annotation) for choice in _literals(argument)]


def _unit_of(name: str) -> str:
    field = Parameters.model_fields[name]
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["unit"])
    return "true, false" if field.annotation is bool else "choice"


def value_from_text(text: str) -> Any:
    """A parameter's value as YAML would read it; text that is no YAML stays text.

    Examples
    --------
    >>> value_from_text("4"), value_from_text("auto"), value_from_text("2023-02-30")
    (4, 'auto', '2023-02-30')
    """
    try:
        return read_yaml(text)
    except yaml.YAMLError:
        return text


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of parameters.

    Raises
    ------
    ParameterError
        If the file is missing, is not YAML or is not a list of ``name: value``.
    """
    values = read_yaml_file(
        path,
        called=str(path),
        missing="no such parameter file",
        remedy="write one `name: value` a line",
    )
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ParameterError(f"{path}: holds no `name: value` lines; write one parameter a line.")
    return values


def profile_values(profile: str) -> tuple[str, dict[str, Any]]:
    """Name and values of a profile, given by its name or by the path of a YAML file.

    Raises
    ------
    ParameterError
        If there is no such profile; the message lists those there are.
    """
    if profile.endswith((".yaml", ".yml")):
        path = Path(profile)
        return path.stem, _beside(path, _without_title(load_yaml(path), profile))
    path = PROFILE_FOLDER / f"{profile}.yaml"
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", profile) or not path.exists():
        known = sorted(found.stem for found in PROFILE_FOLDER.glob("*.yaml"))
        raise ParameterError(
            f"unknown profile {profile!r}; there are {', '.join(known)}, "
            "or give the path of a .yaml file."
        )
    return profile, _without_title(load_yaml(path), profile)


TITLE = "title"
"""Key of a profile that is no parameter: what its part of the book is called."""


def _without_title(values: dict[str, Any], profile: str) -> dict[str, Any]:
    title = values.pop(TITLE, "")
    if not isinstance(title, str) or len(title) > 80:
        raise ParameterError(f"profile {profile}: title is a text of at most 80 characters.")
    return values


def profile_title(profile: str) -> str:
    """What a profile calls its part of the book; empty where it says nothing."""
    path = (
        Path(profile) if profile.endswith((".yaml", ".yml")) else PROFILE_FOLDER / f"{profile}.yaml"
    )
    return str(load_yaml(path).get(TITLE, ""))


def resolve(
    profile: str,
    *,
    file: Path | None = None,
    overrides: dict[str, Any] | None = None,
) -> tuple[str, Parameters]:
    """Profile, then file, then single overrides: the later wins.

    Returns
    -------
    (str, Parameters)
        Name of the profile and the complete, checked parameters.
    """
    name, values = profile_values(profile)
    parameters_from(values, origin=f"profile {profile}")
    if file is not None:
        extra = _beside(file, load_yaml(file))
        parameters_from(values | extra, origin=str(file))
        values = values | extra
    values = values | (overrides or {})
    if missing := [name for name in ("source", "location") if name not in values]:
        raise ParameterError(
            f"profile {profile}: names no {' and no '.join(missing)}; a profile says whose orders "
            "it is for by `source: myshop.sql` and `location: data`."
        )
    return name, parameters_from(values, origin="parameters")


def _beside(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Values of a YAML file whose paths are relative to the file; else to the project.

    Where a command is typed never decides whose data it reads. The shipped profiles keep
    the paths of the project: papermill hands them on without saying where they stood.
    """
    if file.resolve().parent == PROFILE_FOLDER:
        return values
    found = dict(values)
    for name in PATHS:
        text = str(values.get(name, ""))
        is_file = name == "location" or text.endswith(FILES)
        if not text or not is_file or "://" in text or Path(text).expanduser().is_absolute():
            continue
        beside, old = (
            os.path.normpath(folder.absolute() / text) for folder in (file.parent, PROJECT_ROOT)
        )
        there = os.path.exists  # false, too, for what can be no path at all
        is_of_project = len(Path(text).parts) > 1 and there(old) and not there(beside)
        found[name] = old if is_of_project else beside
    return found


def describe(parameters: Parameters | None = None) -> pd.DataFrame:
    """Table of all parameters: name, value, unit, accepted, meaning; one row each."""
    values = (parameters or Parameters()).as_plain()
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "name": name,
                "value": ", ".join(map(str, value)) if isinstance(value, list) else str(value),
                "unit": _unit_of(name),
                "accepted": accepted_values(name),
                "meaning": Parameters.model_fields[name].description,
            }
            for name, value in values.items()
        ]
    )


def resolve_path(text: str | os.PathLike[str]) -> Path:
    """Path as given if absolute or found from here, else relative to the project."""
    path = Path(text).expanduser()
    try:
        is_here = path.is_absolute() or path.exists()
    except OSError:  # longer than any path of this system
        is_here = False
    return path.absolute() if is_here else PROJECT_ROOT / path
