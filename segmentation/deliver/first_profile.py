"""A SELECT, a profile and a README drafted from an export, beside its files.

The draft says why each column was chosen, and marks what only the shop's owner knows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp

from segmentation.core.atomic import atomic_path, refuse_existing
from segmentation.core.errors import SourceError
from segmentation.core.limits import ASSUMED_MARGIN, CALL_TIMES
from segmentation.core.parameters import Parameters
from segmentation.sources import first_look
from segmentation.sources.first_look import Table
from segmentation.sources.source import one_select

OWNER = "ONLY YOU KNOW"
README = "README.md"
_SHOWN = 8
"""Most words of a status that a comment lists."""


@dataclass
class _Draft:
    """The SELECT in pieces: each column with the reasons for it."""

    head: list[str]
    tables: dict[str, str]
    columns: list[tuple[list[str], exp.Expression, str]] = field(default_factory=list)
    tail: str = ""

    def add(self, name: str, value: Any, *why: str) -> None:
        """One column and why it is this, on lines of their own; what is asked comes last."""
        said = sorted((" ".join(line.split()) for line in why), key=lambda line: OWNER in line)
        self.columns.append((said, value, name))

    @property
    def sql(self) -> str:
        """The SELECT as a file."""
        parts = []
        for why, value, name in self.columns:
            column = exp.alias_(value, name).sql("duckdb")
            parts.append("".join(f"    -- {line}\n" for line in why) + f"    {column}")
        head = "\n".join(f"-- {line}" for line in self.head)
        return "\n".join([head, "SELECT", ",\n".join(parts), self.tail, ""])


def draft(paths: list[Path], shop: str | None, folder: Path | None, *, replace: bool) -> list[Path]:
    """Look at files and write what reads them; the files written, the profile first.

    Parameters
    ----------
    shop : str, optional
        The system that wrote them; without it, it is recognised by its columns.
    folder : Path, optional
        Where to write; beside the files if not given.

    Raises
    ------
    ParameterError, SourceError, OutputError
        What cannot be read, recognised or written, in one sentence.
    """
    place, tables = first_look.tables_of(paths)
    recognised = first_look.recognised(tables, shop)
    if recognised:
        shop, used = recognised
        known = first_look.SHOPS[shop]
        title, sql = known["title"], first_look.shop_sql(shop)
        files = {role: table.files for role, table in used.items()}
        code = _code([used[role].values[name] for role, name in known.get("currency", {}).items()])
        code = code or known.get("currency_is")
    else:
        made, code = _by_names(tables)
        title, sql, files = "columns by their names", made.sql, made.tables
    one_select(sql)
    target = (folder or place).absolute()
    name = first_look.plain_name(place.name) or "shop"
    texts = {
        f"{name}.yaml": _profile(name, place, target, files, code, title),
        f"{name}.sql": sql,
        README: _readme(name, title, tables, files, sql),
    }
    written = [target / file for file in texts]
    for path in () if replace else written:
        refuse_existing(path)
    target.mkdir(parents=True, exist_ok=True)
    for path, text in zip(written, texts.values(), strict=True):
        with atomic_path(path, replace=replace) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return written


def _by_names(tables: list[Table]) -> tuple[_Draft, str | None]:
    lines, roles, links = first_look.joined(tables)
    _, others = first_look.roles_of(lines)
    many = len(links) > 0

    def column(role: str) -> exp.Column:
        table, name = roles[role]
        return exp.column(name, table=table.name if many else None, quoted=True)

    def why(role: str) -> list[str]:
        table, name = roles[role]
        said = [f"{name}, by its name and {len(table.values[name]):,} values that agree"]
        rest = others.get(role, []) if table is lines else []
        return said + ([f"{OWNER}: or is it {' or '.join(rest[:3])}?"] if rest else [])

    for role, words in (("customer_id", "who ordered"), ("order_date", "the day of an order")):
        if role not in roles:
            raise SourceError(_nothing_is(words, lines))
    if not {"amount", "unit_price"} & roles.keys():
        raise SourceError(_nothing_is("the money of a line", lines))
    used = [lines, *(other for _, other, _ in links)]
    made = _Draft(
        [f"One row per row of {lines.files}, drafted from the names and values of its columns."],
        {table.name: table.files for table in used},
    )
    customer, is_mail = column("customer_id"), "mail" in roles["customer_id"][1].lower()
    mail = exp.func("LOWER", exp.func("TRIM", customer))
    made.add("customer_id", mail if is_mail else customer, *why("customer_id"))
    if "order_id" in roles:
        made.add("order_id", column("order_id"), *why("order_id"))
    else:
        key = _joined(customer.copy(), exp.Literal.string(" "), column("order_date"))
        said = f"{OWNER}: no column names an order; a customer's day is taken for one"
        made.add("order_id", key, said)

    def add_day(role: str) -> None:
        made.add(role, *_day(*roles[role], column(role), why(role)))

    add_day("order_date")
    _add_money(made, roles, column, why)
    for role in ("product", "category", "payment_method", "country"):
        if role in roles:
            made.add(role, column(role), *why(role))
    if "registered_date" in roles:
        add_day("registered_date")
    query: Any = exp.Select().from_(exp.Table(this=exp.to_identifier(lines.name, quoted=True)))
    for one, other, name in links:
        sides = (exp.column(name, table=t.name, quoted=True) for t in (other, one))
        query = query.join(
            exp.Table(this=exp.to_identifier(other.name, quoted=True)),
            on=exp.EQ(this=next(sides), expression=next(sides)),
            join_type="LEFT",
        )
    made.tail = query.sql("duckdb", pretty=True).removeprefix("SELECT").strip()
    code = _code([roles["currency"][0].values[roles["currency"][1]]] if "currency" in roles else [])
    return made, code


def _nothing_is(words: str, lines: Table) -> str:
    return (
        f"init: no column of {lines.files} looks like {words}; it has "
        f"{', '.join(list(lines.values)[:12])}; rename the one that is, or write the SELECT by hand."
    )


def _day(table: Table, name: str, column: exp.Column, why: list[str]) -> tuple[Any, ...]:
    """A column as a day, and why it is read so."""
    found, values = first_look.day_format(table, name), table.values[name]
    if found in ("typed", "offset"):
        said = ["a point in time with its offset: `time_zone` in the profile says in whose days"]
        return exp.cast(column, "DATE"), *why, *(said if found == "offset" else [])
    if found == "iso":
        return exp.cast(_part(column, 1, 10), "DATE"), *why
    if found == "compact":
        return _date(*(_part(column, *place) for place in ((1, 4), (5, 2), (7, 2)))), *why
    order, *others = first_look.day_orders(values)
    named = first_look.month_names(values)
    words = {"d": "day", "m": "month", "y": "year", "Y": "year"}
    parts = [words[sign] for sign in order if not (named and sign == "m")]
    written = f"written as {values[0]}, {' before '.join(parts)}"
    if others and not ("." in values[0] and order == "dmY"):
        written = f"{OWNER}: {written}?"
    if named:
        return _named_day(column, order, named), *why, written
    mark = next(sign for sign in values[0] if not sign.isdigit())
    with_time = any(sign in value for value in values for sign in " T,")
    form = exp.Literal.string(mark.join(f"%{sign}" for sign in order))
    text = _extract(column, "^[^ T,]+") if with_time else column
    return exp.cast(exp.func("STRPTIME", text, form, dialect="duckdb"), "DATE"), *why, written


def _named_day(column: exp.Column, order: str, months: list[str]) -> Any:
    """A day whose month has a name; with one that is none it is no day to the CAST."""
    names = exp.Array(expressions=[exp.Literal.string(month) for month in months])
    name = exp.func("LOWER", _extract(column, r"\p{L}{3,}"))
    place = exp.paren(exp.func("LIST_POSITION", names, name) - 1) % 12 + 1
    month = exp.cast(exp.func("COALESCE", place, exp.Literal.number(0)), "VARCHAR")
    numbers = [_extract(column, "[0-9]+"), _extract(column, "([0-9]+)[^0-9]+([0-9]+)", 2)]
    year, day = numbers if order[0] in "yY" else numbers[::-1]
    if "y" in order:
        year = _joined(exp.Literal.string("20"), year)
    return _date(year, month, day)


def _extract(text: Any, pattern: str, group: int = 0) -> Any:
    values = [exp.Literal.string(pattern), *([exp.Literal.number(group)] if group else [])]
    return exp.func("REGEXP_EXTRACT", text.copy(), *values, dialect="duckdb")


def _part(value: Any, start: int, length: int) -> Any:
    numbers = (exp.Literal.number(start), exp.Literal.number(length))
    return exp.Substring(this=value.copy(), start=numbers[0], length=numbers[1])


def _joined(*texts: Any) -> Any:
    return reduce(lambda text, more: exp.DPipe(this=text, expression=more), texts)


def _date(year: Any, month: Any, day: Any) -> Any:
    dash = exp.Literal.string("-")
    return exp.cast(_joined(year, dash, month, dash.copy(), day), "DATE")


def _add_money(made: _Draft, roles: dict[str, Any], column: Any, why: Any) -> None:
    """Units, money, and which lines are sales or come back."""
    money: Any
    one = exp.cast(exp.Literal.number(1), "DECIMAL(18, 0)")
    units: Any = one
    if "quantity" in roles:
        table, name = roles["quantity"]
        kind = "DECIMAL(18, 0)" if first_look.are_whole(table.values[name]) else "DECIMAL(18, 3)"
        units = exp.cast(column("quantity"), kind)
    if "amount" in roles:
        money, reason = exp.cast(column("amount"), "DECIMAL(18, 2)"), why("amount")
        reason.append(f"{OWNER}: it must be the money of the line, after discount")
    else:
        price = exp.cast(column("unit_price"), "DECIMAL(18, 2)")
        money = exp.cast(
            exp.Mul(this=price, expression=exp.cast(units.copy(), "DECIMAL(12, 3)")),
            "DECIMAL(18, 2)",
        )
        reason = [*why("unit_price"), f"{OWNER}: taken for the price of one, times the units"]
    status, words = None, {}
    if "status" in roles:
        table, name = roles["status"]
        is_flag = table.kinds[name] == "BOOLEAN"
        none = exp.false() if is_flag else exp.Literal.string("")
        status = exp.func("COALESCE", column("status"), none)
        words = {} if is_flag else first_look.words_of(table.values[name])
    back = [word for word, (kind, _) in words.items() if kind == "back"]
    returned = _is_one_of(status, back) if back else None
    if returned is not None:
        units, money = (
            exp.Case()
            .when(returned.copy(), exp.Neg(this=exp.func("ABS", value)))
            .else_(value.copy())
            for value in (units, money)
        )
        reason.append("what comes back is below zero, however the export writes it")
    one_each = ["no column of units: each row is one"]
    made.add("quantity", units, *(why("quantity") if "quantity" in roles else one_each))
    made.add("amount", money, *reason)
    if status is None:
        made.add("is_valid", exp.true(), f"{OWNER}: no column of a status, so every row counts")
    elif not words:
        made.add("is_valid", status, *why("status"))
    else:
        counted = [word for word, (kind, _) in words.items() if kind != "never"]
        listed = [f"{word} ({number:,}: {_SAID[kind]})" for word, (kind, number) in words.items()]
        shown = ", ".join([*listed[:_SHOWN], *(["…"] if len(listed) > _SHOWN else [])])
        asked = f"{OWNER}: which are sales; found are {shown}"
        made.add("is_valid", _is_one_of(status, counted), *why("status"), asked)
    negative = [
        name
        for name in ("amount", "quantity")
        if name in roles
        and any(v.lstrip().startswith("-") for v in roles[name][0].values[roles[name][1]])
    ]
    tests: list[Any] = [] if returned is None else [returned]
    tests += [
        exp.LT(this=exp.cast(column(name), "DECIMAL(18, 2)"), expression=exp.Literal.number(0))
        for name in negative
    ]
    if tests:
        said = "goods or money that come back; `returns: net` in the profile takes them off"
        made.add("is_return", exp.or_(*tests), said)


_SAID = {"sale": "a sale", "back": "comes back", "never": "no sale", "unknown": "counted as a sale"}


def _is_one_of(value: Any, words: list[str]) -> Any:
    return exp.In(this=value.copy(), expressions=[exp.Literal.string(word) for word in words])


def _code(columns: list[list[str]]) -> str | None:
    """The currency that a column names most often."""
    found = Counter(value.upper() for values in columns for value in values if len(value) == 3)
    return found.most_common(1)[0][0] if found else None


def _profile(
    name: str, place: Path, target: Path, files: dict[str, str], code: str | None, title: str
) -> str:
    location = "." if target == place else str(place)
    read = {
        "source": f"{name}.sql",
        "location": location,
        "tables": {t: {"files": f} for t, f in files.items()},
    }
    fields = Parameters.model_fields
    lines = [
        f"# Drafted by `segmentation init` ({title}). Paths are relative to this file.",
        yaml.safe_dump(read, sort_keys=False, allow_unicode=True).rstrip(),
        f"currency: {code or fields['currency'].default}"
        + ("" if code else f"  # {OWNER}: no column names it"),
        f"time_zone: {fields['time_zone'].default}  # {OWNER}: yours, as Europe/Berlin; matters where times carry an offset",
        "features: [recency, frequency, total_spent]",
        "n_clusters: auto",
        "returns: exclude  # or net: what comes back is taken off",
        f"gross_margin: {fields['gross_margin'].default}  # {OWNER}: share of revenue left after the cost of goods; auto: by costs in the data, else {ASSUMED_MARGIN}",
        f"contact_cost: {fields['contact_cost'].default}  # {OWNER}: what it costs to contact one customer once",
        f"call_cost: {fields['call_cost'].default}  # {OWNER}: what it costs to call one customer; auto: {CALL_TIMES} x contact_cost",
    ]
    return "\n".join(lines) + "\n"


def _readme(name: str, title: str, tables: list[Table], files: dict[str, str], sql: str) -> str:
    asked, goes_on = [], False
    for line in (line.strip() for line in sql.splitlines()):
        goes_on = line.startswith("-- ") and (goes_on or OWNER in line)
        if OWNER in line:
            asked.append(line.split(f"{OWNER}: ", 1)[1])
        elif goes_on:
            asked[-1] += line.removeprefix("--")
    unread = [table.files for table in tables if table.files not in files.values()]
    lines = [
        f"# {name}",
        "",
        f"Drafted by `segmentation init`: {title}. Read are {', '.join(f'`{f}`' for f in files.values())}.",
        *([f"Not read: {', '.join(f'`{f}`' for f in unread)}."] if unread else []),
        "",
        "```bash",
        f"segmentation check {name}.yaml     # what is read, what counts, what is wrong",
        f"segmentation run {name}.yaml       # segments and workbook",
        f"segmentation report {name}.yaml    # the book",
        "```",
        "",
        f"Only you know (also marked in `{name}.sql` and `{name}.yaml`):",
        "",
        *(
            f"- {question}"
            for question in [*asked, "currency, time zone, gross margin and cost of a contact"]
        ),
    ]
    return "\n".join(lines) + "\n"
