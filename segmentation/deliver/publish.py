"""A run's segments -> one table in a MySQL or MariaDB database, complete or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from sqlglot import exp

from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import load_yaml
from segmentation.deliver.mysql_tables import NewTable, replace_tables
from segmentation.run.compare_runs import read_run
from segmentation.sources.mysql.address import is_database, parse_location, shown_location

OWN_COMMENT = "segmentation publish"
"""How the comment of a table begins that this command made and may replace."""
_TABLE_NAME = re.compile(r"[A-Za-z0-9_$]{1,59}")  # 64, less the ending of a table in the making
_KEY_LENGTH = 191  # the longest text that every row format can have as a key
_MOST_DIGITS = 38
_KINDS = {
    "frequency": "BIGINT",
    "segment_type": "VARCHAR(20)",
    "cluster": "INT",
    "segment": "TEXT",
    "is_anomaly": "BOOLEAN",
    "anomaly_reasons": "MEDIUMTEXT",
    "run_id": "VARCHAR(191)",
    "as_of": "DATE",
}


@dataclass(frozen=True)
class Published:
    """What was written: customers in a table, from which run."""

    customers: int
    run_id: str
    place: str


def publish(
    folder: Path, *, table: str, location: str | None = None, replace: bool = False
) -> Published:
    """Write the segments of a finished run into a database, for whoever works there.

    One row per customer: the columns of ``segments.parquet``, then ``run_id`` and
    ``as_of``. Money is an exact DECIMAL. Rows go into a table of another name, and one
    rename puts it in place, so that readers meet the old table or the new one. The same
    run published twice gives the same table.

    Parameters
    ----------
    folder : Path
        The run's folder.
    table : str
        Name of the table: letters, digits, ``_`` and ``$``, at most 59.
    location : str, optional
        ``mysql://host:port/database``; left out, the database that the run read.
    replace : bool
        Replace the table even if another program made it. Never a view.

    Raises
    ------
    ParameterError
        If the name or the location cannot be meant, or no user is known.
    SourceError, ModelError
        If the folder is no intact run, the table is somebody else's, or for any fault of
        the server; a table before then stays as it was.
    """
    if not _TABLE_NAME.fullmatch(table):
        raise ParameterError(
            f"--mysql {table[:60]!r}: a table's name is 1 to 59 letters, digits, '_' or '$'."
        )
    location = location or _location_of(folder)
    if not is_database(location):
        raise ParameterError(
            "--location: the run read no database, so name one: mysql://host:port/database."
        )
    address = parse_location(location)
    scale = read_run(folder).amount_scale
    segments = pq.read_table(folder / "segments.parquet", page_checksum_verification=True)
    manifest = _manifest(folder)
    identity = run_id(folder, manifest)
    rows = _with_run(segments.to_pandas(), identity, manifest["as_of"])
    new = NewTable(
        definition=_definition(table, rows, scale),
        comment=_comment(identity, manifest),
        columns=tuple(rows.columns),
        rows=_plain_rows(rows, scale),
        n_rows=len(rows),
    )
    replace_tables(
        address,
        [new],
        own=(OWN_COMMENT,),
        replace=replace,
        remedy="name another table, or add --replace if it may go",
    )
    return Published(len(rows), identity, f"{table} in {shown_location(location)}")


def run_id(folder: Path, manifest: dict[str, Any]) -> str:
    """Which run, in a word: profile, last day of observation, and a hash of its segments.

    The same data and parameters give the same word on any day and in any folder.
    """
    digest = hashlib.sha256((folder / "segments.parquet").read_bytes()).hexdigest()[:12]
    parts = [str(manifest["profile"])[:100], manifest["as_of"] or "undated", digest]
    return "-".join(parts)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return {name: manifest[name] for name in ("profile", "as_of")} | {
            "synthetic": bool(manifest.get("synthetic"))
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise SourceError(f"{folder}: manifest.json is missing or damaged; run again.") from None


def _location_of(folder: Path) -> str:
    try:
        return str(load_yaml(folder / "params.yaml")["location"])
    except (ParameterError, KeyError):
        if not (folder / "params.yaml").exists():
            raise SourceError(f"{folder}: is no run's folder (it has no params.yaml).") from None
        raise SourceError(f"{folder}: params.yaml is damaged; name a --location.") from None


def _comment(identity: str, manifest: dict[str, Any]) -> str:
    kind = ", SYNTHETIC data, describes nobody" if manifest["synthetic"] else ""
    return f"{OWN_COMMENT}: run {identity}{kind}"


def _with_run(segments: pd.DataFrame, identity: str, as_of: str | None) -> pd.DataFrame:
    day = None if as_of is None else dt.date.fromisoformat(as_of)
    run = pd.DataFrame({"run_id": identity, "as_of": day}, index=segments.index, dtype=object)
    return segments.join(run)


def _definition(table: str, rows: pd.DataFrame, scale: int) -> str:
    """CREATE TABLE of the columns. The id has no unique key: blanks at its end do not count."""
    key = exp.ColumnDef(
        this=exp.to_identifier("customer_id"),
        kind=exp.DataType.build(_id_kind(rows["customer_id"]), dialect="mysql"),
        constraints=[
            exp.ColumnConstraint(kind=exp.CollateColumnConstraint(this=exp.var("utf8mb4_bin"))),
            exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()),
        ],
    )
    kinds = _KINDS | {"total_spent": f"DECIMAL({min(max(18, 16 + scale), _MOST_DIGITS)}, {scale})"}
    others = [
        exp.ColumnDef(
            this=exp.to_identifier(name),
            kind=exp.DataType.build(kinds.get(name, "DOUBLE"), dialect="mysql"),
        )
        for name in rows.columns
        if name != "customer_id"
    ]
    prefix = exp.ColumnPrefix(
        this=exp.to_identifier("customer_id"), expression=exp.Literal.number(_KEY_LENGTH)
    )
    index = exp.IndexColumnConstraint(expressions=[prefix])
    create = exp.Create(
        this=exp.Schema(this=exp.to_table(table), expressions=[key, *others, index]),
        kind="TABLE",
        properties=exp.Properties(
            expressions=[
                exp.EngineProperty(this=exp.var("InnoDB")),
                exp.CharacterSetProperty(this=exp.var("utf8mb4")),
            ]
        ),
    )
    return create.sql("mysql", identify=True)


def _id_kind(ids: pd.Series) -> str:
    """Type of the id: a TEXT only where one is longer than a key can be."""
    longest = int(ids.str.len().max()) if len(ids) else 0
    return f"VARCHAR({_KEY_LENGTH})" if longest <= _KEY_LENGTH else "MEDIUMTEXT"


def _plain_rows(rows: pd.DataFrame, scale: int) -> Iterator[tuple[Any, ...]]:
    """Rows as the driver takes them: money as its exact decimal, missing values as None."""
    columns = []
    for name in rows.columns:
        values, missing = rows[name].tolist(), rows[name].isna().tolist()
        if name == "total_spent":
            values = [f"{value:.{scale}f}" for value in values]
        elif name == "frequency":
            values = [None if gone else int(v) for v, gone in zip(values, missing, strict=True)]
        columns.append([None if gone else v for v, gone in zip(values, missing, strict=True)])
    return zip(*columns, strict=True)
