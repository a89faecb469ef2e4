"""Stages from the source to prepared customers: orders, findings, the cut, preparation."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segmentation.core.columns import SEGMENT_TYPES
from segmentation.core.errors import ParameterError
from segmentation.core.parameters import Parameters
from segmentation.customers import concentration, date_outcomes, features
from segmentation.customers.prepare import prepare_group
from segmentation.evidence import holdout as holdout_stage
from segmentation.orders import (
    clean,
    findings,
)
from segmentation.orders import (
    returns as special_lines,
)
from segmentation.orders import (
    summaries as explore,
)
from segmentation.orders import (
    transactions as ingest,
)
from segmentation.sources.engine import Engine

if TYPE_CHECKING:
    from segmentation.run.run import Run


def compute_orders(run: Run) -> dict[str, Any]:
    """Read, clean and account for every line; one row per customer with its features."""
    with run.snapshot.opened() as engine:
        source = _ingested(run, engine)
        compute = _customer_table if source.is_customer_table else _transactions
        results = compute(run, engine, source)
        results["overview"]["database"] = engine.description()
        if source.zoned:
            days = f"{', '.join(source.zoned)} by days of {run.parameters.time_zone}"
            results["overview"]["database"]["points in time"] = days
        return results


def _transactions(run: Run, engine: Engine, source: ingest.Source) -> dict[str, Any]:
    parameters = run.parameters
    rules = _rules(parameters)
    asked = None if parameters.as_of == "auto" else parameters.as_of
    values = clean.clean(engine, **rules, as_of=asked)
    ledger = clean.ledger(engine, left_out=source.left_out)
    as_of = asked or features.last_valid_order(engine)
    if asked is None and parameters.returns == "net":
        # a return after the last valid order is not yet known on that day
        values = clean.clean(engine, **rules, as_of=as_of)
        ledger = clean.ledger(engine, left_out=source.left_out)
    if parameters.fit_on == "all":
        customers = features.customer_features(engine, as_of=as_of)
    else:
        customers = features.customer_sample(engine, as_of=as_of, n_customers=parameters.fit_on)
    features.check_exact(customers, scale=_scale(ledger["amount"]))
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
                zero_amount=parameters.zero_amount, duplicates=parameters.duplicates
            ),
            spanning=run.snapshot.spanning,
        ),
        "order_days": findings.order_days(engine),
        "registration_days": registered,
        "returned_lines": special_lines.returned_lines(engine, as_of=as_of),
        "special_lines": special_lines.special_lines(engine),
        "raw_columns": ingest.describe_raw(engine, source),
        "lines": lines,
        "monthly": explore.monthly(engine),
        "cohorts": explore.cohorts(engine),
        "quarters": concentration.by_quarter(engine),
        "categories": explore.categories(engine, customers["customer_id"]),
        "sql": {
            "source": source.sql,
            "clean": clean.rules_sql(returns=parameters.returns),
            "features": features.FEATURES_SQL,
            "values": {**values, "as_of": as_of.isoformat()},
        },
        "overview": {
            "source": source.name,
            "is_customer_table": False,
            "synthetic": source.is_synthetic or engine.is_synthetic,
            "as_of": as_of.isoformat(),
            "first_order": str(pd.Timestamp(lines["first_order"].item()).date()),
            "last_order": str(pd.Timestamp(lines["last_order"].item()).date()),
            "raw_rows": int(ledger["rows"].iloc[0]),
            "orders": int(lines["orders"].item()),
            "customers": int(ledger["customers"].iloc[-1]),
            "sampled": None if parameters.fit_on == "all" else len(customers),
            "amount_scale": _scale(ledger["amount"]),
        },
    }


def _customer_table(run: Run, engine: Engine, source: ingest.Source) -> dict[str, Any]:
    if run.is_sampled:
        raise ParameterError(
            f"fit_on is {run.parameters.fit_on}, but source {source.name} is a customer table "
            "already; set fit_on: all, or name the source of orders."
        )
    customers = features.read_customer_table(engine, name=source.name)
    exact = engine.query("SELECT customer_id, total_spent FROM customers")
    ledger = clean.customer_table_ledger(exact, left_out=source.left_out)
    features.check_exact(customers, scale=_scale(ledger["amount"]))
    empty = pd.DataFrame()
    return {
        "customer_features": customers,
        "ledger": ledger,
        "line_findings": findings.customer_table_findings(exact, run.snapshot.spanning),
        "order_days": empty,
        "registration_days": empty,
        "returned_lines": pd.DataFrame(columns=list(special_lines.RETURN_COLUMNS)),
        "special_lines": pd.DataFrame(columns=list(special_lines.SPECIAL_COLUMNS)),
        "raw_columns": ingest.describe_raw(engine, source),
        "lines": empty,
        "monthly": empty,
        "cohorts": empty,
        "quarters": empty,
        "categories": pd.DataFrame(
            columns=["dimension", "value", "orders", "customers", "revenue"]
        ),
        "sql": {"source": source.sql, "clean": "", "features": "", "values": {}},
        "overview": {
            "source": source.name,
            "is_customer_table": True,
            "synthetic": source.is_synthetic or engine.is_synthetic,
            "as_of": None,
            "first_order": None,
            "last_order": None,
            "raw_rows": int(ledger["rows"].iloc[0]),
            "orders": None,
            "customers": len(customers),
            "amount_scale": _scale(ledger["amount"]),
        },
    }


def compute_findings(run: Run) -> dict[str, Any]:
    """What is wrong with the data: one row per finding, with lines, customers and money."""

    def outcome(date_repair: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        other = run.with_parameters(date_repair=date_repair)
        return other["customer_features"], other["overview"]

    return date_outcomes.all_findings(
        run["line_findings"],
        run["order_days"],
        run["registration_days"],
        outcome=outcome,
        date_repair=run.parameters.date_repair,
    )


def _scale(amounts: pd.Series) -> int:
    return max(max(0, -int(value.as_tuple().exponent)) for value in amounts)


def compute_prepared(run: Run) -> dict[str, Any]:
    """Each registration group in prepared space: one row per customer, one column per feature."""
    parameters = run.parameters
    table = run["customer_features"]
    features.check_features(table, parameters.features, source=run.source.name)
    table = features.add_segment_type(table, split_pre_register=parameters.split_pre_register)
    results: dict[str, Any] = {"features": table, "groups": {}}
    for kind in [k for k in SEGMENT_TYPES if (table["segment_type"] == k).any()]:
        group = prepare_group(
            table,
            kind,
            names=parameters.features,
            outliers=parameters.outliers,
            winsor_quantile=parameters.winsor_quantile,
            transform=parameters.transform,
            scaler=parameters.scaler,
        )
        constants = vars(group.preparation)
        results["groups"][kind] = {
            "notes": list(group.notes),
            "features": list(group.preparation.features),
            "transform": group.preparation.transform,
            "constants": {
                name: np.asarray(constants[name]).tolist()
                for name in ("low", "high", "lambdas", "center", "scale")
            },
        }
        results[f"prepared_{kind}"] = group.values
        results[f"rows_{kind}"] = group.rows
    return results


def compute_cut(run: Run) -> dict[str, Any]:
    """The orders looked at from a day in the middle: known by then, and what followed."""
    impossible = {"cut_features": pd.DataFrame(), "followed": pd.DataFrame()}
    overview = run["overview"]
    if run.is_sampled:
        reason = "all but a sample of the customers stay on the cluster"
        return impossible | {"cut": {"reason": reason}}
    if overview["is_customer_table"]:
        reason = "the source is a customer table without dates"
        return impossible | {"cut": {"reason": reason}}
    first, last = (dt.date.fromisoformat(overview[n]) for n in ("first_order", "as_of"))
    asked = run.parameters.calibration_end
    cut = holdout_stage.middle_of(first, last) if asked == "auto" else asked
    if not first <= cut < last:
        if asked != "auto":
            raise ParameterError(
                f"calibration_end is {cut}, but orders run from {first} to {last}; give a day "
                f"from {first} on that lies before {last}, or auto."
            )
        return impossible | {"cut": {"reason": "all orders are of one day"}}
    with run.snapshot.opened() as engine:
        _ingested(run, engine)
        clean.clean(engine, **_rules(run.parameters), as_of=cut)
        known = features.customer_features(engine, as_of=cut)
        clean.clean(engine, **_rules(run.parameters), as_of=last)
        followed = features.followed_customers(engine, cut=cut)
    days = {"reason": "", "cut": cut.isoformat(), "last_day": last.isoformat()}
    return {"cut_features": known, "followed": followed, "cut": days}


def _ingested(run: Run, engine: Engine) -> ingest.Source:
    return ingest.ingest(engine, run.source, date_repair=run.parameters.date_repair)


def _rules(parameters: Parameters) -> dict[str, str]:
    """The parameters that choose cleaning rules."""
    return {
        "returns": parameters.returns,
        "zero_amount": parameters.zero_amount,
        "duplicates": parameters.duplicates,
        "non_product": parameters.non_product,
    }
