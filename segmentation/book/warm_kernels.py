"""Notebook kernels that are ready at once: forks of a process that has imported everything.

A kernel of its own for every notebook keeps notebooks apart. Where none can be forked (any
system but Linux), kernels start as Jupyter starts them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Dict

from segmentation.core.child_process import SAFE_PATH
from segmentation.run import forks

INLINE = "module://matplotlib_inline.backend_inline"
"""Loaded by the kernel, never before: it looks for the kernel when it is imported."""


class _Forked:
    """A forked kernel as the provisioner sees a process."""

    stdin = stdout = stderr = None

    def __init__(self, process: Any) -> None:
        self._process, self.pid = process, process.pid
        self.kill, self.terminate, self.wait = process.kill, process.terminate, process.join

    def poll(self) -> int | None:
        return None if self._process.is_alive() else 0

    def send_signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


class WarmKernelManager(AsyncKernelManager):
    """Jupyter's own manager, with forked kernels, each with more ``environment``."""

    environment = Dict(config=True)

    async def _async_pre_start_kernel(self, **settings: Any) -> Any:
        before = settings.get("env") or forks.environment_here()
        settings["env"] = before | SAFE_PATH | self.environment | {"MPLBACKEND": INLINE}
        if self.provisioner is None:
            self.provisioner = ForkingProvisioner(
                kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self
            )
        return await super()._async_pre_start_kernel(**settings)


class ForkingProvisioner(LocalProvisioner):
    """Launches the command of a kernel without a new interpreter."""

    async def launch_kernel(self, cmd: list[str], **settings: Any) -> Any:
        """Fork a kernel for the arguments behind ``python -m ipykernel_launcher``."""
        arguments, environment = cmd[cmd.index("-f") :], dict(settings["env"])
        try:
            forks.begin(*forks.NEEDED_BY_KERNELS)
            kernel = forks.start(_be_a_kernel, arguments, environment=environment)
        except (OSError, EOFError):  # none can be forked, or who forks was just killed
            return await super().launch_kernel(cmd, **settings)
        self.process: Any = _Forked(kernel)
        self.pid = self.pgid = self.process.pid
        return self.connection_info


def _be_a_kernel(arguments: list[str]) -> None:
    """Take the place of ``python -m ipykernel_launcher``; never returns."""
    import matplotlib as mpl
    from ipykernel.kernelapp import IPKernelApp

    # matplotlib read its backend at import, when there was no kernel to draw for
    mpl.rcParams["backend"] = os.environ["MPLBACKEND"]
    code = 1
    try:
        IPKernelApp.launch_instance(argv=arguments)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)
