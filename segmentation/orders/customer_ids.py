"""Customer ids as programs leave them: repaired where only one reading is possible, else told.

One customer under two spellings is two customers, and many customers under one id are one who
seems to be worth more than all others; both look like results.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError
from segmentation.core.limits import (
    CUT_SHARE,
    GUEST_TIMES_MEAN,
    GUEST_TIMES_NEXT,
    LEAST_CUT_IDS,
    MOST_GUESTS,
    MOST_ODD_IDS,
)
from segmentation.orders.counting import finding, named_examples
from segmentation.sources.engine import Engine
from segmentation.sources.forgotten import NOBODY, Forgotten

ID = "customer_id"
_INVISIBLE = "[\u200b-\u200f\u2060\ufeff\u00ad]"
_BLANKS = "[ \t\r\n\u00a0\u2000-\u200a\u202f\u3000]+"
PLACEHOLDERS = (
    *("nan", "none", "null", "(null)", "<na>", "#n/a", "n/a", "undefined", "nil", "nat"),
    *("#ref!", "#value!", "#name?", "(blank)", "(none)", "[null]", "-", "--", "?", "\\n"),
)
"""What programs write where they have no value."""
GUESTS = (
    *("guest", "guests", "gast", "invité", "invitado", "anonymous", "anonym", "unknown"),
    *("walk-in", "walkin", "cash", "cash customer", "pos", "no customer", "default"),
)
"""What shop systems call whoever gave no name."""
_GUEST_NUMBER = "-?0+|-1|9{4,}"
_SCIENTIFIC = "[0-9]([.,][0-9]+)?[eE][+][0-9]+"
_ADDRESS = "^[^@ ]+@[^@ ]+$"
_PLAIN = "[A-Za-z0-9_-]*[A-Za-z0-9]|[a-z0-9._+-]+@[a-z0-9.-]*[a-z0-9]"
"""What no repair changes: most ids."""


def with_clean_ids(
    engine: Engine,
    lines: str,
    *,
    cleaning: str,
    guests: Sequence[str] | str,
    forgotten: Forgotten = NOBODY,
) -> tuple[str, list[dict[str, Any]]]:
    """A query of lines with customer ids repaired, and what was found.

    Parameters
    ----------
    lines : str
        A query with ``customer_id`` as text, ``order_id`` and ``amount``.
    cleaning : str
        ``auto``: what programs add is taken away (invisible characters, blanks at the ends,
        ``.0``, capitals of an e-mail address; é is one character) and what stands for nothing
        is a missing id. ``match``: also ids become one that differ in leading zeros, capitals or
        blanks only. ``off``: nothing is repaired.
    guests : sequence of str, or ``auto``
        Ids under which many people order; their lines have no customer. ``auto``: what shop
        systems call them, and a number such as 0 with outlandishly many orders.
    forgotten : Forgotten
        Whom no finding counts or names, by the id as it stands there or as it is repaired.
    """
    query: Any = sqlglot.parse_one(lines, dialect="duckdb")
    table = _each_id(query)
    on_cluster = engine.dialect == "spark"  # ids may be more than this machine holds
    if on_cluster:
        engine.create("ids", table.sql("duckdb"))
        table = exp.select(ID, "n", "orders", "money").from_("ids")
        ids = _read(engine, _in_need_of_repair(engine, table, cleaning))
    else:
        ids = _read(engine, table)
    repaired: list[tuple[str, pd.DataFrame, str]] = []
    raw = ids[ID].copy()
    odd = ids[ID].str.fullmatch(_PLAIN).eq(False)
    for repair in _repairs(ids) if cleaning != "off" else ():
        asked = ids.index if repair.name in ("placeholder_id", *_MATCHED) else ids.index[odd]
        if repair.name in _MATCHED and cleaning != "match":
            continue
        now = ids.loc[asked, ID].map(repair.made, na_action="ignore")
        changed = asked[(now != ids.loc[asked, ID]) & ids.loc[asked, ID].notna()]
        if len(changed):
            how = "set aside" if repair.name == "placeholder_id" else "repaired"
            if repair.name == "decomposed_id" and engine.dialect != "duckdb":
                how = "reported"  # neither MySQL nor Spark can put é together
            repaired.append((repair.name, ids.loc[changed].copy(), how))
            if how == "reported":
                continue
            query, table = _with_id(query, repair.sql), _with_id(table, repair.sql)
            ids.loc[changed, ID] = now[changed]
    gone = ids.index[np.logical_or(forgotten.hold(raw), forgotten.hold(ids[ID]))]
    found = [
        _finding(name, changed.drop(gone, errors="ignore"), how) for name, changed, how in repaired
    ]
    if on_cluster:
        ids, mean = _of_note(engine, table, guests)
        ids = ids[~np.array(forgotten.hold(ids[ID]), bool)]
    else:
        ids = ids.drop(gone).groupby(ID, as_index=False).sum()
        mean = ids["orders"].mean()
    named, suspects = _guests(ids, guests, mean)
    digits = ids[ids[ID].str.fullmatch("[0-9]+")]
    several = digits[digits[ID].str.lstrip("0").duplicated(keep=False)]
    long = ids[ids[ID].str.fullmatch("[0-9]{16,}")]
    cut = long[long[ID].str.fullmatch("[0-9]{15}0+")]
    is_cut = len(cut) >= LEAST_CUT_IDS and len(cut) >= CUT_SHARE * len(long)
    scientific = ids[ids[ID].str.fullmatch(_SCIENTIFIC)]
    found += [
        _finding("guest_id", ids[ids[ID].isin(named)], "set aside"),
        _finding("many_orders_under_one_id", ids[ids[ID].isin(suspects)], perhaps=suspects),
        _finding("lost_zeros", several),
        _finding("scientific_id", scientific),
        _finding("cut_digits", cut if is_cut else cut.head(0)),
    ]
    if named:
        among = exp.column(ID).isin(*map(exp.Literal.string, named))
        query = _with_id(query, exp.Case().when(among, exp.null()).else_(exp.column(ID)))
    return str(query.sql("duckdb", pretty=True)), found


def cleaned(customer: str) -> str | None:
    """A customer's id as a run publishes it; None where it stands for nobody.

    Examples
    --------
    >>> cleaned(" 0017.0 "), cleaned("Ann@Example.com"), cleaned("NULL")
    ('0017', 'ann@example.com', None)
    """
    text: str | None = customer
    for repair in _made(decimals=False):  # a number with some keeps them anyway
        if text is not None and repair.name not in _MATCHED:
            text = repair.made(text)
    return text


def perhaps_guests(findings: pd.DataFrame) -> set[str]:
    """Ids with far more orders than anybody else: on no list of whom to contact until named."""
    own = findings.loc[findings["finding"] == "many_orders_under_one_id", "facts"]
    return {one for facts in own for one in json.loads(facts).get("perhaps", ())}


@dataclass(frozen=True)
class _Repair:
    """One way in which ids are repaired: of a text here, and of a column in the engine."""

    name: str
    made: Callable[[str], str | None]
    sql: Any


_MATCHED = ("lost_zeros_matched", "alike_id")


def _repairs(ids: pd.DataFrame) -> list[_Repair]:
    """In the order in which they are made."""
    decimals = ids[ID].str.fullmatch("[0-9]+[.][0-9]*[1-9]").eq(True).any()
    return _made(decimals=bool(decimals))


@cache
def _made(*, decimals: bool) -> list[_Repair]:
    return [
        _Repair("invisible_in_id", partial(re.sub, _INVISIBLE, ""), _replaced(_INVISIBLE)),
        _Repair(
            "blank_in_id",
            partial(re.sub, f"^{_BLANKS}|{_BLANKS}$", ""),
            _replaced(f"^{_BLANKS}|{_BLANKS}$"),
        ),
        _Repair(
            "decomposed_id",
            partial(unicodedata.normalize, "NFC"),
            exp.Anonymous(this="NFC_NORMALIZE", expressions=[exp.column(ID)]),
        ),
        _Repair(
            "decimal_id",
            lambda text: text if decimals else re.sub("^([0-9]+)[.]0+$", r"\1", text),
            _where("^[0-9]+[.]0+$", _replaced("[.]0+$")),
        ),
        _Repair(
            "address_in_capitals",
            lambda text: text.lower() if re.fullmatch(_ADDRESS, text) else text,
            _where(_ADDRESS, exp.func("LOWER", exp.column(ID))),
        ),
        _Repair(
            "placeholder_id",
            lambda text: None if text.lower() in PLACEHOLDERS else text,
            _missing_where(exp.func("LOWER", exp.column(ID)).isin(*_literals(PLACEHOLDERS))),
        ),
        _Repair(
            "lost_zeros_matched",
            lambda text: re.sub("^0+(?=[0-9]+$)", "", text),
            _where(
                "^0+[0-9]+$", _or_zero(exp.func("LTRIM", exp.column(ID), exp.Literal.string("0")))
            ),
        ),
        _Repair(
            "alike_id",
            lambda text: text.replace(" ", "").upper(),
            exp.func(
                "UPPER",
                exp.func("REPLACE", exp.column(ID), *_literals((" ", ""))),
            ),
        ),
    ]


def _literals(texts: Iterable[str]) -> list[Any]:
    return [exp.Literal.string(text) for text in texts]


def _replaced(pattern: str) -> Any:
    texts = _literals((pattern, "", "g"))
    return exp.func("REGEXP_REPLACE", exp.column(ID), *texts, dialect="duckdb")


def _where(pattern: str, value: Any) -> Any:
    test = exp.func("REGEXP_MATCHES", exp.column(ID), *_literals((pattern,)), dialect="duckdb")
    return exp.Case().when(test, value).else_(exp.column(ID))


def _missing_where(condition: Any) -> Any:
    return exp.Case().when(condition, exp.null()).else_(exp.column(ID))


def _or_zero(text: Any) -> Any:
    return exp.func("COALESCE", exp.func("NULLIF", text, *_literals(("",))), *_literals(("0",)))


def _each_id(query: Any) -> Any:
    """Every customer id with its lines, orders and money."""
    orders = exp.Count(this=exp.Distinct(expressions=[exp.column("order_id")]))
    return (
        exp.select(
            ID,
            exp.alias_(exp.Count(this=exp.Star()), "n"),
            exp.alias_(orders, "orders"),
            exp.alias_(exp.func("SUM", exp.column("amount")), "money"),
        )
        .from_(query.copy().subquery("lines"))
        .where(exp.column(ID).is_(exp.null()).not_())
        .group_by(ID)
        .order_by(ID)
    )


def _read(engine: Engine, table: Any) -> pd.DataFrame:
    ids = engine.query(table.sql("duckdb"))
    ids[ID] = ids[ID].astype("object")
    ids["money"] = [Decimal(0) if pd.isna(value) else value for value in ids["money"]]
    return ids


# --- on a cluster: only the ids that need a look come here ------------------------------


def _matches(pattern: str) -> Any:
    """Whether all of an id is of a pattern."""
    texts = _literals((f"^({pattern})$",))
    return exp.func("REGEXP_MATCHES", exp.column(ID), *texts, dialect="duckdb")


def _in_need_of_repair(engine: Engine, table: Any, cleaning: str) -> Any:
    """Ids that one of the repairs may change: few, unless a column was never cleaned."""
    small = exp.func("LOWER", exp.column(ID))
    odd = exp.or_(exp.not_(_matches(_PLAIN)), small.isin(*_literals(PLACEHOLDERS)))
    if cleaning == "match":
        odd = exp.or_(odd, _matches("0+[0-9]+"), _matches(".*[a-z ].*"))
    odd_ids = table.where(exp.false() if cleaning == "off" else odd)
    count = exp.select(exp.alias_(exp.Count(this=exp.Star()), "n")).from_(odd_ids.subquery("odd"))
    if (n := int(engine.query(count.sql("duckdb"))["n"].iloc[0])) > MOST_ODD_IDS:
        raise SourceError(
            f"{n:,} customer ids would have to be repaired, more than the {MOST_ODD_IDS:,} that "
            "this machine looks through for a cluster; repair them in the SELECT "
            "(LOWER, TRIM), or say id_cleaning: off."
        )
    return odd_ids


def _of_note(engine: Engine, table: Any, guests: Sequence[str] | str) -> tuple[pd.DataFrame, float]:
    """Repaired ids that may be wrong all the same, and orders of the mean id."""
    sums = [
        exp.alias_(exp.func("SUM", exp.column(name)), name) for name in ("n", "orders", "money")
    ]
    grouped = exp.select(ID, *sums).from_(table.subquery("found")).group_by(ID)
    engine.create("repaired_ids", grouped.sql("duckdb"))
    every = exp.select("*").from_("repaired_ids")
    names: Any = exp.func("LOWER", exp.column(ID)).isin(*_literals(GUESTS))
    if guests != "auto" and guests:
        names = exp.or_(names, exp.column(ID).isin(*_literals(guests)))
    noted = every.where(exp.or_(names, *map(_matches, (_GUEST_NUMBER, "[0-9]{16,}", _SCIENTIFIC))))
    stripped = exp.func("LTRIM", exp.column(ID), exp.Literal.string("0"))
    with_zeros = (
        exp.select(exp.alias_(stripped, "digits"))
        .from_("repaired_ids")
        .where(_matches("[0-9]+"))
        .group_by(stripped.copy())
        .having(exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
    )
    several = every.where(exp.and_(_matches("[0-9]+"), stripped.isin(query=with_zeros)))
    busiest = every.order_by(exp.Ordered(this=exp.column("orders"), desc=True)).limit(
        MOST_GUESTS + 1
    )
    mean = exp.select(exp.alias_(exp.func("AVG", exp.column("orders")), "mean")).from_(
        "repaired_ids"
    )
    ids = pd.concat([_read(engine, part) for part in (noted, several, busiest)])
    ids = ids.drop_duplicates(ID).sort_values(ID, ignore_index=True)
    return ids, float(engine.query(mean.sql("duckdb"))["mean"].iloc[0] or 0)


def _with_id(query: Any, value: Any) -> Any:
    columns = [
        exp.alias_(value.copy(), ID) if name.lower() == ID else exp.column(name)
        for name in query.named_selects
    ]
    return exp.select(*columns).from_(query.subquery("lines"))


def _finding(
    name: str, ids: pd.DataFrame, treatment: str = "reported", **facts: Any
) -> dict[str, Any]:
    few = named_examples(ID, ids[ID].iloc[:3])
    money = sum(ids["money"], Decimal(0))
    row = finding(name, ID, int(ids["n"].sum()), len(ids), money, examples=few, **facts)
    return row | {"treatment": treatment}


def _guests(
    ids: pd.DataFrame, guests: Sequence[str] | str, mean: float
) -> tuple[list[str], list[str]]:
    """Ids under which many people order: those known as such, and those that may be."""
    if guests != "auto":
        return [one for one in guests if one in set(ids[ID])], []
    if ids.empty:
        return [], []
    least = GUEST_TIMES_MEAN * mean
    words = ids[ID][ids[ID].str.lower().isin(GUESTS)]
    many = ids[ids["orders"] >= least].sort_values("orders", ascending=False, kind="stable")
    numbers = many[ID][many[ID].str.fullmatch(_GUEST_NUMBER)]
    named = [*words, *numbers]
    most = ids["orders"].nlargest(MOST_GUESTS + 1).tolist()
    gaps = [n + 1 for n in range(len(most) - 1) if most[n] >= GUEST_TIMES_NEXT * most[n + 1]]
    far = many[ID].iloc[: max(gaps, default=0)]
    return named, [one for one in far if one not in named]
