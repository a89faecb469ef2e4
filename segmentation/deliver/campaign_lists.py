"""The campaign kit on files: lists out of a run's folder, results back in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.actions.campaign import (
    CONTROL,
    TREATMENT,
    Uplift,
    balance,
    customers_needed,
    detectable_effect,
    money_uplift,
    response_uplift,
    split,
)
from segmentation.core.atomic import refuse_existing
from segmentation.core.columns import SEGMENT_TYPES, format_percent, format_share
from segmentation.core.errors import OutputError, ParameterError, SourceError, first_three
from segmentation.core.guarded_csv import unguarded, unguarded_ids, write_guarded_csv
from segmentation.run.compare_runs import read_run


def split_segment(
    run: Path,
    *,
    segment: str,
    segment_type: str | None,
    treatment_share: float,
    seed: int,
    output: Path,
    raw_values: bool = False,
    replace: bool = False,
) -> str:
    """Write the treatment / control list of one segment and say how it came out.

    The list is guarded against spreadsheets that run formulas, unless ``raw_values`` are
    asked for; `read_out` takes either.

    Raises
    ------
    ParameterError
        If the run has no such segment, or it is in several groups and none is named.
    """
    if output.suffix != ".csv":
        raise OutputError(f"--output {output.name}: its ending must be .csv.")
    if not replace:
        refuse_existing(output)
    customers = read_run(run).customers
    members = _members(customers, segment, segment_type)
    if len(members) < 2:
        raise ParameterError(f"--segment {segment}: one customer cannot be divided into two arms.")
    arms = split(members, seed=seed, treatment_share=treatment_share)
    write_guarded_csv(arms, output, raw_values=raw_values, replace=replace)
    counts = arms["arm"].value_counts()
    treated, control = int(counts.get(TREATMENT, 0)), int(counts.get(CONTROL, 0))
    return (
        f"{len(arms):,} customers: {treated:,} to contact, {control:,} to leave alone. "
        f"Mean spend of the arms differs by {balance(arms):.3f} standard deviations "
        "(below 0.1 is called balanced)."
    )


def _members(customers: pd.DataFrame, segment: str, segment_type: str | None) -> pd.DataFrame:
    members = customers[customers["segment"] == segment]
    if members.empty:
        known = first_three(sorted(customers["segment"].unique()))
        raise ParameterError(f"--segment {segment}: the run has no such segment; it has {known}.")
    kinds = [kind for kind in SEGMENT_TYPES if (members["segment_type"] == kind).any()]
    if segment_type is None and len(kinds) > 1:
        raise ParameterError(
            f"--segment {segment}: it is in the groups {', '.join(kinds)}; name one with --group."
        )
    if segment_type is not None and segment_type not in kinds:
        raise ParameterError(f"--group {segment_type}: {segment} is in {', '.join(kinds)}.")
    return members[members["segment_type"] == (segment_type or kinds[0])]


def size_sentence(*, base: float, effect: float, customers: int | None) -> str:
    """How many customers a test needs, or what a test of so many can find."""
    if not (0 <= base < 1 and 0 < effect <= 1 - base):
        raise ParameterError(
            f"--base {base:g} --effect {effect:g}: both are fractions such as 0.05, and together "
            "at most 1."
        )
    needed = customers_needed(base=base, effect=effect)
    text = (
        f"To find a rise from {format_percent(base)} to {format_percent(base + effect)} with 80% "
        f"power at 95% confidence, each arm needs {needed:,} customers."
    )
    if customers is None:
        return text
    if customers < 2:
        raise ParameterError(f"--customers {customers}: two arms need at least 2 customers.")
    smallest = detectable_effect(customers // 2, customers - customers // 2, base=base)
    if np.isnan(smallest):
        return f"{text} {customers:,} customers are too few to find any rise."
    return (
        f"{text} {customers:,} customers in two equal arms find a rise of "
        f"{100 * smallest:.2f} percentage points or more."
    )


def read_out(arms_file: Path, results_file: Path) -> str:
    """What the campaign changed: response and money per customer, with intervals.

    Parameters
    ----------
    arms_file : Path
        The list that `split_segment` wrote.
    results_file : Path
        CSV of what was ordered afterwards: ``customer_id``, one row per order, and
        ``amount`` where money is to be compared. Whoever is not in it did not order.
    """
    arms = _read(arms_file, ("customer_id", "arm"))
    wrong = arms[~arms["arm"].isin([TREATMENT, CONTROL])]
    if len(wrong) or arms["customer_id"].duplicated().any() or arms["arm"].nunique() < 2:
        raise SourceError(f"{arms_file.name}: is no list that `segmentation campaign split` wrote.")
    orders = _read(results_file, ("customer_id",))
    known = orders["customer_id"].isin(arms["customer_id"])
    # an id copied from the list into others carries the list's guard against formulas
    copied = orders["customer_id"].map(unguarded)
    orders["customer_id"] = orders["customer_id"].where(known, copied)
    unknown = orders.loc[~orders["customer_id"].isin(arms["customer_id"]), "customer_id"].nunique()
    treated = (arms["arm"] == TREATMENT).to_numpy()
    ordered = arms["customer_id"].isin(orders["customer_id"]).to_numpy()
    found = response_uplift(
        int(ordered[treated].sum()), int(treated.sum()),
        int(ordered[~treated].sum()), int((~treated).sum()),
    )  # fmt: skip
    parts = [_response_sentence(found)]
    if "amount" in orders.columns:
        amounts = pd.to_numeric(orders["amount"], errors="coerce")
        if not np.isfinite(amounts).all():
            rows = first_three(f"row {row + 2:,}" for row in np.flatnonzero(~np.isfinite(amounts)))
            raise SourceError(f"{results_file.name}: amount is no number in {rows}.")
        sums = amounts.groupby(orders["customer_id"]).sum()
        money = arms["customer_id"].map(sums).fillna(0.0).to_numpy(dtype=np.float64)
        if min(treated.sum(), (~treated).sum()) > 1:
            parts.append(_money_sentence(money_uplift(money[treated], money[~treated])))
    if unknown:
        parts.append(f"{unknown:,} customer(s) of the results are in neither arm and do not count.")
    return "\n".join(parts)


def _read(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path.name}: cannot be read as CSV ({type(error).__name__}).") from None
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise SourceError(f"{path.name}: lacks the column {first_three(missing)}.")
    return table.assign(customer_id=unguarded_ids(table["customer_id"]))


def _verdict(found: Uplift) -> str:
    return "a change is shown" if found.is_shown else "no change is shown, none is excluded either"


def _response_sentence(found: Uplift) -> str:
    return (
        f"Response: {format_share(found.treatment, found.n_treatment)} contacted, "
        f"{format_share(found.control, found.n_control)} not contacted; uplift "
        f"{100 * found.uplift:+.2f} percentage points, 95% interval {100 * found.low:+.2f} to "
        f"{100 * found.high:+.2f}: {_verdict(found)}."
    )


def _money_sentence(found: Uplift) -> str:
    return (
        f"Money per customer: {found.treatment:,.2f} contacted, {found.control:,.2f} not "
        f"contacted; uplift {found.uplift:+,.2f}, 95% interval {found.low:+,.2f} to "
        f"{found.high:+,.2f}: {_verdict(found)}."
    )
