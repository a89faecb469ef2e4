"""Small pieces of every sentence: inert text, lists, tables."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from segmentation.book.behind import about_few, bundle, hide_few
from segmentation.core.columns import FEATURES, format_percent, format_value
from segmentation.core.groups import ALL_CUSTOMERS, group_labels, short_groups
from segmentation.core.limits import LEAST_PUBLISHED, LONGER_SILENT, ONE_CUSTOMER
from segmentation.core.palette import in_the_dark
from segmentation.core.phrases import listed, plural, told

__all__ = ["listed", "plural", "told"]


_POWERS = {"": "", "K": "e3", "M": "e6", "bn": "e9"}


class Html:
    """HTML that a notebook shows, with the data behind it; its text is for other places."""

    def __init__(self, markup: str, text: str, data: pd.DataFrame | None = None) -> None:
        self.markup = markup
        self.text = text
        self.data = data

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle(self.data)

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.text


class Prose:
    """Markdown that a notebook shows; where there is nothing to say, nothing is shown.

    IPython's own Markdown shows its class name in place of an empty text.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str | None:
        return self.text or None

    def __repr__(self) -> str:
        return self.text


def inert(text: object) -> str:
    """Text from data made harmless in Markdown: no markup, link, math or HTML survives.

    Examples
    --------
    >>> inert("<b>*x*</b> $1 [a](javascript:b)")
    '&lt;b&gt;&#42;x&#42;&lt;/b&gt; &#36;1 &#91;a&#93;&#40;javascript&#58;b&#41;'
    """
    flat = " ".join(str(text).split())
    escaped = html.escape(flat, quote=False)
    return re.sub(r"[*_`\[\](){}$|~^\\:!#]", lambda m: f"&#{ord(m.group())};", escaped)


def in_code(text: object) -> str:
    """Text from data inside a code span or block of Markdown, which it cannot end.

    Examples
    --------
    >>> in_code("a `b`\\n```c")
    'a b c'
    """
    return " ".join(str(text).replace("`", " ").split())


def in_runs(folder_name: str, part: str = "") -> str:
    """A run's folder, or what is in it, as a command on a page names it.

    Examples
    --------
    >>> in_runs("cdnow", "/model"), in_runs("my shop.1a2b3c4d")
    ('runs/cdnow/model', "'runs/my shop.1a2b3c4d'")
    """
    return shlex.quote(in_code(f"runs/{folder_name}{part}"))


def with_code(text: object) -> str:
    """Text as HTML, with what stands between backticks as code.

    Examples
    --------
    >>> with_code("set by `a < b`")
    'set by <code>a &lt; b</code>'
    """
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(str(text)))


def in_colour(colour: str) -> str:
    """The attribute that gives an element the colour of its segment, by day and by night."""
    return (
        f' style="--own: {html.escape(colour)}; --own-dark: {in_the_dark(colour)}"'
        if colour
        else ""
    )


def half_words(shares: pd.DataFrame) -> str:
    """How far chance may move how many customers bring half of the revenue."""
    half = shares[shares["measure"] == "customers_for_half"]
    if half.empty or half["low"].isna().any():
        return "; how far chance may move that cannot be said"
    low, high = (f"{float(half[end].iloc[0]):,.0f}" for end in ("low", "high"))
    return f"; had other such customers come, {low} to {high}, 95% interval"


def as_sentence(text: str) -> str:
    """A phrase as a sentence of its own.

    Examples
    --------
    >>> as_sentence("nothing yet: too few")
    'Nothing yet: too few.'
    """
    return f"{text[:1].upper()}{text[1:]}."


def table_of(
    rows: pd.DataFrame, *, caption: str, numeric: Iterable[str] = (), of_groups: bool = True
) -> Html:
    """An HTML table of ready-made texts, everything escaped, numbers to the right.

    `Code` in a text or the caption is shown as code. A table wider than the page scrolls
    in its own box, which the keyboard reaches. Figures of few customers are not shown. What
    is not ``of_groups`` but of single customers is not to be downloaded. Without a row there
    is no table.
    """
    if rows.empty:
        return Html("", "")
    right = set(numeric)
    given, rows = rows, hide_few(rows, [*right])
    caption = f"{caption} {about_few(given, rows)}".strip()

    def cell(tag: str, name: str, value: Any) -> str:
        kind = ' class="num"' if name in right else ""
        kind += ' scope="col"' if tag == "th" else ""
        kind += _sorted_by(value) if tag == "td" and name in right else ""
        return f"<{tag}{kind}>{with_code(value)}</{tag}>"

    head = "".join(cell("th", str(name), name) for name in rows.columns)
    body = "".join(
        "<tr>"
        + "".join(cell("td", str(n), v) for n, v in zip(rows.columns, row, strict=True))
        + "</tr>"
        for row in rows.itertuples(index=False, name=None)
    )
    name = html.escape(caption.replace("`", ""))
    markup = (
        f'<div class="table-scroll" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="report-table"><caption>{with_code(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Html(markup, rows.to_string(index=False), rows if of_groups else None)


def _sorted_by(text: object) -> str:
    """The number by which a sortable table orders a text.

    Examples
    --------
    >>> _sorted_by("1,234 (12%)"), _sorted_by("-R$ 1.2bn"), _sorted_by("none")
    (' data-order="1234.0"', ' data-order="-1200000000.0"', ' data-order="-inf"')
    """
    found = re.match(r"\s*([-−]?)[^\d–]{0,4}?([\d,]+(?:\.\d+)?)(K|M|bn)?", str(text))
    if found is None:
        return ' data-order="-inf"'
    number = float(found[2].replace(",", "") + _POWERS[found[3] or ""])
    return f' data-order="{-number if found[1] else number}"'  # with its point: never like an id


def group_words(kind: str, kinds: Iterable[str]) -> str:
    """What a ``segment_type`` means in a run of these groups, for people."""
    return group_labels(kinds)[kind]


def customers_of(kind: str, kinds: Iterable[str]) -> str:
    """The customers of a group, as the subject of a sentence.

    Examples
    --------
    >>> customers_of("normal", ["normal"]), customers_of("normal", ["normal", "pre_register"])
    ('all customers', 'customers who registered before ordering')
    """
    words = group_words(kind, kinds)
    return words if words == ALL_CUSTOMERS else f"customers who {words}"


def named(segment: str, kind: str, kinds: Sequence[str]) -> str:
    """A segment's name; where a run has several groups, with its group.

    A name says what customers are like within their group, so two groups may share it:
    name and group together say who is meant.

    Examples
    --------
    >>> named("High value", "normal", ["normal"])
    'High value'
    >>> named("High value", "unregistered", ["normal", "unregistered"])
    'High value (not registered)'
    """
    return f"{segment} ({short_groups(kinds)[kind]})" if len(set(kinds)) > 1 else segment


def in_group(kind: str, kinds: Sequence[str]) -> str:
    """Prefix that names the group, where there is more than one."""
    return f"**Customers who {group_words(kind, kinds)}.** " if len(kinds) > 1 else ""


def dollars(text: str) -> str:
    """Keep currency signs from being read as math by Markdown."""
    return text.replace("$", "\\$")


def longer_silent(one: float, other: float) -> bool:
    """Whether the typical of two groups have been silent for so unlike a time that they are not alike.

    Examples
    --------
    >>> longer_silent(107, 43), longer_silent(50, 40), longer_silent(float("nan"), 40)
    (True, False, False)
    """
    return max(one, other) >= LONGER_SILENT * max(min(one, other), 1.0)


def shown(value: float, name: str, currency: str) -> str:
    """A formatted value, safe inside Markdown."""
    return dollars(format_value(value, name, currency))


def label(name: str) -> str:
    """A feature's label inside a sentence."""
    text = FEATURES[name].label
    return text[0].lower() + text[1:]


def of_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Rows of one registration group."""
    return table[table["segment_type"] == kind]


def as_many(sensitivity: pd.DataFrame) -> pd.DataFrame:
    """Settings but the chosen one that ask for as many segments: others can hardly agree with it."""
    is_chosen = sensitivity["is_chosen"].astype(bool)
    own = sensitivity[is_chosen].drop_duplicates("segment_type").set_index("segment_type")["k"]
    return sensitivity[~is_chosen & (sensitivity["k"] == sensitivity["segment_type"].map(own))]


def of_one(spent: pd.Series[float]) -> str:
    """That one customer decides a sum, in brackets; else nothing. What it spent is not told.

    Examples
    --------
    >>> of_one(pd.Series([70.0, *[3.0] * 10])), of_one(pd.Series([10.0] * 10))
    (' (70% of it one customer)', '')
    """
    total, most = float(spent.astype(float).sum()), float(spent.astype(float).max())
    if len(spent) < LEAST_PUBLISHED + 1 or not most >= ONE_CUSTOMER * total > 0:
        return ""
    return f" ({format_percent(most / total)} of it one customer)"


def highest_first(profile: pd.DataFrame) -> pd.DataFrame:
    """Segments of each group by mean spend, the highest first: their order on every page."""
    mean = profile["revenue"].astype(float) / profile["customers"]
    place = profile["segment_type"].map(
        {k: n for n, k in enumerate(profile["segment_type"].unique())}
    )
    order = profile.assign(_mean=-mean, _place=place).sort_values(["_place", "_mean", "cluster"])
    return order.drop(columns=["_mean", "_place"])


def points(share: float) -> str:
    """A signed difference of shares in percentage points, and no "-0.0".

    Examples
    --------
    >>> points(0.012), points(-0.0002)
    ('+1.2', '0.0')
    """
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def from_the_top(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of segments as `highest_first` orders them, by their clusters' numbers, which climb."""
    place = {kind: n for n, kind in enumerate(table["segment_type"].unique())}
    return table.assign(_place=table["segment_type"].map(place)).sort_values(
        ["_place", "cluster"], ascending=[True, False], kind="stable"
    ).drop(columns="_place")  # fmt: skip


def interval(low: float, high: float) -> str:
    """The 95% interval of a share in words; no ends that read alike.

    Examples
    --------
    >>> interval(0.911, 0.934), interval(0.921, 0.922)
    ('95% interval 91% to 93%', '95% interval within the last digit')
    """
    ends = [format_percent(low), format_percent(high)]
    return f"95% interval {f'{ends[0]} to {ends[1]}' if ends[0] != ends[1] else 'within the last digit'}"


def score_range(row: Any, name: str) -> str:
    """A score with the ends of its interval, from a row of a table."""
    low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
    ends = f" ({low:.2f}–{high:.2f})" if low == low else ""  # an interval may be withheld
    return f"{getattr(row, name):.2f}{ends}"


def percent_range(row: Any, name: str) -> str:
    """A share with the ends of its interval, from a row of a table."""
    low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
    ends = f" ({format_percent(low)}–{format_percent(high)})" if low == low else ""
    return f"{format_percent(getattr(row, name))}{ends}"
