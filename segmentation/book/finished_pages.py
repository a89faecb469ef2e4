"""What is done to the built pages: light, described, one part a data set, terms explained."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path

from segmentation.book.drawings import Drawings
from segmentation.book.small_screens import folded, labelled

_ICON_SCRIPT = re.compile(r'\s*<script[^>]*src="[^"]*/fontawesome\.js[^"]*"[^>]*></script>')
_SEARCH = re.compile(r'(<button class="btn search-button-field[^>]*) aria-label="Search"')
"""A button that says "Search Ctrl+K" is not to be called otherwise to those who hear it."""
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_LEAD = re.compile(r'class="(?:finding docutils">\s*<p|front-head")>(.*?)</p>', re.DOTALL)
_ARTICLE = re.compile(r'<article class="bd-article".*?</article>', re.DOTALL)
_PARAGRAPH = re.compile(r"<(p|li)>(.*?)</\1>", re.DOTALL)
_PICTURE = re.compile(r'<img[^>]* src="([^"]*)"')
_STEP = re.compile(r'<a class="(?:left-prev|right-next)"\s+href="([^"]*)".*?</a>', re.DOTALL)
_TERM_ROW = re.compile(r"^\| ([^|]+) \| (.+) \|$", re.MULTILINE)
_GLOSSARY_ROW = re.compile(r"(<tr[^>]*)>(<td><p>)(.*?)(</p></td>)")
_UNTOUCHED = re.compile(r"(<(?:a|code|strong|b)\b.*?</(?:a|code|strong|b)>|<[^>]*>)", re.DOTALL)
_FIRST, _GLOSSARY, _PREVIEW = "book/introduction.html", "book/glossary.html", "front-page.png"
_EVERYDAY = frozenset(
    [
        "arm",
        "centre",
        "cluster",
        "features",
        "finding",
        "group",
        "k",
        "knee",
        "ledger",
        "lift",
        "margin",
        "mean",
        "model",
        "play",
        "profile",
        "quantile",
        "rule",
        "run",
        "seed",
        "segment",
        "source",
        "transactions",
        "word",
    ]
)
"""Words of the glossary that pages use in their plain meaning too, or that name another thing."""


def finish_pages(built: Path, titles: Mapping[str, str], drawings: Drawings) -> None:
    """Finish every page of the book; ``titles`` of the parts by the folder of their chapters."""
    terms = glossary_terms((built / _GLOSSARY).read_text("utf-8"))
    for page in built.rglob("*.html"):
        where = page.relative_to(built)
        text = _ICON_SCRIPT.sub("", page.read_text(encoding="utf-8"))
        text = _SEARCH.sub(r"\1", text)
        text = text.replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )
        if "_static" not in where.parts and "<article" in text:
            text = _finished(text, where, titles.get(where.parts[0]), terms)
            text = drawings.in_place(text, page)
        page.write_text(text, encoding="utf-8")
    drawings.write_font(built / "_static")
    for script in built.rglob("fontawesome.js*"):
        script.unlink()  # all icons there are, 1.5 MB; its style sheet draws the same ones


def _finished(text: str, where: Path, part: str | None, terms: Mapping[str, str]) -> str:
    up = "../" * (len(where.parts) - 1)
    text = described(text, part, up)
    text = _STEP.sub(lambda step: "" if _leaves(where, step[1]) else step[0], text)
    text = text.replace('<th class="head', '<th scope="col" class="head')
    text = folded(labelled(text))
    text = text.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    text = re.sub("(Show|Hide) code cell output", r"\1 the table", text)
    if where.as_posix() == _GLOSSARY:
        return _GLOSSARY_ROW.sub(_anchored, text)
    return _ARTICLE.sub(lambda found: explained(found[0], terms, up), text)


def described(page: str, part: str | None, up: str) -> str:
    """A page whose tab names its data set, and which says its answer where its link is shown."""
    found, lead = _TITLE.search(page), _LEAD.search(page)
    article = _ARTICLE.search(page)
    if found is None or article is None:
        return page
    texts = [lead[1]] if lead else [found[2] for found in _PARAGRAPH.finditer(article[0])]
    plain = (" ".join(html.unescape(re.sub("<[^>]*>", "", text)).split()) for text in texts)
    picture = _PICTURE.search(article[0])
    chapter = found[1].split(" &#8212; ")[0].strip()
    said = next((text for text in plain if text.endswith(".")), part or html.unescape(chapter))
    title = f"{chapter} | {html.escape(part)}" if part else found[1].strip()
    shown = picture[1] if picture else f"{up}_static/{_PREVIEW}"
    head = (
        f"<title>{title}</title>\n"
        f'<meta name="description" content="{html.escape(said)}" />\n'
        f'<meta property="og:title" content="{title}" />\n'
        f'<meta property="og:description" content="{html.escape(said)}" />\n'
        f'<meta property="og:image" content="{html.escape(shown)}" />'
    )
    if part:
        head += f"\n<style>@page {{ @top-left {{ content: {css_text(f'{part}: {html.unescape(chapter)}')}; }} }}</style>"
    return page[: found.start()] + head + page[found.end() :]


def css_text(text: str) -> str:
    """A text as a string of a style sheet inside a page.

    Examples
    --------
    >>> print(css_text('A "quoted" <shop>'))
    "A \\22 quoted\\22  \\3c shop>"
    """
    return '"' + re.sub(r'["\\<\n]', lambda found: f"\\{ord(found[0]):x} ", text) + '"'


def _leaves(where: Path, target: str) -> bool:
    """Whether a step to the next or previous page leads into another part of the book."""
    return target.startswith("../") and _FIRST not in (where.as_posix(), target.removeprefix("../"))


def glossary_terms(page: str) -> dict[str, str]:
    """Anchor of each term that other pages link to, by the words that they use."""
    words = [re.sub("<[^>]*>|,.*", "", row[3]) for row in _GLOSSARY_ROW.finditer(page)]
    return {word: anchor_of(word) for word in words if word not in _EVERYDAY}


def anchor_of(word: str) -> str:
    """Where the glossary explains a word.

    Examples
    --------
    >>> anchor_of("adjusted Rand index")
    'term-adjusted-rand-index'
    """
    return "term-" + re.sub("[^a-z0-9]+", "-", word.lower()).strip("-")


def _anchored(row: re.Match[str]) -> str:
    word = re.sub("<[^>]*>|,.*", "", row[3])
    return f'{row[1]} id="{anchor_of(word)}">{row[2]}{row[3]}{row[4]}'


def explained(article: str, terms: Mapping[str, str], up: str) -> str:
    """An article in which the first use of each term in its prose leads to the glossary.

    Examples
    --------
    >>> explained("<p>A <a>median</a>, 2 medians, a median.</p>", {"median": "term-median"}, "../")
    '<p>A <a>median</a>, 2 <a class="term" href="../book/glossary.html#term-median">medians</a>, a median.</p>'
    """
    left = dict(terms)
    if not left:
        return article
    longest = sorted(map(re.escape, left), key=len, reverse=True)
    known = re.compile(rf"(?<![\w-])({'|'.join(longest)})(e?s)?(?![\w-])", re.IGNORECASE)
    by_words = {word.lower(): word for word in left}

    def link(found: re.Match[str]) -> str:
        anchor = left.pop(by_words[found[1].lower()], None)
        return (
            f'<a class="term" href="{up}{_GLOSSARY}#{anchor}">{found[0]}</a>'
            if anchor
            else found[0]
        )

    def paragraph(found: re.Match[str]) -> str:
        parts = _UNTOUCHED.split(found[2])
        parts[::2] = [known.sub(link, text) for text in parts[::2]]
        return f"<{found[1]}>{''.join(parts)}</{found[1]}>"

    return _PARAGRAPH.sub(paragraph, article)
