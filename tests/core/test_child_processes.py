"""No process of the package takes a module from the folder it is started in."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import xlsxwriter
from api_server import READY_SECONDS, Server, free_port, is_answering
from nbformat.v4 import new_code_cell, new_notebook
from test_architecture import MODULES, PACKAGE, TREES, imported

from segmentation.book import pages as book
from segmentation.book.brief import write_brief
from segmentation.core.notebook_parameters import parameters_cell
from segmentation.sources.excel import read_workbook

STARTING = {"subprocess", "multiprocessing", "joblib", "loky", "pty", "gunicorn"}
"""Modules by which a process can start another; besides, what `os` has for it."""
EXECUTE = """
from pathlib import Path
from segmentation.book.notebooks import execute_notebook
execute_notebook(Path("one.ipynb"), Path("two.ipynb"), {})
"""
OF_OS = ("exec", "spawn", "posix_spawn", "system", "popen", "fork")


def in_a_workbook(folder: Path) -> None:
    with xlsxwriter.Workbook(folder / "orders.xlsx") as orders:
        orders.add_worksheet("orders").write_row(0, 0, ["customer_id", "amount"])
    read_workbook(folder / "orders.xlsx", "orders", folder / "orders.parquet")


def in_a_kernel(folder: Path) -> None:
    cells = [new_code_cell(parameters_cell(), metadata={"tags": ["parameters"]})]
    cells.append(new_code_cell("import calendar, json, this_is_hostile"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "one.ipynb")
    # in a process of its own, since what starts kernels may have been started elsewhere
    done = subprocess.run(
        [sys.executable, "-P", "-c", EXECUTE], capture_output=True, text=True, check=False
    )
    assert "No module named 'this_is_hostile'" in done.stderr, done.stderr


def in_jupyter_book(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="the book did not build"):
        book._run_jupyter_book(folder / "nowhere", folder / "built")


def in_a_server(folder: Path) -> None:
    command = Path(sys.executable).with_name("segmentation")  # as people start it
    port = free_port()
    settings = [folder / "none", "--wait-for-model", "--port", port, "--workers", 1]
    process = subprocess.Popen([str(one) for one in (command, "serve", *settings)])
    server = Server(process, port, None)
    try:
        server.wait_until(lambda: is_answering(server), seconds=READY_SECONDS)
    finally:
        process.terminate()
        process.wait(timeout=40)


def in_a_browser(folder: Path) -> None:
    write_brief("<!DOCTYPE html><p>one</p>", folder, "brief")


CASES: dict[Callable[[Path], None], set[str]] = {
    in_a_workbook: {"sources/excel.py"},
    in_a_kernel: {"run/forks.py", "book/notebooks.py"},
    in_jupyter_book: {"book/pages.py"},
    in_a_browser: {"book/brief.py"},
    in_a_server: {"deliver/api/server.py", "deliver/api/access.py", "deliver/api/worker.py"},
}
"""What starts a process, with the modules that it is for."""


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch) -> Path:
    """A working folder with a file for each module that a child may import."""
    for name in sorted({*sys.stdlib_module_names, "numpy", "pandas", "segmentation"}):
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r} + ' ')", "utf-8"
        )
    (tmp_path / "this_is_hostile.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("start", CASES, ids=lambda start: start.__name__)
def test_child_process_takes_no_module_from_the_working_folder(hostile_folder, start):
    start(hostile_folder)

    ran = hostile_folder / "ran"
    assert not ran.exists(), ran.read_text("utf-8")


def starts_processes(path: Path) -> bool:
    """Whether a module may start a process, by what it imports and asks of `os`."""
    asked = {
        node.attr
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    modules = {module.split(".")[0] for module, _ in imported(TREES[path])}
    names = {name for _, name in imported(TREES[path])}
    return bool(modules & STARTING or "ProcessPoolExecutor" in names) or any(
        name.startswith(OF_OS) for name in asked
    )


def test_every_module_that_starts_a_process_is_tested_in_a_hostile_folder():
    found = {p.relative_to(PACKAGE).as_posix() for p in MODULES if starts_processes(p)}

    assert "sources/excel.py" in found
    assert found <= set().union(*CASES.values()), "add a case that starts it"


def test_one_place_says_how_python_is_started():
    for path in MODULES:
        if path.name != "child_process.py":
            assert "sys.executable" not in ast.unparse(TREES[path]), path.name


PARENT = """
import subprocess, sys
from segmentation.core.child_process import ENDS_WITH_ITS_INPUT, tied_input
program = ENDS_WITH_ITS_INPUT + "print('here', flush=True); threading.Event().wait(60)"
with tied_input() as own:
    subprocess.run([sys.executable, "-c", program], stdin=own)
"""


def test_a_child_ends_with_its_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"here\n"
    parent.kill()
    assert parent.wait(timeout=10) == -signal.SIGKILL
    started = time.monotonic()
    assert parent.stdout.read() == b""  # ends when the last process that has it is gone
    assert time.monotonic() - started < 30
