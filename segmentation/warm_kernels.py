"""Notebook kernels that are ready at once: forks of a process that has imported everything.

A kernel of its own for every notebook keeps notebooks apart, but importing the libraries
takes longer than most chapters. A mother process imports them once, while the stages
compute; it computes nothing itself, so its forks begin as fresh as a new interpreter.
Where there is none (any system but Linux, or one that ended), kernels start as Jupyter
starts them. See `kernel_mother`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import weakref
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode
from traitlets.config import Config

from segmentation.child_process import SAFE_PATH
from segmentation.kernel_mother import INLINE, MOTHER
from segmentation.remembered_figures import FOLDER_VARIABLE


class _Forked:
    """A forked kernel as the provisioner sees a process."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)  # means this very process, whatever comes after it

    def poll(self) -> int | None:
        """0 when it has ended; its mother alone knows how."""
        return 0 if select.select([self._handle], [], [], 0)[0] else None

    def wait(self) -> int:
        select.select([self._handle], [], [])
        return 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __del__(self) -> None:
        os.close(self._handle)


_KERNELS: weakref.WeakSet[_Forked] = weakref.WeakSet()


def kernel_settings(figures: Path | None, *, profiles: Path) -> Config:
    """What nbclient must know to take its kernels from here.

    Parameters
    ----------
    figures : Path or None
        Folder in which kernels remember the pictures of figures; None = none remembered.
    profiles : Path
        Empty folder for IPython's own profile.
    """
    return Config(
        NotebookClient={"kernel_manager_class": WarmKernelManager},
        WarmKernelManager={"figures": str(figures or ""), "profiles": str(profiles)},
    )


def end_kernels() -> None:
    """Kill what is running: who waits for a kernel then learns that it is dead."""
    for kernel in list(_KERNELS):
        kernel.kill()


class WarmKernelManager(AsyncKernelManager):
    """Jupyter's own manager, with kernels forked from the mother process."""

    figures = Unicode(config=True)
    profiles = Unicode(config=True)

    async def _async_pre_start_kernel(self, **settings: Any) -> Any:
        environment = settings.get("env") or os.environ
        settings["env"] = {
            **environment,
            **SAFE_PATH,
            FOLDER_VARIABLE: self.figures,
            "MPLBACKEND": INLINE,
            "IPYTHONDIR": self.profiles,  # nobody's own profile decides what a report shows
        }
        if self.provisioner is None:
            self.provisioner = ForkingProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**settings)


class ForkingProvisioner(LocalProvisioner):
    """Launches the command of a kernel without a new interpreter."""

    async def launch_kernel(self, cmd: list[str], **settings: Any) -> Any:
        """Fork a kernel for the arguments behind ``python -m ipykernel_launcher``."""
        environment = dict(settings.get("env") or os.environ)
        try:
            kernel = _Forked(MOTHER.fork(cmd[cmd.index("-f") :], environment))
        except (OSError, ValueError):
            return await super().launch_kernel(cmd, **settings)
        _KERNELS.add(kernel)
        self.process: Any = kernel
        self.pid = self.pgid = kernel.pid
        return self.connection_info
