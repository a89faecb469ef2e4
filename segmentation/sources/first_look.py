"""A first look at an export: which shop wrote it, what each column is, how its days are written.

What is known of shop systems, of names and of the words of a status is data: `shops.yaml`
with a SELECT each, and `columns.yaml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp

from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.files import RAW_SUFFIXES, RawFiles, kind_of

_FOLDER = Path(__file__).parent / "shops"
SHOPS: dict[str, Any] = yaml.safe_load((_FOLDER / "shops.yaml").read_text(encoding="utf-8"))
NAMES: dict[str, Any] = yaml.safe_load((_FOLDER / "columns.yaml").read_text(encoding="utf-8"))
WORDS: dict[str, str] = NAMES.pop("words")
MONTHS: list[list[str]] = [text.split() for text in NAMES.pop("months").values()]
"""Per language the names of months in rounds of twelve."""
ROWS = 100_000
"""Most rows of a table that are looked at."""


@dataclass
class Table:
    """A raw table: where it is, below the folder, and the values of its columns.

    ``values`` holds what is filled of the first `ROWS` rows, as text; ``kinds`` the types.
    """

    name: str
    files: str
    values: dict[str, list[str]] = field(repr=False)
    kinds: dict[str, str]
    rows: int
    unique: frozenset[str] = frozenset()


def tables_of(paths: list[Path]) -> tuple[Path, list[Table]]:
    """The folder of some files and the raw tables in them; files of the same columns are one.

    Raises
    ------
    SourceError
        If there is no file, or they lie apart, or one cannot be read.
    """
    files = [part for path in paths for part in _files(path)]
    folders = sorted({path.parent for path in files})
    if len(folders) != 1:
        raise SourceError(
            f"init: the files lie in {len(folders)} folders ({first_three(folders)}); put them "
            "into one."
        )
    read = [_read(_name(path), path.name, path) for path in files]
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, table in enumerate(read):
        groups.setdefault(tuple(table.values), []).append(number)
    found = []
    for numbers in groups.values():
        if len(numbers) == 1:
            found.append(read[numbers[0]])
        else:
            found.append(_read_together(folders[0], [files[number].name for number in numbers]))
    return folders[0], found


def _files(path: Path) -> list[Path]:
    path = path.absolute()
    if path.is_dir():
        held = sorted(part for part in path.iterdir() if part.is_file())
        files = [part for part in held if kind_of(part) in RAW_SUFFIXES]
        if not files:
            raise SourceError(f"init: {path.name} holds no file of {', '.join(RAW_SUFFIXES)}.")
        return files
    if not path.is_file():
        raise SourceError(f"init: {path}: no such file.")
    if kind_of(path) not in RAW_SUFFIXES:
        raise SourceError(
            f"{path.name}: files of kind {path.suffix or '(none)'} are not read; "
            f"accepted are {', '.join(RAW_SUFFIXES)}."
        )
    return [path]


def _read_together(folder: Path, names: list[str]) -> Table:
    start = next(
        names[0][:length]
        for length in range(len(names[0]), -1, -1)
        if all(name.startswith(names[0][:length]) for name in names)
    )
    pattern = f"{start.rstrip('0123456789')}*{kind_of(Path(names[0]))}"
    if {path.name for path in folder.glob(pattern)} != set(names):
        raise SourceError(
            f"init: {len(names):,} files have the same columns ({first_three(names)}) but no "
            "pattern of names fits them alone; put them into a folder of their own."
        )
    return _read(plain_name(start) or "orders", pattern, folder / pattern)


def _read(name: str, files: str, path: Path) -> Table:
    raw = RawFiles()
    engine = DuckDbEngine(raw)
    try:
        engine.bind(name, path)
        place = exp.Table(this=exp.to_identifier(name, quoted=True))
        kinds = engine.columns(exp.select("*").from_(place).sql("duckdb"))
        texts = [
            exp.alias_(exp.cast(exp.column(c, quoted=True), "VARCHAR"), c, quoted=True)
            for c in kinds
        ]
        frame = engine.query(exp.select(*texts).from_(place).limit(ROWS).sql("duckdb"))
        rows = engine.count(name)
    finally:
        engine.close()
        raw.close()
    values = {c: [v for v in frame[c] if v is not None and v == v and v != ""] for c in frame}
    unique = frozenset(c for c, held in values.items() if len(set(held)) == len(held) == len(frame))
    return Table(name, files, values, kinds, rows, unique)


def _name(path: Path) -> str:
    return plain_name(path.name.removesuffix(kind_of(path))) or "orders"


def plain_name(text: str) -> str:
    """A name in small letters with _ between words, so that `Order No.` is `order_no`."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text.replace("ß", "ss"))
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def recognised(tables: list[Table], shop: str | None) -> tuple[str, dict[str, Table]] | None:
    """The shop system that wrote some tables, and its names for them; None if none is known.

    Raises
    ------
    ParameterError
        If the system was named, and its columns are not there.
    """
    for name in [shop] if shop else SHOPS:
        found: dict[str, Table] = {}
        missing: list[str] = []
        for role, columns in SHOPS[name]["tables"].items():
            lacks = {t.name: [c for c in columns if c not in t.values] for t in tables}
            best = min(tables, key=lambda t: len(lacks[t.name]))
            missing += lacks[best.name]
            found[role] = best
        if not missing:
            return name, found
        if shop:
            raise ParameterError(
                f"--from {shop}: no file has {first_three(missing)}; leave out --from, and the "
                "columns are looked for by their names."
            )
    return None


def shop_sql(shop: str) -> str:
    """The SELECT for a shop system's export."""
    return (_FOLDER / f"{shop}.sql").read_text(encoding="utf-8")


# --- what a column is -------------------------------------------------------------------

_NUMBER = re.compile(r" *[-+]?[\d.,'\u00a0\u202f ]*\d *")
_WHOLE = re.compile(r" *[-+]?\d+([.,]0+)? *")
_DAYS = {
    "iso": re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?"),
    "compact": re.compile(r"(19|20)\d{6}"),
    "parts": re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})([ T,].*)?"),
    "words": re.compile(
        r"(\d{1,4})[. -]*(?:de )?([^\W\d_]{3,})[.,]?[ -]*(?:de )?(\d{1,4})([ T,].*)?"
        r"|([^\W\d_]{3,})[. -]*(\d{1,2}),? +(\d{4}|\d{2})([ T,].*)?"
    ),
}
_OFFSET = re.compile(r".*[T ][0-9:.]+(Z|[+-][0-9:]+)")
MOST_WORDS = 30
"""Different values of a status, at most."""


def is_number(values: list[str]) -> bool:
    """Whether all values are numbers, however they are written."""
    return bool(values) and all(_NUMBER.fullmatch(value) for value in values)


def are_whole(values: list[str]) -> bool:
    """Whether numbers have no decimals."""
    return all(_WHOLE.fullmatch(value) for value in values)


def day_format(table: Table, column: str) -> str | None:
    """How the days of a column are written; None if they are no days."""
    if table.kinds[column].startswith(("DATE", "TIMESTAMP")):
        return "typed"
    values = table.values[column]
    for name, pattern in _DAYS.items():
        if values and all(pattern.fullmatch(value) for value in values):
            if name in ("parts", "words") and not day_orders(values):
                return None
            return "offset" if name == "iso" and _OFFSET.fullmatch(values[0]) else name
    return None


def day_orders(values: list[str]) -> list[str]:
    """Orders of day, month and year in which days can be read, the likeliest first.

    ``Y`` is a year of four digits. With two digits it may stand at either end: an order with
    three times as many years as another is none, for there are more days than years.

    Examples
    --------
    >>> day_orders(["03/04/24"]), day_orders(["13/02/2024"]), day_orders(["24-Mär-03"])
    (['dmy', 'mdy', 'ymd'], ['dmY'], ['dmy', 'ymd'])
    >>> day_orders(["41/02/2024"]), day_orders(["31.12.24", "2.1.24", "3.1.24", "4.1.24"])
    ([], ['dmy'])
    """
    months = {name: str(n % 12 + 1) for n, name in enumerate(month_names(values))}
    held, orders = set(), ["dmy", "mdy", "ymd"]
    for parts in {tuple(_PART.findall(value)[:3]) for value in values}:
        if (is_first := not parts[0].isdigit()) or not parts[1].isdigit():
            orders = ["dmy"] if is_first else ["dmy", "ymd"]
            name = parts[0 if is_first else 1].lower()
            parts = (parts[1 if is_first else 0], months.get(name, ""), parts[2])
        held.add(parts)
    years = {
        order.replace("y", "Y") if digits == 4 else order: len({p[order.index("y")] for p in held})
        for order in orders
        for digits in (4, 2)
        if all(_can_be_a_day(dict(zip(order, parts, strict=True)), digits) for parts in held)
    }
    return [order for order, number in years.items() if number < 3 * min(years.values())]


_PART = re.compile(r"\d+|[^\W\d_]{3,}")


def _can_be_a_day(part: dict[str, str], digits: int) -> bool:
    """31 February can: the CAST names it."""
    numbers = part["m"].isdigit() and part["d"].isdigit() and len(part["y"]) == digits
    return numbers and int(part["m"]) <= 12 and int(part["d"]) <= 31


def month_names(values: list[str]) -> list[str]:
    """Names of months, in rounds of twelve, of the language in which days are written."""
    used = {word for value in {*values} for word in _PART.findall(value.lower()[:20])}
    used = {word for word in used if not word.isdigit()}
    return next((names for names in MONTHS if used <= {*names}), []) if used else []


def _agrees(role: str, table: Table, column: str) -> bool:
    values = table.values[column]
    if role in ("order_date", "registered_date"):
        return day_format(table, column) is not None
    if role in ("amount", "unit_price", "quantity"):
        return is_number(values)
    if role == "status":
        return 0 < len(set(values)) <= MOST_WORDS
    if role == "currency":
        return bool(values) and all(re.fullmatch("[A-Za-z]{3}", value) for value in values)
    return bool(values) and day_format(table, column) is None


def roles_of(table: Table) -> tuple[dict[str, str], dict[str, list[str]]]:
    """What the columns of a table are, and which others each could have been."""
    taken: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for role, patterns in NAMES.items():
        fitting = [
            column
            for pattern in patterns
            for column in table.values
            if column not in taken.values()
            and re.fullmatch(pattern, plain_name(column))
            and _agrees(role, table, column)
        ]
        if fitting := list(dict.fromkeys(fitting)):
            taken[role], others[role] = fitting[0], fitting[1:]
    return taken, others


def words_of(values: list[str]) -> dict[str, tuple[str, int]]:
    """The words of a status, commonest first: sale, back, never or unknown, and how often."""
    counted = Counter(values).most_common()
    return {word: (_kind(word), number) for word, number in counted}


def _kind(word: str) -> str:
    plain = plain_name(word).removeprefix("wc_")
    kinds = (kind for kind, pattern in WORDS.items() if re.fullmatch(pattern, plain))
    return next(kinds, "unknown")


def joined(tables: list[Table]) -> tuple[Table, dict[str, tuple[Table, str]], list[Any]]:
    """The table of the lines, what each role is and in which table, and the look-ups.

    The lines are where most of order, units and money are. What is not there is looked for in
    tables that hold one row for each value of a column of the same name.
    """
    known = {table.name: roles_of(table)[0] for table in tables}
    wanted = ("amount", "unit_price", "quantity", "order_id", "order_date", "customer_id")

    def of_lines(table: Table) -> tuple[int, int]:
        return sum(role in known[table.name] for role in wanted), table.rows

    lines = max(tables, key=of_lines)
    roles = {role: (lines, column) for role, column in known[lines.name].items()}
    reached, links = [lines], []
    for table in reached:
        for other in tables:
            shared = [c for c in table.values if c in other.unique and other not in reached]
            if shared:
                reached.append(other)
                links.append((table, other, shared[0]))
                for role, column in known[other.name].items():
                    roles.setdefault(role, (other, column))
    return lines, roles, links
