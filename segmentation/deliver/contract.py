"""The data contract of what goes in and what comes out, made of the same definitions as all pages.

Open Data Contract Standard, version 3.1: https://bitol-io.github.io/open-data-contract-standard/
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from segmentation import __version__
from segmentation.core.columns import (
    FEATURES,
    REQUIRED_TRANSACTION_COLUMNS,
    SEGMENT_COLUMNS,
    TRANSACTIONS,
    Column,
)
from segmentation.core.parameters import Parameters, load_yaml, parameters_from, resolve
from segmentation.deliver.run_places import manifest_in
from segmentation.sources.source import one_select, source_sql

STANDARD = "v3.1.0"
LOGICAL_TYPES = {
    **dict.fromkeys(("count", "days", "money", "score", "share"), "number"),
    **{"text": "string", "date": "date", "flag": "boolean"},
}
"""Of each kind of column; features of a shop's own have further kinds of number."""
MAY_BE_EMPTY = ("margin", "anomaly_reasons")


def contract_text(asked: str) -> str:
    """The contract of a profile, or of a run's folder, as YAML.

    Raises
    ------
    ParameterError, SourceError
        If there is no such profile, or its SELECT cannot be read.
    """
    manifest = manifest_in(Path(asked))
    if manifest is not None:
        name, parameters = (
            str(manifest["profile"]),
            parameters_from(load_yaml(Path(asked, "params.yaml"))),
        )
    else:
        name, parameters = resolve(asked)
    return yaml.safe_dump(
        contract(name, parameters), sort_keys=False, allow_unicode=True, width=100
    )


def contract(name: str, parameters: Parameters) -> dict[str, Any]:
    """What the source's SELECT promises, and what the table of segments does."""
    source, sql = source_sql(parameters.source)
    given = [one.lower() for one in one_select(sql).named_selects]
    of_customers = "order_id" not in given and "*" not in given
    known = (
        {"customer_id": TRANSACTIONS["customer_id"]} | FEATURES if of_customers else TRANSACTIONS
    )
    needed = ("customer_id", *parameters.features) if of_customers else REQUIRED_TRANSACTION_COLUMNS
    there = [column for one, column in known.items() if one in given or "*" in given]
    segments = [TRANSACTIONS["customer_id"], *(FEATURES[one] for one in parameters.features)]
    return {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": f"{name}-customer-segments",
        "name": f"Orders and customer segments of {name}",
        "version": __version__,
        "status": "active",
        "description": {
            "purpose": "Orders are cleaned, counted and turned into one segment for each customer.",
            "limitations": "Lines that break a rule are set aside and counted in ledger.csv; "
            "findings.csv says what looks wrong in the others.",
            "usage": f"The currency is {parameters.currency}. Customer ids are personal data.",
        },
        "schema": [
            _table(
                source,
                "one row per customer" if of_customers else "one row per line of an order",
                "view",
                there,
                needed,
            ),
            _table(
                "segments",
                "one row per customer",
                "file",
                [*segments, *SEGMENT_COLUMNS.values()],
                [
                    *parameters.features,
                    *(one for one in SEGMENT_COLUMNS if one not in MAY_BE_EMPTY),
                ],
                key="customer_id",
            ),
        ],
    }


def _table(
    name: str,
    grain: str,
    kind: str,
    columns: Iterable[Column],
    needed: Iterable[str],
    key: str = "",
) -> dict[str, Any]:
    needed = set(needed)
    return {
        "name": name,
        "physicalType": kind,
        "dataGranularityDescription": grain,
        "properties": [
            {
                "name": column.name,
                "businessName": column.label,
                "logicalType": LOGICAL_TYPES.get(column.kind, "number"),
                "description": column.meaning,
                "required": column.name in needed or column.name == key,
            }
            | ({"unique": True, "primaryKey": True} if column.name == key else {})
            | ({"classification": "personal"} if column.name == "customer_id" else {})
            | (
                {"customProperties": [{"property": "unit", "value": column.unit}]}
                if column.unit
                else {}
            )
            for column in columns
        ],
    }
