"""The process that notebook kernels are forked from, and the means to ask it for one.

`python -m segmentation.kernel_mother MODULE ...` imports the modules, then forks for each line
of standard input (JSON) a kernel, or a process that computes stages of a run, and answers
its process id on standard output. The end of the input is its end, and with it that of all
its children.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from segmentation.child_process import environment_of_this_package, python_of_this_package

CAN_FORK = sys.platform == "linux"
PRELOADED = (
    *("ipykernel.ipkernel", "ipykernel.kernelapp", "ipykernel.debugger"),
    *("IPython.display", "IPython.core.pylabtools", "IPython.extensions.storemagic"),
    *("IPython.core.completerlib", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"),
    "segmentation.portraits",
    "segmentation.insights",
    "segmentation.plots",
    "segmentation.pipeline",
    "segmentation.run_comparison",
)
SECONDS_TO_TIDY = 2
QUIET_DEBUGGER = "PYDEVD_DISABLE_FILE_VALIDATION"
INLINE = "module://matplotlib_inline.backend_inline"
"""Loaded by the kernel, never before: it looks for the kernel when it is imported."""


class Mother:
    """A handle on that process, from here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_there(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, modules: tuple[str, ...] = PRELOADED, *, is_heard: bool = True) -> None:
        """Start it where it does not run; it goes on importing while we go on working.

        One that is not heard has nothing to say that its asker would not say too.
        """
        if CAN_FORK and not self.is_there:
            self.end()
            self._process = subprocess.Popen(
                [*python_of_this_package(), "segmentation.kernel_mother", *modules],
                stderr=None if is_heard else subprocess.DEVNULL,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # a process with one thread forks safely; kernels read results and draw
                env=environment_of_this_package()
                | {"OPENBLAS_NUM_THREADS": "1", QUIET_DEBUGGER: "1"},
                start_new_session=True,  # Ctrl-C in the terminal is for the report alone
            )

    def fork(self, arguments: list[str], environment: dict[str, str]) -> int:
        """Process id of a new kernel with these arguments.

        Raises
        ------
        OSError, ValueError
            If the mother has ended or cannot fork.
        """
        return self._ask(
            {"arguments": arguments, "environment": environment, "folder": str(Path.cwd())}
        )

    def _ask(self, asked: dict[str, Any]) -> int:
        with self._lock:
            self.start()
            if self._process is None or not (self._process.stdin and self._process.stdout):
                raise OSError("no process to fork from")
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def compute(self, stages: list[str], parameters: dict[str, Any], runs_dir: Path) -> bool:
        """Let another process compute stages into the cache; False where there is none.

        Who asks the cache for such a stage meanwhile waits for the lock on it, and computes
        it if that process has ended without a result.
        """
        asked = {"stages": stages, "parameters": parameters, "runs_dir": str(runs_dir)}
        asked |= {"environment": dict(os.environ), "folder": str(Path.cwd())}
        try:
            self._ask(asked)
        except (OSError, ValueError):
            return False
        return True

    def end(self) -> None:
        """End it; kernels that are left notice and end too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process = None


MOTHER = Mother()
atexit.register(MOTHER.end)


def main() -> None:
    """Import, then fork for every line until there are no more."""
    # read at import: by this, kernels know whose end is theirs
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sys.argv[1:]:
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, _bury)
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from 3.12 on: fork beside a library's idle thread
            pid = os.fork()
        if pid == 0:
            asked = json.loads(line)
            if "stages" in asked:
                _compute(asked)
            _be_a_kernel(asked)
        print(pid, flush=True)


def _bury(*_: object) -> None:
    """Take note of the kernels that ended; what they used then counts as used here."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _be_a_kernel(asked: dict[str, Any]) -> None:
    """Take the place of ``python -m ipykernel_launcher``; never returns."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdin = os.fdopen(0)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"] | {"JPY_PARENT_PID": str(os.getppid())})
    import matplotlib as mpl
    from ipykernel.kernelapp import IPKernelApp

    # matplotlib read its backend at import, when there was no kernel to draw for
    mpl.rcParams["backend"] = os.environ.get("MPLBACKEND", INLINE)
    code = 1
    try:
        IPKernelApp.launch_instance(argv=asked["arguments"])
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def _compute(asked: dict[str, Any]) -> None:
    """Compute stages of a run, unless the mother ends before; never returns."""
    mother = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    os.chdir(asked["folder"])
    os.environ.update(asked["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)  # who waits for the stage computes it again, and says what is wrong

    def watch() -> None:
        while os.getppid() == mother:
            time.sleep(0.2)
        _thread.interrupt_main()
        time.sleep(SECONDS_TO_TIDY)
        os._exit(1)  # in the middle of a long fit; the next run removes what is left

    threading.Thread(target=watch, daemon=True).start()
    code = 1
    try:
        from threadpoolctl import threadpool_limits

        from segmentation.params import Parameters
        from segmentation.pipeline import Run

        threadpool_limits(os.cpu_count() or 1, user_api="blas")  # as in the process that asks
        run = Run(Parameters(**asked["parameters"]), Path(asked["runs_dir"]))
        with contextlib.closing(run.snapshot):
            for stage in asked["stages"]:
                run.stage(stage)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
