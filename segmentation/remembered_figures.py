"""Pictures of figures, remembered by everything that decides them.

A report draws some forty figures, most of them the same as in the report before: another
currency changes no silhouette. Where the kernels of a report are told a folder, the picture
of a figure is kept there under a key made of the function that drew it, its arguments, the
code of the package and the versions it draws with. A figure that was changed after it was
drawn is drawn again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FOLDER_VARIABLE = "SEGMENTATION_FIGURES"
"""Names the folder to the kernels of a report; without it nothing is remembered."""
DRAWING_PACKAGES = ("matplotlib", "numpy", "pandas", "pillow")
_WHOLE_PNG = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")


class RememberingCanvas(FigureCanvasAgg):
    """Draws a figure, or gives the picture that the same call with the same arguments gave."""

    def __init__(self, figure: Figure, key: str, folder: Path) -> None:
        super().__init__(figure)
        self._key, self._folder = key, folder

    def print_figure(self, filename: Any, *positional: Any, **how: Any) -> Any:
        """As matplotlib's, into a buffer of bytes from memory where that is possible."""
        remembers = isinstance(filename, io.BytesIO) and not positional
        if not remembers or self.figure.stale or how.get("format") != "png":
            return super().print_figure(filename, *positional, **how)
        settings = {k: v for k, v in mpl.rcParams.items() if not k.startswith("backend")}
        key = hashlib.sha256(f"{self._key} {sorted(how.items())} {settings}".encode()).hexdigest()
        path = self._folder / f"{key[:40]}.png"
        with contextlib.suppress(OSError):
            picture = path.read_bytes()
            if picture.startswith(_WHOLE_PNG[0]) and picture.endswith(_WHOLE_PNG[1]):
                filename.write(picture)
                return None
        drawn = io.BytesIO()
        result = super().print_figure(drawn, **how)
        filename.write(drawn.getvalue())
        with contextlib.suppress(OSError):  # a report does not fail for want of memory
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(f".{os.getpid()}")
            beside.write_bytes(drawn.getvalue())
            beside.replace(path)
        return result


def remember(figure: Figure, drawn_by: Callable[..., Figure], arguments: Any) -> None:
    """Let a figure that was just drawn be remembered, in the kernel of a report."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        return
    with contextlib.suppress(Exception):  # arguments that cannot be told apart: drawn anew
        name = f"{drawn_by.__module__}.{drawn_by.__qualname__}"
        key = f"{name} {joblib.hash(arguments, hash_name='sha1')} {_drawing_code()}"
        RememberingCanvas(figure, key, Path(folder))
        figure.stale = False  # any change from here on says so


@cache
def _drawing_code() -> str:
    """Hash of the whole package and the versions that draw."""
    digest = hashlib.sha256()
    for name in DRAWING_PACKAGES:
        digest.update(f"{name} {metadata.version(name)}\0".encode())
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
