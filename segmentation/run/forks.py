"""Other processes that are ready at once: forks of one that has imported the libraries.

Importing takes longer than most chapters of a report and than many a stage. On Linux a process
imports while this one goes on; each notebook's kernel, and who computes stages beside us, is a
fork of it: as fresh as a new interpreter, and gone when this process is.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segmentation.core.child_process import environment_of_this_package
from segmentation.core.parameters import Parameters, resolve_path

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from segmentation.run.run import Run

CAN_FORK = sys.platform == "linux"
NEEDED_BY_KERNELS = (
    *("ipykernel.ipkernel", "ipykernel.kernelapp", "ipykernel.debugger"),
    *("IPython.display", "IPython.core.pylabtools", "IPython.extensions.storemagic"),
    *("IPython.core.completerlib", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"),
    *("segmentation.segments.portraits", "segmentation.book.words", "segmentation.book.plots"),
    *("segmentation.run.run", "segmentation.run.compare_runs", "segmentation.book.warm_kernels"),
    *("segmentation.run.steps", "seaborn"),
)
AFTER = "segments"
HELPED = ("sensitivity", "holdout", "returns_choice", "explanation")
"""Stages that another process computes, in this order, and the stage after which it can."""
LEAST_BYTES = 500_000
"""Raw files smaller than this are done before another process has begun."""
MOST_CUSTOMERS = 100_000
"""Above this, what two processes hold of all customers may be more than there is."""
SECONDS_TO_TIDY = 2
_LOCK = threading.Lock()
_FORKS: Any = multiprocessing.get_context("forkserver") if CAN_FORK else None


def begin(*modules: str) -> None:
    """Let the process that others are forked from import modules, where it does not run yet.

    Raises
    ------
    OSError
        If nothing can be forked here.
    """
    if not CAN_FORK:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    # a process with one thread forks safely; kernels read results and draw
    own = {"OPENBLAS_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    if modules:
        forkserver.set_forkserver_preload([__name__, *modules])
    with _LOCK:
        before = dict(os.environ)
        try:
            os.environ.update(environment_of_this_package() | own)
            forkserver.ensure_running()
        finally:
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)


def environment_here() -> dict[str, str]:
    """The environment of this process, without what only that other one is told."""
    with _LOCK:
        return dict(os.environ)


def start(
    work: Callable[..., None],
    *arguments: Any,
    environment: dict[str, str] | None = None,
    daemon: bool = False,
) -> ForkServerProcess:
    """Do some work in a fork, which has this folder and environment; waits for its imports."""
    begin()
    settings = (str(Path.cwd()), environment or environment_here())
    process = _FORKS.Process(target=_work, args=(*settings, work, arguments), daemon=daemon)
    process.start()
    return process


def _work(
    folder: str, environment: dict[str, str], work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.setsid()  # Ctrl-C in the terminal is for the process that asks alone
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(2, 1)
    work(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _thread.interrupt_main()
        time.sleep(SECONDS_TO_TIDY)
        os._exit(1)  # in the middle of a long fit; the next run removes what is left


def end_all() -> None:
    """Kill what is running: who waits for a kernel then learns that it is dead."""
    for process in multiprocessing.active_children():
        process.kill()


def is_worth_it(parameters: Parameters) -> bool:
    """Whether a second process is of use for a run: another processor, and lines in files."""
    if not CAN_FORK or len(os.sched_getaffinity(0)) < 2 or parameters.engine != "duckdb":
        return False
    place = resolve_path(parameters.location)
    try:
        files = place.iterdir() if place.is_dir() else [place]
        return sum(path.stat().st_size for path in files) >= LEAST_BYTES
    except OSError:  # whoever reads it says what is wrong
        return False


def helper_of(run: Run) -> Callable[[str], None]:
    """Lets another process compute stages; to be told each stage that is there.

    Who asks the cache for such a stage meanwhile waits for it, or computes it if that process
    ended without a result. The digits are the same.
    """

    def after(stage: str) -> None:
        if stage != AFTER or not run.cache.reuse or not is_worth_it(run.parameters):
            return
        missing = [s for s in HELPED if run.cache.find(s, run.key(s)) is None]
        if missing and run["overview"]["customers"] <= MOST_CUSTOMERS:
            run.reused |= dict.fromkeys(missing, False)  # not by us, but for this run
            asked = (_compute, missing, run.parameters.as_plain(), run.cache.root.parent)

            def ask() -> None:
                with contextlib.suppress(OSError, EOFError):
                    start(*asked, daemon=True)

            threading.Thread(target=ask, daemon=True).start()  # it may still import

    return after


def _compute(stages: list[str], parameters: dict[str, Any], runs_dir: Path) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)  # who waits for the stage computes it again, and says what is wrong
    from threadpoolctl import threadpool_limits

    from segmentation.run.run import Run

    threadpool_limits(os.cpu_count() or 1, user_api="blas")  # as in the process that asks
    run = Run(Parameters(**parameters), runs_dir)
    with contextlib.closing(run.snapshot):
        for stage in stages:
            run.stage(stage)
