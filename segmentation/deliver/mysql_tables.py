"""Tables written into a database as a whole: complete under their name, or not there.

Rows go into a table of another name first; one RENAME then puts all new tables in place, so
that a reader meets the old ones or the new ones and never half of anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlglot
from sqlglot import exp

from segmentation.core.errors import SourceError
from segmentation.core.progress import progress_bar
from segmentation.sources.mysql.address import Address
from segmentation.sources.mysql.faults import in_words
from segmentation.sources.mysql.server import connect

ROWS_AT_ONCE = 1000
OWN_COMMENTS = ("SYNTHETIC", "segmentation materialize")
"""How the comments of tables begin that this program wrote and may replace."""
_NEW, _OLD = "__new", "__old"
_REMEDY = "rename it or name another database"


@dataclass(frozen=True)
class NewTable:
    """A table to write: its definition (a CREATE TABLE), its comment, its columns and rows."""

    definition: str
    comment: str
    columns: tuple[str, ...]
    rows: Iterable[Sequence[Any]]
    n_rows: int

    @property
    def name(self) -> str:
        """Name of the table."""
        parsed: Any = sqlglot.parse_one(self.definition, dialect="mysql")
        return str(parsed.find(exp.Table).name)


def create_database(address: Address) -> None:
    """Make the database of an address if the server has none of that name.

    Raises
    ------
    SourceError
        If the server cannot be reached or the user may not.
    """
    statement = exp.Create(this=exp.to_table(address.database), kind="DATABASE", exists=True).sql(
        "mysql", identify=True
    )
    connection = connect(address, with_database=False)
    with contextlib.closing(connection), in_words(address), connection.cursor() as cursor:
        cursor.execute(statement)


def replace_tables(
    address: Address,
    tables: Sequence[NewTable],
    *,
    own: tuple[str, ...] = OWN_COMMENTS,
    replace: bool = False,
    remedy: str = _REMEDY,
    progress: bool = True,
) -> None:
    """Write tables and put them in place together; the same call twice gives the same.

    Parameters
    ----------
    own : tuple of str
        How the comments of tables begin that may be replaced.
    replace : bool
        Replace tables of other comments too; never a view.
    remedy : str
        What to do where somebody else's table has the name, for the error.

    Raises
    ------
    SourceError
        If a table of the same name was not written by this program, if somebody else is
        writing, or for any fault of the server; the tables before then stay as they were.
    """
    connection = connect(address)
    with (
        contextlib.closing(connection),
        in_words(address),
        connection.cursor() as cursor,
        _only_writer(cursor, address),
    ):
        names = [table.name for table in tables]
        existing = _own_tables(cursor, address, names, own=own, replace=replace, remedy=remedy)
        leftovers = [name + end for name in names for end in (_NEW, _OLD)]
        leftovers = _own_tables(cursor, address, leftovers, own=own)
        _check_no_foreign_keys(cursor, address, [*existing, *leftovers])
        _drop(cursor, leftovers)
        try:
            for table in tables:
                _fill(connection, cursor, table, progress=progress)
            moves = [(name, name + _OLD) for name in existing]
            moves += [(name + _NEW, name) for name in names]
            _rename(cursor, moves)
            try:
                _drop(cursor, [name + _OLD for name in existing])
            except Exception:  # a foreign key that the user may not see, or a new one
                with contextlib.suppress(Exception):
                    _rename(cursor, [(now, before) for before, now in reversed(moves)])
                raise
        except BaseException:
            with contextlib.suppress(Exception):
                _drop(cursor, [name + _NEW for name in names])
            raise


@contextlib.contextmanager
def _only_writer(cursor: Any, address: Address) -> Iterator[None]:
    key = f"segmentation.{address.database}"[:64]
    cursor.execute("SELECT GET_LOCK(%s, %s)", (key, address.lock_timeout))
    if cursor.fetchone()[0] != 1:
        raise SourceError(
            f"database {address.database}: another segmentation command is writing to it for over "
            f"{address.lock_timeout} seconds; try again later."
        )
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            cursor.execute("SELECT RELEASE_LOCK(%s)", (key,))
            cursor.fetchall()


def _own_tables(
    cursor: Any,
    address: Address,
    names: list[str],
    *,
    own: tuple[str, ...],
    replace: bool = False,
    remedy: str = _REMEDY,
) -> list[str]:
    """Those of the names that exist, all of them written by this program or to be replaced."""
    existing = []
    for name in names:
        cursor.execute(_COMMENT, (address.database, name))
        for kind, comment in cursor.fetchall():
            existing.append(name)
            is_table = kind == "BASE TABLE"
            if not is_table or not (replace or str(comment).startswith(own)):
                raise SourceError(
                    f"table {name}: database {address.database} has one that this program did not "
                    f"write, and it is never overwritten; {remedy if is_table else _REMEDY}."
                )
    return existing


_COMMENT = """
SELECT table_type, table_comment FROM information_schema.tables
WHERE table_schema = %s AND table_name = %s
"""


def _check_no_foreign_keys(cursor: Any, address: Address, names: list[str]) -> None:
    """Refuse to replace a table that others refer to: their keys would go on to the old rows."""
    for name in names:
        cursor.execute(_REFERRING, (address.database, name))
        for schema, table, key in cursor.fetchall():
            raise SourceError(
                f"table {name}: cannot be replaced, because the foreign key {key} of "
                f"{schema}.{table} refers to it; drop that key, run it again, and join by the "
                "column without a key."
            )


_REFERRING = """
SELECT table_schema, table_name, constraint_name FROM information_schema.key_column_usage
WHERE referenced_table_schema = %s AND referenced_table_name = %s
"""


def _drop(cursor: Any, names: list[str]) -> None:
    for name in names:
        statement = exp.Drop(tables=[exp.to_table(name)], kind="TABLE", exists=True)
        cursor.execute(statement.sql("mysql", identify=True))


def _fill(connection: Any, cursor: Any, table: NewTable, *, progress: bool) -> None:
    definition: Any = sqlglot.parse_one(table.definition, dialect="mysql")
    definition.find(exp.Table).replace(exp.to_table(table.name + _NEW))
    properties = definition.args.get("properties") or exp.Properties(expressions=[])
    properties.append(
        "expressions", exp.SchemaCommentProperty(this=exp.Literal.string(table.comment))
    )
    definition.set("properties", properties)
    cursor.execute(definition.sql("mysql", identify=True))
    places = exp.Tuple(expressions=[exp.Placeholder() for _ in table.columns])
    insert = exp.insert(
        exp.Values(expressions=[places]), table.name + _NEW, columns=list(table.columns)
    )
    text = insert.sql("mysql", identify=True).replace("?", "%s")
    rows = iter(table.rows)
    with progress_bar(
        total=table.n_rows, unit="row", desc=f"table {table.name}", wanted=progress
    ) as bar:
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            connection.start_transaction()
            cursor.executemany(text, batch)
            connection.commit()
            bar.update(len(batch))
    cursor.execute(exp.select("COUNT(*)").from_(exp.to_table(table.name + _NEW)).sql("mysql"))
    if cursor.fetchone()[0] != table.n_rows:
        raise SourceError(f"table {table.name}: not all rows arrived; run it again.")


def _rename(cursor: Any, moves: list[tuple[str, str]]) -> None:
    pairs = ", ".join(
        " TO ".join(exp.to_identifier(name, quoted=True).sql("mysql") for name in pair)
        for pair in moves
    )
    cursor.execute(exp.Command(this="RENAME", expression=f"TABLE {pairs}").sql("mysql"))
