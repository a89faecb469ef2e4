"""BG/NBD and Gamma-Gamma against the published figures of the CDNOW sample.

    python benchmarks/bgnbd_published.py CDNOW_sample.txt

The sample (a tenth of the cohort, 2,357 customers; published beside CDNOW_master.txt) is
not shipped. Published: r 0.243, alpha 4.414, a 0.793, b 2.426, log-likelihood -9582.4
(Fader, Hardie and Lee 2005); p 6.25, q 3.74, gamma 15.44 (Fader and Hardie 2013).
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np

from segmentation.evidence.buying import fit_bgnbd, fit_gamma_gamma

CUT = dt.date(1997, 9, 30)


def main() -> None:
    days: dict[str, dict[dt.date, float]] = {}
    for line in Path(sys.argv[1]).read_text("ascii").splitlines():
        customer, _, day, _, dollars = line.split()
        own = days.setdefault(customer, {})
        date = dt.datetime.strptime(day, "%Y%m%d").date()
        own[date] = own.get(date, 0.0) + float(dollars)
    rows = []
    for own in days.values():
        known = sorted(day for day in own if day <= CUT)
        x = len(known) - 1
        value = sum(own[day] for day in known[1:]) / max(x, 1)
        rows.append((x, (known[-1] - known[0]).days / 7, (CUT - known[0]).days / 7, value))
    x, t_x, observed, value = np.array(rows, dtype=float).T
    print(f"{len(rows):,} customers")
    print(fit_bgnbd(x, t_x, observed))
    print(fit_gamma_gamma(x, value))


if __name__ == "__main__":
    main()
