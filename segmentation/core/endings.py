"""How a command ends: a user's mistake is one sentence and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from segmentation.core.errors import ReportError, SegmentationError
from segmentation.core.interruption import begin_command, came_too_late, interrupt, outputs_replaced

MISTAKE = 2
FULL = (errno.ENOSPC, errno.EDQUOT)


def _fail(message: str, *, code: int = MISTAKE) -> None:
    click.echo(f"segmentation: {message}", err=True)
    sys.exit(code)


def _drop_what_is_left() -> None:
    """Let nothing be printed when Python ends: where it would go takes no more."""
    with contextlib.suppress(io.UnsupportedOperation):  # none but the real one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(command: Callable[[], Any]) -> None:
    """Run a command; a user's mistake becomes one sentence and exit code 2."""
    signal.signal(signal.SIGTERM, interrupt)
    begin_command()
    try:
        command()
        sys.stdout.flush()
        if came_too_late():
            click.echo(
                "segmentation: interrupted at the end; the new outputs are in place.", err=True
            )
    except SegmentationError as error:
        _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        _fail(
            "interrupted; the new outputs are in place."
            if outputs_replaced()
            else "interrupted; previous outputs are unchanged."
        )
    except click.ClickException as error:
        _fail(error.format_message())
    except BrokenPipeError:
        _drop_what_is_left()
    except (OSError, RuntimeError) as error:
        # shutil, kernels and Jupyter Book say in words alone what went wrong with files
        full = [code for code in FULL if os.strerror(code) in str(error)]
        if isinstance(error, ReportError) and not full:
            _fail(str(error), code=1)
        if not full:
            raise
        _drop_what_is_left()
        _fail(
            f"cannot write: {os.strerror(full[0]).lower()}; free some space, or choose a place on "
            "another disk."
        )
    except MemoryError:
        _fail("not enough memory for this data; use a machine with more.")
