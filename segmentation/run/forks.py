"""Other processes that are ready at once: forks of one that has imported the libraries.

Importing takes longer than most chapters of a report. On Linux a process imports while this one
goes on; each notebook's kernel is a fork of it: as fresh as a new interpreter, and gone when
this process is.
"""

from __future__ import annotations

import _thread
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

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

CAN_FORK = sys.platform == "linux"
NEEDED_BY_KERNELS = (
    *("ipykernel.ipkernel", "ipykernel.kernelapp", "ipykernel.debugger"),
    *("IPython.display", "IPython.core.pylabtools", "IPython.extensions.storemagic"),
    *("IPython.core.completerlib", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"),
    *("segmentation.segments.portraits", "segmentation.book.words", "segmentation.book.plots"),
    *("segmentation.run.run", "segmentation.run.compare_runs", "segmentation.book.warm_kernels"),
    *("segmentation.run.steps", "seaborn"),
)
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
    work: Callable[..., None], *arguments: Any, environment: dict[str, str]
) -> ForkServerProcess:
    """Do some work in a fork, which has this folder and environment; waits for its imports."""
    begin()
    process = _FORKS.Process(target=_work, args=(str(Path.cwd()), environment, work, arguments))
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
        os._exit(1)  # in the middle of a long fit


def end_all() -> None:
    """Kill what is running: who waits for a kernel then learns that it is dead."""
    for process in multiprocessing.active_children():
        process.kill()
