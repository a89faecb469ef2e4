"""What a picture says in words goes with it, for whoever checks it before it is published.

A reader sees the labels of a picture, a program sees its points of colour. So every text that a
figure draws is written into its PNG file too, where the check of the book reads it.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.text import Text

_KIND, _KEYWORD = b"iTXt", b"Words" + bytes(5)  # neither compressed nor in a named language
_DRAW = FigureCanvasBase.print_figure
_AFTER_HEADER = 33
"""Bytes of a PNG file before its second chunk: signature and header have one length."""


def let_pictures_speak() -> None:
    """From here on each PNG file that matplotlib draws in this process holds its texts.

    Also those of an analyst's own figures, whatever library makes them of matplotlib's.
    """
    FigureCanvasBase.print_figure = _print_figure  # type: ignore[method-assign, assignment]


def _print_figure(self: FigureCanvasBase, filename: Any, *positional: Any, **how: Any) -> Any:
    kind = how.get("format") or Path(str(filename)).suffix[1:] or "png"
    if kind != "png":
        return _DRAW(self, filename, *positional, **how)
    drawn = io.BytesIO()
    how["format"] = "png"
    result = _DRAW(self, drawn, *positional, **how)
    content = _with_words(drawn.getvalue(), _texts_of(self.figure))
    if hasattr(filename, "write"):
        filename.write(content)
    else:
        Path(filename).write_bytes(content)
    return result


def words_of(picture: Path) -> str | None:
    """The texts of a PNG file drawn by a figure; None where nobody wrote them."""
    return words_in(picture.read_bytes())


def words_in(png: bytes) -> str | None:
    """The texts of a drawn PNG; None where nobody wrote them."""
    content = png[_AFTER_HEADER:]
    if content[4:8] != _KIND or not content[8:].startswith(_KEYWORD):
        return None
    end = 8 + int.from_bytes(content[:4], "big")
    return content[8 + len(_KEYWORD) : end].decode("utf-8")


def _texts_of(figure: Figure) -> list[str]:
    artists = [artist for artist in figure.findobj(Text) if isinstance(artist, Text)]
    return list(dict.fromkeys(text for one in artists if (text := one.get_text().strip())))


def _with_words(png: bytes, texts: list[str]) -> bytes:
    """The file with a chunk of international text behind its header."""
    body = _KEYWORD + "\n".join(texts).encode("utf-8", "replace")
    check = zlib.crc32(_KIND + body)
    chunk = len(body).to_bytes(4, "big") + _KIND + body + check.to_bytes(4, "big")
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]
