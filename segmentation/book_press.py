"""Jupyter Book in a process of its own, started before there is anything to build.

`python -m segmentation.book_press` imports what a build needs, then reads the arguments of one
`jupyter-book` command from standard input (JSON) and is that command. Without any it ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys

from segmentation.child_process import environment_of_this_package, python_of_this_package

NEEDED = (
    *("jupyter_book.cli.main", "jupyter_book.sphinx", "sphinx.builders.html"),
    *("myst_nb.sphinx_ext", "sphinx_book_theme", "sphinxcontrib.bibtex"),
)


class Press:
    """The process, from here: started on entering, gone on leaving."""

    def __enter__(self) -> Press:
        """Start it; it goes on importing while we go on working."""
        self._process = subprocess.Popen(
            [*python_of_this_package(), "segmentation.book_press"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment_of_this_package()
            | {"PYTHONWARNINGS": "ignore", "SOURCE_DATE_EPOCH": "0"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End it, also in the middle of a build."""
        self._process.kill()
        self._process.communicate()

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and log of a ``jupyter-book`` command; a process is good for one."""
        log, _ = self._process.communicate(json.dumps(arguments))
        return self._process.returncode, log


def main() -> None:
    """Import, wait for the arguments, build."""
    for name in NEEDED:
        importlib.import_module(name)
    with contextlib.suppress(KeyboardInterrupt):
        arguments = sys.stdin.read()
        if arguments:
            from jupyter_book.cli.main import main as jupyter_book

            sys.argv = ["jupyter-book", *json.loads(arguments)]
            jupyter_book()


if __name__ == "__main__":
    main()
