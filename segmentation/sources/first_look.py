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
    "parts": re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})([ T,].*)?"),
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
            return "offset" if name == "iso" and _OFFSET.fullmatch(values[0]) else name
    return None


def day_first(values: list[str]) -> bool | None:
    """Whether days such as 3.4.2024 begin with the day; None where nothing tells."""
    parts = [match.groups() for value in values if (match := _DAYS["parts"].fullmatch(value))]
    if any(int(first) > 12 for first, *_ in parts):
        return True
    if any(int(second) > 12 for _, _, second, *_ in parts):
        return False
    return True if parts and parts[0][1] == "." else None


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
