"""Tables for the classic flow: the demonstration's four, and one row per customer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import sqlglot
from sqlglot import exp

from segmentation.core.columns import FEATURES
from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.deliver.make_run import make_folder
from segmentation.deliver.mysql_tables import NewTable, create_database, replace_tables
from segmentation.run.run import Run
from segmentation.sources.demo import Marketplace, generate_marketplace
from segmentation.sources.forgotten import held
from segmentation.sources.mysql.address import parse_location

CUSTOMER_TABLE = "customer_segmentation_data"
DEMO_COMMENT = "SYNTHETIC: written by segmentation demo, describes nobody"
_ID_LENGTH = 191  # the longest that every row format can have as a key

_DEMO_TABLES = {
    "customer_detail": """
        CREATE TABLE customer_detail (
            id VARCHAR(64) NOT NULL PRIMARY KEY,
            registered_date DATE
        )""",
    # id is the order's and repeats over its lines: the line has a key of its own
    "order_detail": """
        CREATE TABLE order_detail (
            line_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            id VARCHAR(64) NOT NULL,
            customer_id VARCHAR(64),
            order_date DATE,
            sku_id VARCHAR(64),
            price DECIMAL(18, 2),
            qty_ordered BIGINT,
            before_discount DECIMAL(18, 2),
            discount_amount DECIMAL(18, 2),
            after_discount DECIMAL(18, 2),
            is_gross TINYINT(1),
            is_valid TINYINT(1),
            is_net TINYINT(1),
            payment_id BIGINT,
            INDEX order_detail_id (id),
            INDEX order_detail_customer (customer_id)
        )""",
    "sku_detail": """
        CREATE TABLE sku_detail (
            id VARCHAR(64) NOT NULL PRIMARY KEY,
            sku_name VARCHAR(255),
            base_price DECIMAL(18, 2),
            cogs DECIMAL(18, 2),
            category VARCHAR(255)
        )""",
    "payment_detail": """
        CREATE TABLE payment_detail (
            id BIGINT NOT NULL PRIMARY KEY,
            payment_method VARCHAR(255)
        )""",
}
# no unique key: two ids may differ in closing blanks only, which every key here ignores
_CUSTOMERS = """
    CREATE TABLE customer_segmentation_data (
        customer_id VARCHAR(191) COLLATE utf8mb4_bin NOT NULL,
        INDEX (customer_id)
    )"""
_TABLE_OPTIONS = " ENGINE=InnoDB CHARACTER SET=utf8mb4"


def load_marketplace(location: str, *, n_customers: int = 4000) -> list[str]:
    """Load the demonstration marketplace into a database, which is made if it is missing.

    Money is DECIMAL(18, 2), an order line has its own key, an empty text is NULL. Every
    table's comment says that it is synthetic, and so will every page.

    Returns
    -------
    list of str
        The four tables' names.

    Raises
    ------
    SourceError
        If one of the tables exists and is somebody else's, or for any fault of the server.
    """
    address = parse_location(location)
    demo = generate_marketplace(n_customers=n_customers)
    create_database(address)
    replace_tables(address, [_demo_table(demo, name) for name in _DEMO_TABLES])
    return list(_DEMO_TABLES)


def _demo_table(demo: Marketplace, name: str) -> NewTable:
    frame = getattr(demo, name)
    return NewTable(
        definition=_DEMO_TABLES[name] + _TABLE_OPTIONS,
        comment=DEMO_COMMENT,
        columns=tuple(frame.columns),
        rows=_plain_rows(frame),
        n_rows=len(frame),
    )


def _plain_rows(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Rows as the driver takes them: no NumPy numbers, empty text as None."""
    columns = [frame[name].tolist() for name in frame.columns]
    for row in zip(*columns, strict=True):
        yield tuple(None if value == "" or pd.isna(value) else value for value in row)


def materialize(run: Run) -> str:
    """Write the features of every customer into the database as one table.

    The table ``customer_segmentation_data`` has one row per customer and every feature that
    the source allows; a report can start from it (source ``customer_segmentation_data``).

    Returns
    -------
    str
        The table's name.

    Raises
    ------
    ParameterError
        If the profile's engine is not mysql, or its source is the table itself.
    SourceError
        If an id is too long for a key, or for any fault of the server; a table before
        stays as it was.
    """
    if not run.snapshot.is_database:
        raise ParameterError(
            f"engine is {run.parameters.engine}: a table is materialised in a MySQL database; "
            "set engine: mysql and location: mysql://host:port/database."
        )
    if CUSTOMER_TABLE in run.source.tables:
        raise ParameterError(
            f"source {run.source.name} reads {CUSTOMER_TABLE} itself; name the source of orders."
        )
    make_folder(runs_dir := run.cache.root.parent)
    with held(runs_dir):
        features = run["customer_features"]
        scale = run["overview"]["amount_scale"]
    run.snapshot.close()
    _check_ids(features["customer_id"])
    frame = features.assign(total_spent=[f"{v:.{scale}f}" for v in features["total_spent"]])
    table = NewTable(
        definition=_customer_definition(list(features.columns), scale=scale),
        comment=f"segmentation materialize: {run.source.name}, as of {run['overview']['as_of']}",
        columns=tuple(frame.columns),
        rows=_plain_rows(frame),
        n_rows=len(frame),
    )
    replace_tables(parse_location(run.parameters.location), [table])
    return CUSTOMER_TABLE


def _check_ids(ids: pd.Series) -> None:
    long = ids[ids.str.len() > _ID_LENGTH]
    if len(long):
        raise SourceError(
            f"customer_id: {len(long):,} are longer than {_ID_LENGTH} characters "
            f"({first_three(text[:20] + '…' for text in long)}); shorten them in the SELECT."
        )


def _customer_definition(columns: list[str], *, scale: int) -> str:
    definition: Any = sqlglot.parse_one(_CUSTOMERS + _TABLE_OPTIONS, dialect="mysql")
    money = f"DECIMAL({max(18, 16 + scale)}, {max(2, scale)})"
    kinds = {"total_spent": money, "frequency": "BIGINT"}
    for name in [column for column in columns if column in FEATURES]:
        kind = exp.DataType.build(kinds.get(name, "DOUBLE"), dialect="mysql")
        definition.this.append(
            "expressions", exp.ColumnDef(this=exp.to_identifier(name), kind=kind)
        )
    return str(definition.sql("mysql"))
