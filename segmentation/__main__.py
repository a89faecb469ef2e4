"""Entry point: `python -m segmentation …` is the `segmentation` command.

Ctrl-C while the libraries are still loading ends like any other interruption.
"""

import contextlib
import os
import signal
import sys

from segmentation.core.interruption import interrupt

DATABASE_COMMANDS = ("run", "report", "check", "demo", "materialize")


def preload_driver() -> None:
    """Load the database driver's C extension before anything else where it may be used.

    Its own encryption library cannot be loaded once Python has loaded the system's, and the
    driver would then be several times slower without a word.
    """
    if sys.argv[1:2] and sys.argv[1] in DATABASE_COMMANDS:
        with contextlib.suppress(ImportError):  # pure Python gives the same values
            import _mysql_connector  # noqa: F401


def open_closed_streams() -> None:
    """Put the null device where standard input, output or error is closed.

    Else the next file that is opened takes its number, and what a library prints goes there.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def main() -> None:
    """Load the command line and run it."""
    open_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may have it ignored
        signal.signal(signal.SIGINT, interrupt)
    os.environ["PYTHONSAFEPATH"] = "1"  # whatever a library starts, no module of this folder
    preload_driver()
    try:
        from segmentation.cli import main as run
    except KeyboardInterrupt:
        print("segmentation: interrupted; previous outputs are unchanged.", file=sys.stderr)
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
