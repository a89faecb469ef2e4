"""Parameters of a notebook: the cell that it carries, and what its variables ask for."""

from __future__ import annotations

import ast
import datetime as dt
import json
import os
from collections.abc import Collection, MutableMapping
from typing import Any

from segmentation.core.errors import ParameterError
from segmentation.core.parameters import TITLE, Parameters, accepted_values, parameters_from

INJECTED = "# Parameters\n"
"""How papermill begins the cell that it injects."""
RUNS_DIR, RUN_FOLDER = "runs_dir", "run_folder"
UNKNOWN_FOLDER = "<run>"
"""What a page calls a run's folder where no report says which it is: nobody's by mistake."""
_HELD = "_parameters_held"
_PLAIN = (str, int, float, bool, list, tuple, dict, type(None), dt.date)

_NOTEBOOK_TYPES = {"features": "list", "split_pre_register": "bool", "anomalies_in_fit": "bool"}


def parameters_cell(names: Collection[str] = (*Parameters.model_fields, RUN_FOLDER)) -> str:
    """Source of a notebook's ``parameters`` cell: those of ``names``, and where runs are.

    papermill replaces these values, and adds those of a run that a chapter does not list; the
    comments become its help text. A test keeps the notebooks' lines equal to these.
    """
    lines = []
    for name, value in Parameters().as_plain().items():
        if name not in names:
            continue
        kind = _NOTEBOOK_TYPES.get(name, type(value).__name__)
        annotation = f": {kind}" if value != "auto" and name != "n_clusters" else ""
        lines.append(
            f"{name}{annotation} = {_as_source(value)}"
            f"  # {Parameters.model_fields[name].description}"
        )
    lines.append('runs_dir: str = "runs"  # Folder of runs and of the stage cache.')
    if RUN_FOLDER in names:
        lines.append(
            f'{RUN_FOLDER}: str = "{UNKNOWN_FOLDER}"'
            "  # Name of this run's folder among them; a report says it."
        )
    return "\n".join(lines)


def is_parameters_cell(source: str) -> bool:
    """Whether a cell holds parameters with their defaults and nothing else."""
    return bool(source) and set(source.splitlines()) <= set(parameters_cell().splitlines())


def _as_source(value: Any) -> str:
    return str(value) if isinstance(value, bool) else json.dumps(value)


def parameters_from_notebook(namespace: MutableMapping[str, Any]) -> tuple[Parameters, str]:
    """Parameters and runs folder from a notebook's variables.

    Variables of its own are its own affair. But papermill injects whatever it is given with a
    warning only, and a report on other parameters than the asked ones is a wrong report: an
    injected name that is neither a parameter nor set by a cell of the notebook is refused.

    Parameters
    ----------
    namespace : dict
        ``globals()`` of the notebook; or parameters by name, all of which must exist.
    """
    is_notebook = "__name__" in namespace
    asked = {*Parameters.model_fields, RUNS_DIR, RUN_FOLDER} | (
        _injected(namespace.get("In", ())) if is_notebook else set(namespace)
    )
    held = namespace.get(_HELD, {})
    values = {}
    for name in sorted(asked & namespace.keys()):
        value = namespace[name]
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if isinstance(value, _PLAIN):
            values[name] = value
        elif name in held:  # a result has taken the name since: `features = run["features"]`
            values[name] = held[name]
        elif name in Parameters.model_fields:
            raise ParameterError(
                f"notebook parameters: {name} is a {type(value).__name__}, accepted is "
                f"{accepted_values(name)}; give a variable of your own another name."
            )
    runs_dir = str(values.get(RUNS_DIR, "runs"))
    places = (RUNS_DIR, RUN_FOLDER, TITLE)
    plain = {name: value for name, value in values.items() if name not in places}
    parameters = parameters_from(plain, origin="notebook parameters")
    if is_notebook:
        namespace[_HELD] = values
    return parameters, runs_dir


def _injected(cells: list[str]) -> set[str]:
    """Names that papermill's cell sets, as it was run last, and no other cell of the notebook."""
    others = [cell for cell in cells if not cell.startswith(INJECTED)]
    last = [cell for cell in cells if cell.startswith(INJECTED)][-1:]
    return _names_set(last) - _names_set(others)


def _names_set(cells: list[str]) -> set[str]:
    found = set()
    for cell in cells:
        try:
            nodes = list(ast.walk(ast.parse(cell)))
        except SyntaxError:
            continue
        found |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found
