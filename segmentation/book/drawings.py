"""Figures as drawings of lines and words, which stay sharp, are searched and fit a phone.

A figure carries two drawings in the notebook's output besides its picture: one as wide as a
page, one as narrow as a phone, with texts of the same size. They take the picture's place in
the finished page, with the picture's own words for the blind; the picture stays for previews.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

KIND = "application/vnd.segmentation.drawings+json"
FONT = "DejaVuSans.woff"
_SHARP = 200
"""Dots per inch of what is a picture within a drawing."""
MOST_POINTS = 40
"""Points of a line that a drawing holds as numbers; of more, each may be one customer's."""
_PIXELS = 128 / 72
"""Pixels of a page per point of a drawing: as large as the picture."""
_IMAGE = re.compile(r'<img\b[^>]*? src="([^"]*\.png)"[^>]*>')
_ALT = re.compile(r'\balt="([^"]*)"')
_ASIDE = re.compile(
    r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
    r"| font-family: [^;\"]*;| transform=\"rotate\(-0 [^\"]*\"",
    re.DOTALL,
)
"""What a page says for all drawings, or nobody reads."""
_NAMED = re.compile(r'\s+id="([^"]*)"')
_USED = re.compile(r'(?:href="#|url\(#)([^")]*)')
_SIZE = re.compile(r'<svg\b.*?viewBox="([^"]*)".*?>', re.DOTALL)


def drawn(figure: Figure) -> str:
    """A figure as SVG whose texts are text; what is drawn of many points is a picture in it."""
    written = io.StringIO()
    for line in figure.findobj(Line2D):
        line.set_rasterized(np.size(line.get_xdata()) > MOST_POINTS)  # type: ignore[attr-defined]
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(written, format="svg", bbox_inches="tight", transparent=True,
                       dpi=_SHARP, metadata={"Date": None})  # fmt: skip
    return written.getvalue()


def bundle(wide: Figure, narrow: Figure | None) -> dict[str, Any]:
    """Both drawings as an output of a notebook carries them."""
    return {KIND: {"wide": drawn(wide), "narrow": drawn(narrow) if narrow else ""}}


def set_aside(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Take the drawings out of a chapter into files named after their pictures' contents."""
    folder.mkdir(exist_ok=True)
    for output in (one for cell in notebook.cells for one in cell.get("outputs", [])):
        drawings = output.get("data", {}).pop(KIND, None)
        if drawings and (picture := output.data.get("image/png")):
            name = hashlib.sha256(b64decode(picture)).hexdigest()
            (folder / name).write_text(json.dumps(drawings), encoding="utf-8")
    return notebook


class Drawings:
    """What was set aside, put into pages; ``letters`` are all characters they are written in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.letters: set[str] = set()

    def in_place(self, page: str, where: Path) -> str:
        """A page, of the file ``where``, with drawings in place of the pictures it shows."""
        return _IMAGE.sub(lambda image: self._instead(image, where), page)

    def _instead(self, image: re.Match[str], where: Path) -> str:
        picture = where.parent / image[1]
        name = hashlib.sha256(picture.read_bytes()).hexdigest() if picture.is_file() else ""
        if not name or not (self._folder / name).is_file():
            return image[0]
        both = json.loads((self._folder / name).read_text(encoding="utf-8"))
        shown = {kind: in_page(svg, f"{kind[0]}{name[:10]}") for kind, svg in both.items() if svg}
        self.letters |= set(html.unescape("".join(shown.values())))
        is_wide_only = ' scrolls" tabindex="0"' if "narrow" not in shown else '"'
        alt = _ALT.search(image[0])
        return (
            f'<div class="drawing{is_wide_only} role="img" aria-label="{alt[1] if alt else ""}">'
            + "".join(f'<div class="{kind}">{svg}</div>' for kind, svg in shown.items())
            + "</div>"
        )

    def write_font(self, static: Path) -> None:
        """Ship the letters of the font that the drawings were measured with."""
        from fontTools import subset  # slow to load, and no notebook needs it

        if not self.letters:
            return
        options = subset.Options(flavor="woff", notdef_outline=True)
        options.drop_tables += ["FFTM"]  # of which it would say that it knows nothing
        font = subset.load_font(
            f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf", options, dontLoadGlyphNames=True
        )
        cut = subset.Subsetter(options)
        cut.populate(unicodes=map(ord, self.letters))
        cut.subset(font)
        subset.save_font(font, str(static / FONT), options)


def in_page(svg: str, name: str) -> str:
    """A drawing fit to stand in a page: as wide as it has room, its ids nobody else's.

    Examples
    --------
    >>> in_page('<?xml?><svg width="9pt" viewBox="0 0 9 8" ><g id="a"><use href="#b"/></g></svg>', "f")
    '<svg viewBox="0 0 9 8" style="max-width: 16px"><g><use href="#f-b"/></g></svg>'
    """
    svg = _ASIDE.sub("", svg[svg.index("<svg") :])
    used = dict.fromkeys(_USED.findall(svg))
    svg = _NAMED.sub(lambda one: f' id="{name}-{one[1]}"' if one[1] in used else "", svg)
    svg = _USED.sub(lambda one: one[0].replace(f"#{one[1]}", f"#{name}-{one[1]}"), svg)
    return _SIZE.sub(_opened, svg, count=1).strip()


def _opened(tag: re.Match[str]) -> str:
    width = float(tag[1].split()[2]) * _PIXELS
    return f'<svg viewBox="{tag[1]}" style="max-width: {width:.0f}px">'
