"""What notebooks showed, remembered by everything that they read.

A notebook that reads nothing but results of stages, parameters and naming rules through this
package shows the same again while those are the same: another number of clusters changes
nothing about how order lines were cleaned. What a notebook reads is taken from its cells. One
that does anything besides, such as opening a file, asking another run or importing a module
of its own, is executed every time.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import hashlib
import importlib
import inspect
import json
import platform
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from segmentation import rule_files
from segmentation.atomic import atomic_path
from segmentation.errors import OutputError, SegmentationError
from segmentation.params import PROJECT_ROOT, Parameters
from segmentation.pipeline import Run
from segmentation.remembered_figures import drawing_code
from segmentation.stage_cache import code_fingerprint, key_of
from segmentation.stage_table import STAGES

PACKAGE = "segmentation"
SHOWING = frozenset({"concentration", "insights", "plots", "portraits"})
"""Modules whose functions make of what they are given what is shown, and read nothing else."""
CALLABLE_BUILTINS = frozenset(
    {"abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "len", "list", "max"}
    | {"min", "range", "round", "set", "sorted", "str", "sum", "tuple", "zip"}
)
LOOKING = frozenset(
    {"columns", "empty", "get", "head", "iloc", "index", "items", "keys", "loc", "max", "mean"}
    | {"median", "min", "reset_index", "round", "set_index", "shape", "sort_values", "sum", "tail"}
    | {"values"}
)
"""What may be asked of a result. Others write files, draw lots or read names from text."""
PARAMETERS_TAG, INJECTED_TAG = "parameters", "injected-parameters"
EXECUTING_PACKAGES = ("ipykernel", "ipython", "matplotlib-inline", "nbclient", "papermill")
_UNDERSTOOD = (
    *(ast.Module, ast.Expr, ast.Assign, ast.If, ast.For, ast.ImportFrom, ast.Lambda),
    *(ast.arguments, ast.arg, ast.keyword, ast.comprehension, ast.ListComp, ast.SetComp),
    *(ast.DictComp, ast.GeneratorExp, ast.Call, ast.Attribute, ast.Subscript, ast.Slice),
    *(ast.Name, ast.Constant, ast.Starred, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
    *(ast.IfExp, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_IMPORTS = frozenset(
    {("IPython.display", "Markdown"), (f"{PACKAGE}.pipeline", "open_run")}
    | {(PACKAGE, name) for name in SHOWING}
)
_IMPORTED_NAMES = frozenset(name for _, name in _IMPORTS)
_PARAMETER_NAMES = frozenset(Parameters.model_fields)
_GIVEN_NAMES = _PARAMETER_NAMES | {
    "runs_dir",
    "display",
    "get_ipython",
    "exit",
    "quit",
    "In",
    "Out",
}
"""Names that a notebook has before its first cell; a cell that gives them another meaning
may read more, or another run."""


class _ReadsMoreError(Exception):
    """A notebook reads something that no key can speak for."""


@dataclass
class Reads:
    """What a notebook reads of its run: results, rule files and parameters, by name."""

    results: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)


def reads_of(notebook: nbformat.NotebookNode) -> Reads | None:
    """What decides the outputs of a notebook; None where nobody can tell.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> opened = "from segmentation.pipeline import open_run; run = open_run(globals())"
    >>> def read(cell):
    ...     return reads_of(new_notebook(cells=[new_code_cell(opened), new_code_cell(cell)]))
    >>> read('len(run["segments"]), n_clusters')
    Reads(results={'segments'}, rules=set(), parameters={'n_clusters'})
    >>> read("open('prices.csv')") is None
    True
    """
    reader, code = _Reader(), [cell for cell in notebook.cells if cell.cell_type == "code"]
    try:
        for cell in code:
            tree = ast.parse(cell.source)
            if PARAMETERS_TAG in cell.metadata.get("tags", []):
                _check_defaults(tree)
            else:
                reader.visit(tree)
    except (_ReadsMoreError, SyntaxError):
        return None
    return reader.reads if reader.loaded <= reader.known else None


def _check_defaults(tree: ast.Module) -> None:
    """Raise unless every parameter of a cell has a plain value."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            raise _ReadsMoreError
        try:
            ast.literal_eval(node.value)
        except (TypeError, ValueError):
            raise _ReadsMoreError from None


class _Reader(ast.NodeVisitor):
    """Walks cells; raises at whatever may read more than it can note down."""

    def __init__(self) -> None:
        self.reads = Reads()
        self.loaded: set[str] = set()
        self.known = set(CALLABLE_BUILTINS)
        self._imported: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        if not isinstance(node, _UNDERSTOOD):
            raise _ReadsMoreError
        super().visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.asname or (node.module, alias.name) not in _IMPORTS or node.level:
                raise _ReadsMoreError
            self._imported.add(alias.name)

    def visit_Assign(self, node: ast.Assign) -> None:
        if [ast.unparse(target) for target in node.targets] == ["run"]:
            call = node.value
            if not ("open_run" in self._imported and ast.unparse(call) == "open_run(globals())"):
                raise _ReadsMoreError
            return
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        of, name = ast.unparse(node.value), _constant(node.slice)
        if of in ("run", "run.rules"):
            if name is None or not isinstance(node.ctx, ast.Load):
                raise _ReadsMoreError
            (self.reads.results if of == "run" else self.reads.rules).add(name)
            return
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called == "run.parameters_table" and not node.args and not node.keywords:
            self.reads.parameters |= _PARAMETER_NAMES
            return
        if called == "Markdown" and "Markdown" in self._imported:
            if not self._is_shown(node):
                raise _ReadsMoreError  # it also takes the name of a file, or an address
            self.visit(node.args[0])
            return
        self.generic_visit(node)

    def _is_shown(self, node: ast.Call) -> bool:
        """Whether the only argument is what a function of ours made."""
        made = node.args[0] if len(node.args) == 1 and not node.keywords else None
        return (
            isinstance(made, ast.Call)
            and isinstance(made.func, ast.Attribute)
            and isinstance(made.func.value, ast.Name)
            and made.func.value.id in SHOWING
        )

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr.startswith("_"):
            raise _ReadsMoreError
        if isinstance(node.value, ast.Name) and node.value.id in SHOWING & self._imported:
            module = importlib.import_module(f"{PACKAGE}.{node.value.id}")
            shows = getattr(module, node.attr, None)
            own = str(getattr(shows, "__module__", "")).split(".")[0] == PACKAGE
            if inspect.ismodule(shows) or not callable(shows) or not own:
                raise _ReadsMoreError
            return
        if node.attr not in LOOKING:
            raise _ReadsMoreError
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "run" or node.id in _IMPORTED_NAMES:
            raise _ReadsMoreError  # by itself: whoever gets it may ask it for anything
        if isinstance(node.ctx, ast.Store):
            if hasattr(builtins, node.id) or node.id in _GIVEN_NAMES:
                raise _ReadsMoreError  # a name that means something else from here on
            self.known.add(node.id)
        elif isinstance(node.ctx, ast.Load):
            if node.id in _PARAMETER_NAMES:
                self.reads.parameters.add(node.id)
                self.known.add(node.id)
            self.loaded.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        self.visit_Name(ast.Name(node.arg, ast.Store()))


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


class RememberedNotebooks:
    """A folder of outputs, for the notebooks of one run.

    Parameters
    ----------
    reuse : bool
        False: nothing that was there before is believed, and everything is kept anew.
    """

    def __init__(self, folder: Path, run: Run, *, reuse: bool = True) -> None:
        self._folder, self._run, self._reuse = folder, run, reuse
        self._asked: dict[Path, str] = {}
        self._executed: dict[Path, nbformat.NotebookNode] = {}

    def key(self, source: Path) -> str | None:
        """Key of what a notebook shows in this run; None where it is executed every time."""
        return _key(source, self._run)

    def recall(self, source: Path, values: dict[str, Any]) -> nbformat.NotebookNode | None:
        """The notebook as it would be after execution, from memory where it is there."""
        key = self.key(source)
        if key is None:
            return None
        self._asked[source] = key
        if not self._reuse:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            digest, text = self._path(source, key).read_text(encoding="utf-8").split("\n", 1)
            if digest != _digest(text):
                return None
            shown = json.loads(text)
            notebook = parameterize_notebook(load_notebook_node(str(source)), values)
            cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            if len(cells) != len(shown["outputs"]):
                return None
            for number, (cell, outputs) in enumerate(
                zip(cells, shown["outputs"], strict=True), start=1
            ):
                cell.execution_count = number
                cell.outputs = [nbformat.from_dict(output) for output in outputs]
            notebook.metadata.update(nbformat.from_dict(shown["metadata"]))
            return notebook
        return None

    def executed(self, source: Path, notebook: nbformat.NotebookNode) -> None:
        """Take note of what a notebook showed; `keep` decides whether to remember it."""
        if source in self._asked:
            self._executed[source] = notebook

    def keep(self) -> None:
        """Remember what was executed, once the report that shows it has been accepted.

        Notebooks, rules or data that were changed meanwhile may have been read before or
        after: what such notebooks showed is not remembered.
        """
        run = None
        for source, notebook in self._executed.items():
            try:
                run = run or Run(self._run.parameters, self._run.cache.root.parent)
                same = _key(source, run) == self._asked[source] and _same_cells(source, notebook)
            except (OSError, SegmentationError):
                continue
            if same:
                self._write(source, notebook)

    def _write(self, source: Path, executed: nbformat.NotebookNode) -> None:
        cells = [cell for cell in executed.cells if cell.cell_type == "code"]
        known = {k: v for k, v in executed.metadata.items() if k in ("kernelspec", "language_info")}
        text = json.dumps({"outputs": [cell.outputs for cell in cells], "metadata": known})
        # a report does not fail for want of memory
        with contextlib.suppress(OSError, OutputError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(self._path(source, self._asked[source])) as path:
                path.write_text(f"{_digest(text)}\n{text}", encoding="utf-8")

    def _path(self, source: Path, key: str) -> Path:
        return self._folder / f"{source.stem}-{key}.json"


def _key(source: Path, run: Run) -> str | None:
    notebook = nbformat.read(source, as_version=4)
    reads = reads_of(notebook)
    if reads is None:
        return None
    stages = [stage for stage in STAGES.values() if reads.results & set(stage.gives)]
    if not reads.results <= {name for stage in stages for name in stage.gives}:
        return None
    if not reads.rules <= set(run.rules):
        return None
    plain = run.parameters.as_plain()
    return key_of(
        [[cell.cell_type, cell.source, cell.metadata] for cell in notebook.cells],
        {stage.name: run.key(stage.name) for stage in stages},
        {name: rule_files.fingerprint(run.rules[name]) for name in sorted(reads.rules)},
        {name: plain[name] for name in sorted(reads.parameters)},
        executing_code(),
    )


def _same_cells(source: Path, executed: nbformat.NotebookNode) -> bool:
    """Whether the cells that were executed are those of the notebook."""
    own = [cell.source for cell in nbformat.read(source, as_version=4).cells]
    tagged = [cell for cell in executed.cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    return own == [cell.source for cell in tagged]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def executing_code() -> str:
    """Hash of all code between results of stages and what a notebook shows of them."""
    versions = {name: metadata.version(name) for name in EXECUTING_PACKAGES}
    drawn_with = {k: repr(v) for k, v in mpl.rcParams.items() if not k.startswith("backend")}
    return key_of(
        *(code_fingerprint(), drawing_code(), versions, platform.python_version()),
        *(drawn_with, str(PROJECT_ROOT)),
    )
