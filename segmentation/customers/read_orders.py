"""Source -> clean lines with their account, and one row per customer; the same at a cut."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pandas as pd

from segmentation.core.columns import amount_scale
from segmentation.core.errors import ParameterError
from segmentation.core.parameters import Parameters
from segmentation.customers import concentration, features
from segmentation.orders import clean, dates, findings
from segmentation.orders import returns as special_lines
from segmentation.orders import summaries as explore
from segmentation.orders import transactions as ingest
from segmentation.orders.counting import finding
from segmentation.sources.engine import Engine
from segmentation.sources.snapshot import Snapshot

_NOBODY = pd.DataFrame({"customer_id": [], "given_back": []})
_MARKS = {",": "decimal comma", ".": "marks between thousands"}


def read_orders(*, snapshot: Snapshot, parameters: Parameters) -> dict[str, Any]:
    """Read, clean and account for every line; one row per customer with its features."""
    with snapshot.opened() as engine:
        source = read_lines(engine, snapshot, parameters)
        hidden = {table: rows for table, rows in snapshot.hidden.items() if rows}
        found = [finding("hidden_rows", table, rows, 0, None) for table, rows in hidden.items()]
        source = replace(source, found=(*source.found, *found))
        read = _customer_table if source.is_customer_table else _transactions
        results = read(engine, source, parameters, snapshot)
        results["overview"]["database"] = engine.description()
        if source.zoned:
            days = f"{', '.join(source.zoned)} by days of {parameters.time_zone}"
            results["overview"]["database"]["points in time"] = days
        for mark, words in _MARKS.items():
            columns = [name for name, found in source.marks if found == mark]
            if columns:
                results["overview"]["database"][words] = ", ".join(columns)
        return results


def read_lines(engine: Engine, snapshot: Snapshot, parameters: Parameters) -> ingest.Source:
    """Order lines as a table of the engine; what they hold is checked by the first stage only."""
    reading = reading_of(parameters)
    known = snapshot.checked.get(str(reading))
    source = ingest.ingest(engine, snapshot.source, **reading, checked=known)
    snapshot.checked[str(reading)] = source
    return source


def _transactions(
    engine: Engine, source: ingest.Source, parameters: Parameters, snapshot: Snapshot
) -> dict[str, Any]:
    rules = rules_of(parameters)
    asked = None if parameters.as_of == "auto" else parameters.as_of
    values = clean.clean(engine, **rules, as_of=asked)
    ledger = clean.ledger(engine, left_out=source.left_out)
    last = features.last_valid_order(engine)
    as_of = asked or min(last, dates.last_day_of_many(findings.order_days(engine)))
    if asked is None and (parameters.returns == "net" or as_of < last):
        # what comes after the last day, a return or a line dated ahead, is not yet known then
        values = clean.clean(engine, **rules, as_of=as_of)
        ledger = clean.ledger(engine, left_out=source.left_out)
    if parameters.fit_on == "all":
        customers = features.customer_features(engine, as_of=as_of)
    else:
        customers = features.customer_sample(engine, as_of=as_of, n_customers=parameters.fit_on)
    features.check_exact(customers, scale=amount_scale(ledger["amount"]))
    customers = features.with_own_features(engine, source, customers, as_of=as_of)
    lines = explore.lines(engine)
    registered = findings.registration_days(engine)
    return {
        "customer_features": customers,
        "ledger": ledger,
        "line_findings": findings.line_findings(
            engine,
            source,
            customers,
            as_of=as_of,
            first_registration=registered["day"].min().date() if len(registered) else None,
            treatments=clean.treatments(
                zero_amount=parameters.zero_amount,
                duplicates=parameters.duplicates,
                returns=parameters.returns,
            ),
            spanning=snapshot.spanning,
        ),
        "order_days": findings.order_days(engine),
        "registration_days": registered,
        "returned_lines": special_lines.returned_lines(engine, as_of=as_of),
        # of a sample: everybody else's money stays on the cluster
        "given_back": special_lines.given_back(engine, as_of=as_of)
        if parameters.fit_on == "all"
        else _NOBODY,
        "special_lines": special_lines.special_lines(engine),
        "raw_columns": ingest.describe_raw(engine, source),
        "lines": lines,
        "monthly": explore.monthly(engine),
        "cohorts": explore.cohorts(engine),
        "quarters": concentration.by_quarter(engine),
        "categories": explore.categories(engine, customers["customer_id"]),
        "sql": {
            "source": source.sql,
            "clean": clean.rules_sql(
                returns=parameters.returns, without_product=clean.returned_without_product(engine)
            ),
            "features": features.FEATURES_SQL,
            **({"own_features": source.own_sql} if source.own_sql else {}),
            "values": {**values, "as_of": as_of.isoformat()},
        },
        "overview": {
            "source": source.name,
            "is_customer_table": False,
            "synthetic": source.is_synthetic or engine.is_synthetic,
            "date_repair": parameters.date_repair,
            "as_of": as_of.isoformat(),
            "first_order": str(pd.Timestamp(lines["first_order"].item()).date()),
            "last_order": str(pd.Timestamp(lines["last_order"].item()).date()),
            "raw_rows": int(ledger["rows"].iloc[0]),
            "orders": int(lines["orders"].item()),
            "customers": int(ledger["customers"].iloc[-1]),
            "sampled": None if parameters.fit_on == "all" else len(customers),
            "amount_scale": amount_scale(ledger["amount"]),
        },
    }


def _customer_table(
    engine: Engine, source: ingest.Source, parameters: Parameters, snapshot: Snapshot
) -> dict[str, Any]:
    if parameters.fit_on != "all":
        raise ParameterError(
            f"fit_on is {parameters.fit_on}, but source {source.name} is a customer table "
            "already; set fit_on: all, or name the source of orders."
        )
    customers = features.read_customer_table(engine, name=source.name)
    customers = features.with_own_features(engine, source, customers, as_of=None)
    exact = engine.query("SELECT customer_id, total_spent FROM customers")
    ledger = clean.customer_table_ledger(exact, left_out=source.left_out)
    features.check_exact(customers, scale=amount_scale(ledger["amount"]))
    empty = pd.DataFrame()
    return {
        "customer_features": customers,
        "ledger": ledger,
        "line_findings": findings.customer_table_findings(exact, snapshot.spanning, source.rounded),
        "order_days": empty,
        "registration_days": empty,
        "returned_lines": pd.DataFrame(columns=list(special_lines.RETURN_COLUMNS)),
        "given_back": _NOBODY,
        "special_lines": pd.DataFrame(columns=list(special_lines.SPECIAL_COLUMNS)),
        "raw_columns": ingest.describe_raw(engine, source),
        "lines": empty,
        "monthly": empty,
        "cohorts": empty,
        "quarters": empty,
        "categories": pd.DataFrame(
            columns=["dimension", "value", "orders", "customers", "revenue"]
        ),
        "sql": {
            **{"source": source.sql, "clean": "", "features": "", "values": {}},
            **({"own_features": source.own_sql} if source.own_sql else {}),
        },
        "overview": {
            "source": source.name,
            "is_customer_table": True,
            "synthetic": source.is_synthetic or engine.is_synthetic,
            "date_repair": parameters.date_repair,
            "as_of": None,
            "first_order": None,
            "last_order": None,
            "raw_rows": int(ledger["rows"].iloc[0]),
            "orders": None,
            "customers": len(customers),
            "amount_scale": amount_scale(ledger["amount"]),
        },
    }


def read_cut(
    *, snapshot: Snapshot, overview: dict[str, Any], parameters: Parameters
) -> dict[str, Any]:
    """The orders looked at from a day in the middle: known by then, and what followed."""
    impossible = {"cut_features": pd.DataFrame(), "followed": pd.DataFrame()}
    if parameters.fit_on != "all":
        reason = "all but a sample of the customers stay on the cluster"
        return impossible | {"cut": {"reason": reason}}
    if overview["is_customer_table"]:
        reason = "the source is a customer table without dates"
        return impossible | {"cut": {"reason": reason}}
    first, last = (dt.date.fromisoformat(overview[n]) for n in ("first_order", "as_of"))
    asked = parameters.calibration_end
    cut = middle_of(first, last) if asked == "auto" else asked
    if not first <= cut < last:
        if asked != "auto":
            raise ParameterError(
                f"calibration_end is {cut}, but orders run from {first} to {last}; give a day "
                f"from {first} on that lies before {last}, or auto."
            )
        return impossible | {"cut": {"reason": "all orders are of one day"}}
    with snapshot.opened() as engine:
        source = read_lines(engine, snapshot, parameters)
        clean.clean(engine, **rules_of(parameters), as_of=cut)
        known = features.known_on(engine, source, cut)
        clean.clean(engine, **rules_of(parameters), as_of=last)
        followed = features.followed_customers(
            engine, cut=cut, last=last, returns=parameters.returns
        )
    left_out = [] if features.knows_day(source) else list(source.own_names)
    days = {"reason": "", "cut": cut.isoformat(), "last_day": last.isoformat()}
    return {"cut_features": known, "followed": followed, "cut": days | {"left_out": left_out}}


def middle_of(first: dt.date, last: dt.date) -> dt.date:
    """Middle of the observation window, the earlier day where there are two.

    Examples
    --------
    >>> middle_of(dt.date(1997, 1, 1), dt.date(1998, 6, 30)).isoformat()
    '1997-09-30'
    """
    return first + (last - first) // 2


def reading_of(parameters: Parameters) -> dict[str, Any]:
    """What the profile decides of reading, as `transactions.ingest` takes it."""
    return {name: getattr(parameters, name) for name in ("date_repair", "id_cleaning", "guest_ids")}


def rules_of(parameters: Parameters) -> dict[str, str]:
    """The parameters that choose cleaning rules."""
    names = ("returns", "zero_amount", "duplicates", "non_product")
    return {name: getattr(parameters, name) for name in names}
