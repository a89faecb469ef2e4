"""The guard before publishing: no page, file or picture with a path, a traceback or a customer id."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path

from segmentation.book.figure_words import words_of
from segmentation.core.errors import ReportError
from segmentation.core.parameters import PROJECT_ROOT
from segmentation.run.run import Run

MACHINE_PATHS = (str(PROJECT_ROOT), str(Path.home()), "site-packages", "/ipykernel_")
WITHOUT_CONTENT = "search.html"
"""A page of the theme's own words."""
_PREFIX = 64
_WORD = re.compile(r"\w+")
_CORE = re.compile(r"\w(?:.*\w)?")
_TAG = re.compile(r"<[^>]*>")
_VALUE = re.compile(r"""\s([a-z][\w:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.I)
_NO_WORDS = frozenset({"class", "style", "rel", "type", "role", "src", "d", "points", "integrity"})
_DASHES = re.compile("[-‐‑‒–—−]+")
_SIGNS = str.maketrans(dict.fromkeys("“”„", '"') | dict.fromkeys("‘’‚", "'") | {"…": "..."})
_POINT = re.compile(r'(?<=\d)</span><span class="\w+">\.</span><span class="\w+">(?=\d)')
"""The point of a number that the colours of code have cut up."""
_PICTURE_DATA = re.compile(r"data:image/png;base64,[\s\w+/=]*")
"""Points of a picture within a drawing, whose letters are nobody's."""
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_NUMBER = re.compile(r"\d+([.,]\d+)+%?|\d{4}-\d\d-\d\d")


def check_pages(built: Path, runs: dict[str, Run], source: Path) -> None:
    """Refuse to publish a page with a traceback, a machine path or a customer id.

    Raises
    ------
    ReportError
        Names the page or picture and the kind of leak, never the id itself.
    """
    ids = (text for run in runs.values() for text in run["segments"]["customer_id"])
    finder = _finder_of(ids, runs, built, source)
    for page in sorted(built.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        where = page.relative_to(built).as_posix()
        if "Traceback (most recent call last)" in text:
            raise ReportError(f"{where} shows a traceback; the book is not published.")
        if "&lt;Figure size" in text:
            raise ReportError(f"{where} shows the name of a figure, not the figure itself.")
        if 'class="output stderr' in text:
            raise ReportError(f"{where} shows a warning of a cell; the book is not published.")
        for path in MACHINE_PATHS:
            if len(path) > 5 and path in text:
                raise ReportError(f"{where} shows a path of this machine; not published.")
        finder.check(where, _texts_of(text))
    for file in sorted(built.rglob("*.csv")):
        quoted = _QUOTED.findall(file.read_text(encoding="utf-8"))  # numbers have no quotes
        finder.check(file.name, ["\n".join(quoted).replace('""', '"')])
    shipped = {path.name for path in (source / "book").rglob("*") if path.is_file()}
    for picture in sorted((built / "_images").glob("*")):
        if picture.suffix == ".svg":
            words: str | None = picture.read_text(encoding="utf-8")
        else:
            words = words_of(picture) if picture.suffix == ".png" else None
        if words is None and picture.name not in shipped:
            raise ReportError(
                f"_images/{picture.name} may show words that nobody can check; draw it with "
                "matplotlib, in a notebook that imports segmentation.book.plots."
            )
        finder.check(f"_images/{picture.name}", [words or ""])


class IdFinder:
    """Finds many ids, of whatever characters, in one pass over a text.

    Examples
    --------
    >>> finder = IdFinder(["Name/17", "073168"])
    >>> finder.found_in("Name/17, Name/175 and 1,073168"), finder.found_in("of 073168.")
    ({'Name/17'}, {'073168'})
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._beginning: dict[str, list[str]] = {}
        self._lengths: dict[str, set[int]] = {}
        self.left_out: set[str] = set()
        for one in ids:
            word = _WORD.match(one)
            if word:
                self._beginning.setdefault(one[:_PREFIX], []).append(one)
                self._lengths.setdefault(word[0][:_PREFIX], set()).add(min(len(one), _PREFIX))

    def found_in(self, text: str) -> set[str]:
        """Those that stand in a text, not as a part of a longer word or number."""
        text, found = _plain(text), set()
        for word in _WORD.finditer(text):
            start = word.start()
            for length in self._lengths.get(word[0][:_PREFIX], ()):
                for one in self._beginning.get(text[start : start + length], ()):
                    if text.startswith(one, start) and _stands_alone(text, start, start + len(one)):
                        found.add(one)
        return found - self.left_out

    def found_in_any(self, texts: Iterable[str]) -> set[str]:
        """Those that stand in some of the texts."""
        return set().union(*map(self.found_in, texts))

    def check(self, where: str, texts: list[str]) -> None:
        """Raise ReportError, without any id, where texts hold some."""
        if leaked := len(self.found_in_any(texts)):
            raise ReportError(f"{where} shows {leaked} customer id(s); the book is not published.")


def is_telling(customer_id: str) -> bool:
    """Whether an id, met on a page, can only be an id.

    Pages group the digits of their numbers and begin none with 0; a shorter id may be a
    year, a number of days or a word.

    Examples
    --------
    >>> [is_telling(one) for one in ("073168", "00042", "123456", "2023", "k3")]
    [True, True, True, False, False]
    >>> [is_telling(one) for one in ("A/17", "Name 17", "12,345.67", "2023-01-31")]
    [True, True, False, False]
    """
    if len(customer_id) < 4 or _NUMBER.fullmatch(customer_id):
        return False
    if len(customer_id) > 5 or customer_id.startswith("0"):
        return True
    # letters, digits and signs in one
    return all(re.search(kind, customer_id) for kind in (r"[^\W\d_]", r"\d", r"\W|_"))


def _plain(text: str) -> str:
    """A text without what a page changes of it: blanks, kinds of quotes and dashes."""
    return " ".join(_DASHES.sub("-", text.translate(_SIGNS)).split())


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether what is found is neither the start of a longer word nor a part of a number."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if after[:1].isalnum() or after[:1] == "_":
        return False
    ends_in_number = text[end - 1].isdigit() and re.fullmatch(r"[.,]\d", after)
    return not (
        ends_in_number or (text[start].isdigit() and re.search(r"\d[.,]$|(^|\W)\.$", before))
    )


def _texts_of(page: str) -> list[str]:
    """What a page says: between its tags, whole where tags cut it up, and in attributes."""
    page = _POINT.sub(".", _PICTURE_DATA.sub("", page)).replace("<!--", " ")
    values = (
        value or other
        for tag in _TAG.findall(page)
        for name, value, other in _VALUE.findall(tag)
        if name.lower() not in _NO_WORDS
    )
    texts = (_TAG.sub(" ", page), _TAG.sub("", page), "\n".join(values))
    return [html.unescape(text) for text in texts]


def _finder_of(ids: Iterable[str], runs: dict[str, Run], built: Path, source: Path) -> IdFinder:
    """A finder of the ids that, met in the book, can only come from data."""
    plain = (one if one.isalnum() else _core(one) for one in map(str, ids))
    telling = {one for one in plain if is_telling(one)}
    finder = IdFinder(telling)
    said = _read(source.glob("book/*.md"))
    for run in runs.values():
        said += [str(value) for value in run.parameters.as_plain().values()]
        said += [str(text) for text in run["sql"].values()]
        said.append(str(run.rules))
    finder.left_out |= finder.found_in_any(said)
    # a customer may be called like any word of a page; one with digits is none of them
    if like_words := {one for one in telling if not re.search(r"\d", one)}:
        package = Path(__file__).parents[1]
        said = [*runs, *_read(source.glob("notebooks/*.py"))]
        said += _read([*package.rglob("*.py"), *package.rglob("*.yaml")])
        said += _texts_of("".join(_read(built.glob(WITHOUT_CONTENT))))
        finder.left_out |= IdFinder(like_words).found_in_any(said)
    return finder


def _core(text: str) -> str:
    """An id from its first letter or digit to its last."""
    found = _CORE.search(_plain(text))
    return found[0] if found else ""


def _read(paths: Iterable[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]
