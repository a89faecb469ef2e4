"""Raw tables of a database as Spark reads them through JDBC: the same text, days and decimals.

Values travel as the server's own text and get their types in Spark, because drivers disagree
about flags, unsigned numbers, days that no calendar has, and the time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from segmentation.errors import SourceError, first_three
from segmentation.jdbc_place import (
    DRIVERS,
    JdbcPlace,
    driver_missing,
    lacks_driver,
    properties_for,
)
from segmentation.spark_tables import ROW

ROWS_AT_ONCE = 10_000
"""Rows that a driver fetches at once, so that no machine holds a table as the driver does."""
SYNTHETIC_COMMENT = "SYNTHETIC"
"""How the comment of a table begins that `segmentation demo` wrote."""
_DAYS = ("date", "timestamp_ntz")
_SESSION = {
    # a driver's words for a column are in double quotes where Spark does not know its kind
    True: "SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+00:00'",
    False: "SET TIME ZONE 'UTC'",
}
_BYTE_TYPES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_WHOLE_TYPES = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint"}


@dataclass(frozen=True)
class JdbcTable:
    """A table's rows as text, with their place, and the type that each column gets in Spark."""

    rows: Any
    kinds: dict[str, str]

    @property
    def days(self) -> list[str]:
        """Names of the columns that hold days or points in time."""
        return [name for name, kind in self.kinds.items() if kind in _DAYS]

    def typed(self) -> Any:
        """The rows in their types; a day that no calendar has is missing (see `no_days`)."""
        from pyspark.sql import functions as f

        columns = []
        for name, kind in self.kinds.items():
            text = f.col(_quoted(name))
            made = text.try_cast(kind) if kind in _DAYS else text.cast(kind)
            columns.append(made.alias(name))
        return self.rows.select(*columns, ROW)

    def no_days(self, name: str) -> list[str]:
        """Every value of a column that is no day of the calendar, such as 0000-00-00."""
        from pyspark.sql import functions as f

        text = f.col(_quoted(name))
        is_none = text.isNotNull() & text.try_cast(self.kinds[name]).isNull()
        return [row[0] for row in self.rows.where(is_none).select(text).collect()]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


class JdbcReader:
    """Reads the tables of one database with the first driver that Spark has for it."""

    def __init__(self, session: Any, place: JdbcPlace) -> None:
        self.session = session
        self.place = place
        self._driver: tuple[str, str] | None = None

    def table(self, name: str) -> JdbcTable:
        """A table, read in one statement through one connection.

        Raises
        ------
        SourceError
            If it is missing or may not be read, or Spark has no driver.
        """
        described = self._query(self._columns_of(name)).collect()
        columns = [row.asDict() for row in sorted(described, key=lambda row: int(row["place"]))]
        readable = [column for column in columns if "select" in column["rights"].lower()]
        if not readable:
            self._refuse(name, is_there=bool(columns))
        read = {column["name"]: self._read(column) for column in readable}
        select = exp.select(
            *(exp.alias_(value, column, quoted=True) for column, (value, _) in read.items())
        ).from_(exp.Table(this=exp.to_identifier(name, quoted=True)))
        from pyspark.sql import functions

        rows = self._query(select).withColumn(ROW, functions.monotonically_increasing_id())
        return JdbcTable(rows, {c: kind for c, (_, kind) in read.items()})

    def is_synthetic(self, name: str) -> bool:
        """Whether the table's comment says that a generator wrote it."""
        if self.place.is_mysql:
            query = (
                exp.select(_text(exp.column("table_comment"), "said"))
                .from_("information_schema.tables")
                .where(self._is_here(), _named("table_name", name))
            )
        else:
            is_own = exp.Anonymous(this="pg_table_is_visible", expressions=[exp.column("oid", "c")])
            query = (
                exp.select(_text(exp.column("description", "d"), "said"))
                .from_("pg_description AS d")
                .join("pg_class AS c", on="c.oid = d.objoid AND d.objsubid = 0")
                .where(is_own, exp.column("relname", "c").eq(exp.Literal.string(name)))
            )
        rows = self._query(query).collect()
        return any(str(row[0] or "").startswith(SYNTHETIC_COMMENT) for row in rows)

    @property
    def _dialect(self) -> str:
        return "mysql" if self.place.is_mysql else "postgres"

    def _query(self, query: Any) -> Any:
        """Rows of a query; its columns are known at once, and so is a fault of the server."""
        drivers = [self._driver] if self._driver else DRIVERS[self.place.kind]
        for scheme, driver in drivers:
            try:
                rows = (
                    self._reader(scheme, driver)
                    .option("query", query.sql(self._dialect, identify=True))
                    .load()
                )
                _ = rows.schema
            except Exception as error:
                if not lacks_driver(str(error)):
                    raise
                continue
            self._driver = (scheme, driver)
            return rows
        raise driver_missing(self.place)

    def _reader(self, scheme: str, driver: str) -> Any:
        reader = self.session.read.format("jdbc").options(**properties_for(self.place, scheme))
        return reader.options(
            url=self.place.url(scheme),
            driver=driver,
            fetchsize=str(ROWS_AT_ONCE),
            sessionInitStatement=_SESSION[self.place.is_mysql],
            queryTimeout=str(self.place.address.read_timeout),
            pushDownPredicate="false",  # a server's collation may hold 'a' and 'A' for equal
        )

    # --- what the server says about its tables ------------------------------------------

    def _is_here(self) -> Any:
        schema = exp.column("table_schema")
        if self.place.is_mysql:
            return schema.eq(exp.Literal.string(self.place.address.database))
        return schema.eq(exp.Anonymous(this="CURRENT_SCHEMA"))

    def _columns_of(self, name: str) -> Any:
        is_mysql = self.place.is_mysql
        rights = exp.column("privileges") if is_mysql else exp.Literal.string("select")
        found = {
            "name": exp.column("column_name"),
            "place": exp.column("ordinal_position"),
            "kind": exp.column("data_type"),
            "declared": exp.column("column_type" if is_mysql else "udt_name"),
            "digits": exp.column("numeric_precision"),
            "decimals": exp.column("numeric_scale"),
            "rights": rights,
        }
        return (
            exp.select(*(_text(value, alias) for alias, value in found.items()))
            .from_("information_schema.columns")
            .where(self._is_here(), _named("table_name", name))
        )

    def _refuse(self, name: str, *, is_there: bool) -> None:
        database = self.place.address.database
        if is_there:
            raise SourceError(
                f"table {name}: the user may not read it in database {database}; its "
                "administrator can GRANT SELECT."
            )
        query = exp.select(_text(exp.column("table_name"), "name")).from_(
            "information_schema.tables"
        )
        others = sorted(row[0] for row in self._query(query.where(self._is_here())).collect())
        raise SourceError(
            f"table {name}: there is none in database {database}; "
            f"it has {first_three(others) or 'no tables that the user may read'}."
        )

    # --- a column as text, and its type in Spark ------------------------------------------

    def _read(self, described: dict[str, str]) -> tuple[Any, str]:
        column: Any = exp.column(described["name"], quoted=True)
        kind, declared = described["kind"].lower(), described["declared"].lower()
        value, made = column, "string"
        if kind in _BYTE_TYPES:
            return exp.func("LOWER", exp.Anonymous(this="HEX", expressions=[column])), made
        if kind == "bytea":
            return exp.Anonymous(
                this="ENCODE", expressions=[column, exp.Literal.string("hex")]
            ), made
        if kind in _WHOLE_TYPES:
            is_flag = declared.startswith("tinyint(1)")
            made = "decimal(20, 0)" if "unsigned" in declared else "bigint"
            made = "boolean" if is_flag else made
        elif kind == "year" or (kind == "bit" and self.place.is_mysql):
            value, made = column + exp.Literal.number(0), "decimal(20, 0)"
        elif kind in ("decimal", "numeric"):
            digits = int(described["digits"] or 99)  # without a size: as many as there are
            # wider ones stay text: exact, and cast by the SELECT like those of a file
            made = f"decimal({digits}, {described['decimals']})" if digits <= 38 else made
        elif kind in ("float", "double", "real", "double precision"):
            value, made = exp.cast(column, "DOUBLE"), "double"
        elif kind in ("boolean", "date"):
            made = kind
        elif kind == "timestamp with time zone":
            value, made = exp.AtTimeZone(this=column, zone=exp.Literal.string("UTC")), _DAYS[1]
        elif kind in ("datetime", "timestamp", "timestamp without time zone"):
            made = _DAYS[1]
        return exp.cast(value, "VARCHAR"), made


def _text(value: Any, alias: str) -> Any:
    return exp.alias_(exp.cast(value, "VARCHAR"), alias, quoted=True)


def _named(column: str, name: str) -> Any:
    return exp.column(column).eq(exp.Literal.string(name))
