"""Pictures of figures, remembered by everything that decides them.

A report draws some forty figures, most of them the same as in the report before: another
currency changes no silhouette. Where the kernels of a report are told a folder, the picture
of a figure is kept there under a key made of the function that drew it, its arguments, the
code of the package and the versions it draws with. A figure that was changed after it was
drawn is drawn again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import io
import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segmentation.atomic import atomic_path
from segmentation.errors import OutputError
from segmentation.stage_cache import package_fingerprint

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
        # a report does not fail for want of memory
        with contextlib.suppress(OSError, OutputError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as beside:
                beside.write_bytes(drawn.getvalue())
        return result


def remember(figure: Figure, drawn_by: Callable[..., Figure], arguments: Any) -> None:
    """Let a figure that was just drawn be remembered, in the kernel of a report."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        return
    with contextlib.suppress(TypeError):  # arguments that cannot be told apart: drawn anew
        name = f"{drawn_by.__module__}.{drawn_by.__qualname__}"
        key = f"{name} {digest_of(arguments)} {drawing_code()}"
        RememberingCanvas(figure, key, Path(folder))
        figure.stale = False  # any change from here on says so


def digest_of(value: Any) -> str:
    """The same text for equal tables and plain values, in whatever process.

    Raises
    ------
    TypeError
        If something in it is neither.

    Examples
    --------
    >>> digest_of({"a": [1, 2.0]}) == digest_of({"a": [1, 2.0]})
    True
    >>> digest_of([1, "1"]) == digest_of([1, 1])
    False
    """
    return hashlib.sha256(repr(_plain(value)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A value as nested tuples whose text says all there is to it."""
    if value is None or isinstance(value, bool | int | float | str | Decimal | dt.date):
        return type(value).__name__, repr(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        rows = pd.util.hash_pandas_object(value).to_numpy().tobytes()
        kinds = value.dtypes if isinstance(value, pd.DataFrame) else [value.dtype]
        names = list(value.columns) if isinstance(value, pd.DataFrame) else [value.name]
        return "table", repr(names), [str(kind) for kind in kinds], hashlib.sha256(rows).hexdigest()
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype == object:
            return "objects", array.shape, _plain(array.ravel().tolist())
        return str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()
    if isinstance(value, Mapping):
        return "mapping", [(_plain(key), _plain(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return "sequence", [_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} is no plain value")


@cache
def drawing_code() -> str:
    """Hash of the whole package and the versions that draw."""
    digest = hashlib.sha256()
    for name in DRAWING_PACKAGES:
        digest.update(f"{name} {metadata.version(name)}\0".encode())
    digest.update(package_fingerprint().encode())
    return digest.hexdigest()
