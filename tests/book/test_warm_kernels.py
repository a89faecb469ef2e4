"""Kernels forked from a process that has imported everything: apart, at once, and gone at the end."""

from __future__ import annotations

import base64
import contextlib
import gc
import io
import logging
import multiprocessing.forkserver
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import uuid
from pathlib import Path

import nbformat
import pytest
from conftest import (
    ROOT,
    Outcome,
    TinyShop,
    assert_refused,
    contents_of,
    leftovers_in,
    ordinary_orders,
)
from matplotlib.image import imread

from segmentation.book import notebooks
from segmentation.book.notebooks import Chapters, NotebooksAtWork, execute_notebook
from segmentation.book.remembered_notebooks import code_of, stages_read
from segmentation.cli import run_command
from segmentation.core.errors import ReportError
from segmentation.core.parameters import Parameters
from segmentation.run import forks
from segmentation.run.answers import ANSWERED_BY
from segmentation.run.stages import STAGES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
linux = pytest.mark.skipif(not forks.CAN_FORK, reason="kernels are forked on Linux only")


@pytest.fixture(scope="module", autouse=True)
def nobody_to_fork_from():
    """A process that an earlier test of this worker began would have no libraries for kernels."""
    multiprocessing.forkserver._forkserver._stop()


def code_in(path: Path) -> str:
    return "\n".join(code_of(nbformat.read(path, as_version=4)))


def executed(folder: Path, *cells: str, **values: object) -> list[str]:
    """What each cell of a notebook of our own prints."""
    parameters = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    made = nbformat.v4.new_notebook(
        cells=[parameters, *(nbformat.v4.new_code_cell(cell) for cell in cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
    )
    source, target = folder / "own.ipynb", folder / f"{uuid.uuid4().hex}.ipynb"
    nbformat.write(made, source)
    execute_notebook(source, target, values)
    cells = nbformat.read(target, as_version=4).cells
    return [
        "".join(o.get("text", "") for o in c.outputs).strip() for c in cells if c.get("outputs")
    ]


@linux
def test_kernel_has_the_libraries_before_its_first_cell_and_its_own_process(tmp_path):
    loaded = "import sys; print('segmentation.book.plots' in sys.modules, 'sklearn' in sys.modules)"
    who = "import os; print(os.getpid(), os.getppid()); left_behind = 1"
    first = executed(tmp_path, loaded, who)
    second = executed(tmp_path, who, "print('left_behind' in dir(), 'x' in dir())", x=2)
    assert first[0] == "True True"
    (one, mother), (other, same) = first[1].split(), second[0].split()
    assert mother == same
    assert len({one, other, mother, str(os.getpid())}) == 4
    assert second[1] == "True True", "defined in its own cell above"
    assert executed(tmp_path, "print('left_behind' in dir(), x)", x=3) == ["False 3"]


@linux
def test_kernel_works_in_the_folder_and_environment_of_the_report(tmp_path, monkeypatch):
    executed(tmp_path, "print(1)")  # the mother is there, and began before all this
    monkeypatch.setenv("SEGMENTATION_TOLD_LATER", "yes")
    monkeypatch.delenv("HOME")
    monkeypatch.chdir(tmp_path)
    cell = (
        "import os; print(os.environ['SEGMENTATION_TOLD_LATER'], 'HOME' in os.environ, os.getcwd())"
    )
    assert executed(tmp_path, cell) == [f"yes False {tmp_path}"]


@linux
def test_kernel_draws_figures_as_one_that_jupyter_started(tmp_path, monkeypatch):
    def drawn() -> list[dict]:
        cell = "import matplotlib.pyplot as plt; _ = plt.plot([1, 2], [3, 4])"
        executed(tmp_path, cell)
        last = max(tmp_path.glob("*.ipynb"), key=lambda path: path.stat().st_mtime_ns)
        outputs = nbformat.read(last, as_version=4).cells[-1].outputs
        return [shown(output["data"]) for output in outputs]

    def shown(data: dict) -> dict:
        if "image/png" not in data:
            return dict(data)
        picture = imread(io.BytesIO(base64.b64decode(data["image/png"])))
        return dict(data) | {"image/png": picture.tobytes()}  # the words in the file aside

    forked = drawn()
    monkeypatch.setattr(forks, "CAN_FORK", False)
    assert forked == drawn()
    assert [sorted(data) for data in forked] == [["image/png", "text/plain"]]


def test_kernel_is_started_by_jupyter_where_nothing_can_be_forked(tmp_path, monkeypatch):
    monkeypatch.setattr(forks, "CAN_FORK", False)
    cell = "import os, sys; print(os.getppid(), 'segmentation.book.plots' in sys.modules)"
    assert executed(tmp_path, cell) == [f"{os.getpid()} False"]


@linux
def test_process_that_kernels_are_forked_from_is_replaced_if_killed(tmp_path):
    first = executed(tmp_path, "import os; print(os.getppid())")
    os.kill(int(first[0]), signal.SIGKILL)
    second = executed(tmp_path, "import os; print(os.getppid())")
    assert second != first


@linux
def test_kernel_has_the_environment_of_the_report_and_no_more(tmp_path, monkeypatch):
    """What only the process is told that imports, or a name of a backend, is not the kernel's."""
    monkeypatch.setenv("MPLBACKEND", "pdf")
    forks.begin()
    cell = (
        "import os, matplotlib; print(os.environ.get('PYTHONSAFEPATH'), "
        "os.environ.get('OPENBLAS_NUM_THREADS'), 'inline' in matplotlib.get_backend())"
    )
    assert executed(tmp_path, cell) == ["1 None True"]
    assert "PYTHONSAFEPATH" not in os.environ


@linux
def test_cell_that_kills_its_kernel_fails_the_notebook_and_no_other(tmp_path):
    with pytest.raises(Exception, match="died"):
        executed(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert executed(tmp_path, "print('well')") == ["well"]


@linux
def test_nothing_is_held_of_a_kernel_that_ended(tmp_path):
    executed(tmp_path, "print(1)")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        executed(tmp_path, "print(1)")
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert multiprocessing.active_children() == []


def test_a_report_cut_short_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    level = logging.getLogger().level
    monkeypatch.setattr(notebooks, "execute_notebook", lambda *_, **__: time.sleep(0.5))
    with pytest.raises(KeyboardInterrupt), NotebooksAtWork(tmp_path) as work:
        work.of_profile(Parameters(), tmp_path / "notebooks").begin_all()
        raise KeyboardInterrupt
    assert all(job.done() for job in work._jobs)
    assert any(job.cancelled() for job in work._jobs)
    assert logging.getLogger().level == level


def test_every_notebook_waits_for_the_stages_whose_results_it_reads():
    results = {name for stage in STAGES.values() for name in stage.gives}
    for path in NOTEBOOKS:
        script = path.with_suffix(".py").read_text(encoding="utf-8")
        read = stages_read(code_in(path))
        if "open_changes" in script:
            assert read == set(), path.name
            continue
        asked = set(re.findall(r'run\["(\w+)"\]', script))
        steps = set(re.findall(r"segmentation\.(\w+)\(", script)) & ANSWERED_BY.keys()
        asked |= {ANSWERED_BY[step] for step in steps}  # a step is answered by its stage
        assert asked, path.name
        assert asked <= results, path.name
        assert read == {s.name for s in STAGES.values() if asked & set(s.gives)}, path.name


def test_notebooks_begin_as_soon_as_their_last_stage_is_there_and_once(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(
        notebooks,
        "execute_notebook",
        lambda source, target, *_, **__: (begun.append(target), set()),
    )
    with NotebooksAtWork(tmp_path) as work:
        chapters = work.of_profile(Parameters(), tmp_path / "notebooks")
        assert isinstance(chapters, Chapters)
        place = {name: number for number, name in enumerate(STAGES)}
        for stage in STAGES:
            before = set(work._jobs.values())
            chapters.begin_after(stage)
            for target in set(work._jobs.values()) - before:
                read = stages_read(code_in(ROOT / "notebooks" / target.name))
                assert max(read, key=place.__getitem__) == stage, target.name
        assert len(work._jobs) == len(NOTEBOOKS) - 1, "What changed reads another run besides"
        chapters.begin_all()
        work.finish()
    assert sorted(path.name for path in begun) == [path.name for path in NOTEBOOKS]


def test_parameter_that_nobody_knows_is_refused_by_name_and_place(tmp_path):
    with pytest.raises(ReportError, match=r"(?s)01_data.*code cell 2.*unknown parameter n_k;"):
        execute_notebook(NOTEBOOKS[0], tmp_path / "out.ipynb", {"n_k": 3})


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            ["y = 2", "y = 2", "z = 3\ny = custmers + 1"],
            [
                "own.ipynb, code cell 4, line 2:",
                "y = custmers + 1",
                "NameError: name 'custmers' is",
            ],
        ),
        (["y = 2", "y = 2 +"], ["own.ipynb, code cell 3, line 1:", "y = 2 +", "SyntaxError: "]),
        (["raise ValueError('a\\n' * 90)"], ["own.ipynb, code cell 2, line 1:", "raise V", "Val"]),
    ],
)
def test_cell_that_fails_is_named_with_its_line_in_five_lines(tmp_path, capsys, cells, said):
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: executed(tmp_path, *cells, x=5))

    lines = [line for line in capsys.readouterr().err.splitlines() if "|" not in line]
    assert ended.value.code == 1
    assert len(lines) <= 5
    for line, beginning in zip(lines, said, strict=False):
        assert line.removeprefix("segmentation: ").strip().startswith(beginning), lines


def processes_marked(mark: str) -> list[str]:
    """Command lines of the processes that were started with a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # ended meanwhile
            continue
    return found


class Said:
    """What a command says on a terminal, read as it comes."""

    def __init__(self, screen: int) -> None:
        self.screen, self.text = screen, b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # nobody writes there any more
            while part := os.read(self.screen, 4096):
                self.text += part

    def wait_for(self, words: bytes, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while words not in self.text:
            assert self.reader.is_alive() and time.monotonic() < until, self.text.decode()
            time.sleep(0.02)

    def whole(self) -> str:
        self.reader.join(timeout=20)
        os.close(self.screen)
        return self.text.decode()


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    """Results of a small shop: its report comes to the notebooks at once."""
    made = TinyShop(tmp_path_factory.mktemp("computed")).lines(ordinary_orders())
    assert made.run(n_clusters=2).code == 0
    return made.runs_dir / ".cache"


@linux
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_report_cut_short_among_its_notebooks_leaves_no_kernel_and_nothing_half_done(
    shop, computed, kind
):
    shop.lines(ordinary_orders())
    shutil.copytree(computed, shop.runs_dir / ".cache", symlinks=True)
    arguments = shop.arguments(n_clusters=2)
    mark = f"MARK_{uuid.uuid4().hex}"
    screen, theirs = os.openpty()  # progress is shown on terminals only
    termios.tcsetwinsize(theirs, (24, 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "segmentation", "report", *map(str, arguments[1:])],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=ROOT,
        env=os.environ | {mark: "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(theirs)
    said = Said(screen)
    said.wait_for(b"notebooks:")
    assert any("forkserver" in line for line in processes_marked(mark))
    process.send_signal(kind)
    process.wait(timeout=60)
    for _ in range(100):
        if not processes_marked(mark):
            break
        time.sleep(0.1)
    assert processes_marked(mark) == []
    assert not (shop.runs_dir / "shop").exists()
    if kind != signal.SIGKILL:  # what was killed tidies up at its next start
        assert_refused(Outcome(process.returncode, "", said.whole()), "interrupted")
        assert leftovers_in(shop.runs_dir) == []
        assert contents_of(shop.runs_dir) == {}
