"""`python -m benchmarks.workbook [ROWS]`: peak memory of writing a workbook with its CSV twins.

The bar is one gigabyte for a million customers, the tables themselves included.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.deliver.workbook import write_workbook
from segmentation.segments.table import profile

NAMES = np.array(["Low", "Middle", "High", "Top"])
FEATURES = ("recency", "frequency", "total_spent", "tenure")


def customers_of(size: int) -> pd.DataFrame:
    """A seeded customers table in four segments; one customer in 50 is an anomaly."""
    rng = np.random.default_rng(5)
    cluster = rng.choice(4, size, p=[0.6, 0.25, 0.1, 0.05])
    flagged = rng.random(size) < 0.02
    return pd.DataFrame(
        {
            "customer_id": [f"{number:012d}" for number in range(size)],
            "recency": rng.integers(0, 900, size),
            "frequency": rng.geometric(0.3, size),
            "total_spent": np.round(np.exp(rng.normal(3 + cluster, 1)), 2),
            "tenure": rng.integers(0, 900, size),
            "segment_type": "normal",
            "cluster": cluster,
            "segment": NAMES[cluster],
            "margin": rng.random(size),
            "is_anomaly": flagged,
            "anomaly_reasons": np.where(flagged, "total spent of a kind that few have", ""),
        }
    )


def main() -> int:
    """Write the workbook in a temporary folder and print what it took as one line of JSON."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    customers = customers_of(size)
    table = profile(customers, FEATURES, amount_scale=2)
    kept = sum(table["revenue"], Decimal(0))
    before = _peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_workbook(
            Path(folder, "customers.xlsx"),
            segments=customers,
            customers=customers,
            profile=table,
            ledger=pd.DataFrame({"rule": ["raw", "kept"], "amount": [kept, kept]}),
            facts=pd.DataFrame(),
            recommendations=pd.DataFrame(),
            overview={"source": "benchmark"},
            currency="EUR",
            csv_folder=Path(folder),
        )
        seconds = time.perf_counter() - started
        megabytes = {
            "xlsx": Path(folder, "customers.xlsx").stat().st_size // 2**20,
            "csv": sum(path.stat().st_size for path in Path(folder).glob("*.csv")) // 2**20,
        }
    answer = {"rows": size, "seconds": round(seconds), "peak_mb": _peak_mb()}
    print(json.dumps(answer | {"peak_mb_of_the_tables": before, "megabytes": megabytes}))
    return 0


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
