"""Checks that every relative link of the hand-written documents leads somewhere.

``python -m segmentation.document_links`` lists what leads nowhere; `make check` runs it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from segmentation.core.parameters import PROJECT_ROOT

DOCUMENTS = ("*.md", "book/*.md", "data/*.md")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)


def documents(root: Path = PROJECT_ROOT) -> list[Path]:
    """The hand-written Markdown documents of the project."""
    return sorted(path for pattern in DOCUMENTS for path in root.glob(pattern))


def broken_links(paths: list[Path]) -> list[str]:
    """Links of documents to files, or to headings of documents, that are not there.

    Returns
    -------
    list of str
        One ``document:line: target`` each. Addresses of other machines are not looked up.
    """
    return [
        f"{path}:{line}: {target}"
        for path in paths
        for line, target in links(path.read_text(encoding="utf-8"))
        if not _leads_somewhere(path, target)
    ]


def links(text: str) -> Iterator[tuple[int, str]]:
    """(line, target) of every relative link and image of a Markdown text, code left out.

    Examples
    --------
    >>> list(links("[a](b.md) `[c](d.md)` ![e](f.png)\\n[g](https://example.org)"))
    [(1, 'b.md'), (1, 'f.png')]
    """
    prose = _CODE.sub(_blank, _FENCE.sub(_blank, text))
    for match in _LINK.finditer(prose):
        target = match.group(1)
        if not urlsplit(target).scheme:
            yield prose.count("\n", 0, match.start()) + 1, target


def anchors(text: str) -> set[str]:
    """Anchors of a Markdown text: its headings as GitHub and MyST name them, and labels.

    Examples
    --------
    >>> sorted(anchors("# Run it, again\\n## `k` and *k*\\n(own-label)=\\n## k and k"))
    ['k-and-k', 'k-and-k-1', 'own-label', 'run-it-again']
    """
    prose = _FENCE.sub(_blank, text)
    found: set[str] = set(_LABEL.findall(prose))
    for heading in _HEADING.findall(prose):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words))
        number = sum(1 for one in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", one))
        found.add(f"{name}-{number}" if number else name)
    return found


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def _leads_somewhere(document: Path, target: str) -> bool:
    parts = urlsplit(target)
    file = (document.parent / unquote(parts.path)) if parts.path else document
    if not file.exists():
        return False
    if not parts.fragment or file.suffix != ".md":
        return True
    return unquote(parts.fragment) in anchors(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    if found := broken_links(documents()):
        shown = "\n".join(line.removeprefix(f"{PROJECT_ROOT}/") for line in found)
        sys.exit(f"links that lead nowhere:\n{shown}")
