"""From orders to one row a customer, as functions on tables: the first half of `run.steps`."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.core.parameters import Parameters
from segmentation.customers import features as customers_table
from segmentation.customers.read_orders import read_lines
from segmentation.orders import clean as cleaning
from segmentation.run.run import Run
from segmentation.sources.engine import DuckDbEngine

_DEFAULTS = Parameters()


class Cleaned(NamedTuple):
    """Order lines with the rule that each met, and the account of what every rule took."""

    lines: pd.DataFrame
    ledger: pd.DataFrame


def read_orders(source: str | Path, location: str | Path = "", **settings: Any) -> pd.DataFrame:
    """Order lines as a source's SELECT gives them, checked and typed.

    Parameters
    ----------
    source : str or Path
        A shipped source (``"cdnow"``) or the file of a SELECT.
    location : str or Path
        Where its tables are: a folder, a file, a database. Empty = where shipped data are.
    settings
        ``engine``, ``time_zone``, ``date_repair`` as in `Parameters`.

    Returns
    -------
    DataFrame, one row per order line
        ``customer_id, order_id, order_date, quantity, amount`` (exact decimals, account
        currency), ``is_valid, is_return, is_non_product`` and what else the SELECT gives.

    Raises
    ------
    SourceError, ParameterError
        In one sentence, as for a run.

    Examples
    --------
    >>> lines = read_orders("cdnow")
    >>> len(lines), lines["customer_id"].nunique(), lines["amount"].sum()
    (69659, 23570, Decimal('2500315.63'))
    """
    asked: dict[str, Any] = {"source": str(source)} | (
        {"location": str(location)} if str(location) else {}
    )
    with tempfile.TemporaryDirectory() as nowhere:
        run = Run(Parameters(**asked, **settings), Path(nowhere))
        with run.snapshot.opened() as engine:
            found = read_lines(engine, run.snapshot, run.parameters)
            if found.is_customer_table:
                raise ParameterError(
                    f"source {source}: is a table of customers, not of order lines; read it "
                    "with pandas and go on with scale."
                )
            return engine.query("SELECT * FROM transactions ORDER BY ALL")


def clean(
    lines: pd.DataFrame,
    *,
    returns: str = _DEFAULTS.returns,
    zero_amount: str = _DEFAULTS.zero_amount,
    duplicates: str = _DEFAULTS.duplicates,
    non_product: str = _DEFAULTS.non_product,
    as_of: dt.date | None = None,
) -> Cleaned:
    """Give every order line the cleaning rule that it meets, and account for all of them.

    Parameters
    ----------
    lines : DataFrame
        As `read_orders` gives it; it may be filtered or made by hand.
    returns, zero_amount, duplicates, non_product, as_of
        As in `Parameters`; `as_of` sets later lines aside.

    Returns
    -------
    Cleaned
        ``lines`` with the column ``rule`` (``kept``, or why a line is set aside) and
        ``ledger``: rows, orders, customers and money per rule, to the cent.

    Examples
    --------
    >>> cleaned = clean(read_orders("cdnow"))
    >>> cleaned.ledger[["rule", "rows", "amount"]].iloc[[0, -1]].values.tolist()
    [['raw', 69659, Decimal('2500315.63')], ['kept', 69659, Decimal('2500315.63')]]
    """
    check_table(lines, ("customer_id", "order_id", "order_date", "quantity", "amount"), "clean")
    with _table("transactions", lines) as engine:
        cleaning.clean(
            engine,
            returns=returns,
            zero_amount=zero_amount,
            duplicates=duplicates,
            non_product=non_product,
            as_of=as_of,
        )
        return Cleaned(
            engine.query("SELECT * FROM classified ORDER BY ALL"), cleaning.ledger(engine)
        )


def customer_features(lines: pd.DataFrame, *, as_of: dt.date | None = None) -> pd.DataFrame:
    """One row per customer with every feature, by the shipped ``features.sql``.

    Parameters
    ----------
    lines : DataFrame
        ``Cleaned.lines``, all of them or some.
    as_of : date, optional
        Day on which recency and tenure are counted; the last valid order unless given.

    Examples
    --------
    >>> found = customer_features(clean(read_orders("cdnow")).lines)
    >>> found[["frequency", "recency"]].agg(["size", "max"]).values.tolist()
    [[23570, 23570], [171, 545]]
    """
    check_table(lines, ("customer_id", "order_date", "amount", "rule"), "customer_features")
    with _table("classified", lines) as engine:
        day = as_of or customers_table.last_valid_order(engine)
        return customers_table.customer_features(engine, as_of=day)


def hold_out(lines: pd.DataFrame, cut: dt.date, **rules: Any) -> pd.DataFrame:
    """What was known of each customer on a day, beside what the customer did after it.

    Parameters
    ----------
    lines : DataFrame
        As `read_orders` gives it.
    cut : date
        The last day that is known.
    rules
        As for `clean`.

    Returns
    -------
    DataFrame, one row per customer known by then
        The features of that day; ``orders_after`` and ``revenue_after`` (exact decimal).

    Examples
    --------
    >>> known = hold_out(read_orders("cdnow"), dt.date(1997, 9, 30))
    >>> len(known), int((known["orders_after"] > 0).sum())
    (23570, 7058)
    """
    known = customer_features(clean(lines, **{**rules, "as_of": cut}).lines, as_of=cut)
    with _table("classified", clean(lines, **rules).lines) as engine:
        after = customers_table.followed_customers(
            engine,
            cut=cut,
            last=rules.get("as_of") or customers_table.last_valid_order(engine),
            returns=rules.get("returns", _DEFAULTS.returns),
        )
    return known.merge(after, on="customer_id", how="left", validate="one_to_one")


@contextlib.contextmanager
def _table(name: str, rows: pd.DataFrame) -> Iterator[DuckDbEngine]:
    """An engine that has one table."""
    engine = DuckDbEngine()
    try:
        money = rows.select_dtypes("float").columns.intersection(["amount", "quantity"])
        # a float is the decimal that it is written as
        exact = rows.assign(**{each: rows[each].map(repr).map(Decimal) for each in money})
        engine.connection.register("given", pa.Table.from_pandas(exact, preserve_index=False))
        engine.create(name, "SELECT * FROM given")
        yield engine
    finally:
        engine.close()


def check_table(table: Any, columns: Sequence[str], step: str) -> None:
    """Whether a step is given a table with rows and the columns that it reads."""
    if not isinstance(table, pd.DataFrame):
        raise ParameterError(f"{step}: is given a {type(table).__name__}; a DataFrame is accepted.")
    missing = [name for name in columns if name not in table]
    if missing:
        raise SourceError(f"{step}: the table lacks {first_three(missing)}.")
    if not len(table):
        raise SourceError(f"{step}: the table has no rows.")
