"""The campaign kit on files: lists out of a run's folder, results back in."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from segmentation.actions.campaign import (
    CONTROL,
    TREATMENT,
    Uplift,
    balance,
    blocks_of,
    customers_needed,
    detectable_effect,
    response_in_blocks,
    split,
    uplift_in_blocks,
)
from segmentation.core.atomic import refuse_existing
from segmentation.core.columns import format_percent, format_share
from segmentation.core.errors import OutputError, ParameterError, SourceError, first_three
from segmentation.core.groups import SEGMENT_TYPES
from segmentation.core.guarded_csv import unguarded, unguarded_ids, write_guarded_csv
from segmentation.orders.customer_ids import perhaps_guests
from segmentation.run.compare_runs import read_run
from segmentation.sources.csv_checks import separator_of
from segmentation.sources.decimals import plain_numbers


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
    if (run / "findings.csv").is_file():
        guests = perhaps_guests(pd.read_csv(run / "findings.csv", dtype=str))
        customers = customers[~customers["customer_id"].isin(guests)]
    members = members_of(customers, segment, segment_type)
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


def members_of(customers: pd.DataFrame, segment: str, segment_type: str | None) -> pd.DataFrame:
    """Customers of one segment of one group."""
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
        f"To find a rise from {format_percent(base)} to {format_percent(base + effect)} in 4 "
        f"of 5 cases, at 95% confidence, each half needs {needed:,} customers."
    )
    if customers is None:
        return text
    if customers < 2:
        raise ParameterError(f"--customers {customers}: two arms need at least 2 customers.")
    smallest = detectable_effect(customers // 2, customers - customers // 2, base=base)
    if np.isnan(smallest):
        return f"{text} {customers:,} customers are too few to find any rise."
    return (
        f"{text} {customers:,} customers in two halves find a rise of "
        f"{100 * smallest:.2f} percentage points or more."
    )


def read_out(
    arms_file: Path,
    results_file: Path,
    *,
    break_even: float | None = None,
    gross_margin: float | None = None,
    contact_cost: float | None = None,
) -> str:
    """What the campaign changed: response and money per customer, and whether that pays.

    Parameters
    ----------
    arms_file : Path
        The list that `split_segment` wrote.
    results_file : Path
        CSV of what was ordered afterwards: ``customer_id``, one row per order, and
        ``amount`` where money is to be compared. Whoever is not in it did not order.
    break_even : float
        Rise of the response that pays, as ``break_even_response`` of the recommendations.
    gross_margin, contact_cost : float
        What is left of a sale, and what one contact cost: money per customer then tells
        whether the campaign paid, later orders included.
    """
    for option, given in (("--break-even", break_even), ("--contact-cost", contact_cost)):
        if given is not None and not (np.isfinite(given) and given >= 0):
            raise ParameterError(f"{option} {given:g}: give a number of 0 or more.")
    if (gross_margin is None) != (contact_cost is None):
        raise ParameterError("--gross-margin and --contact-cost: give both or neither.")
    if gross_margin is not None and not 0 < gross_margin <= 1:
        raise ParameterError(f"--gross-margin {gross_margin:g}: give a share above 0 and up to 1.")
    arms = read_list(arms_file, ("customer_id", "arm"))
    wrong = arms[~arms["arm"].isin([TREATMENT, CONTROL])]
    if len(wrong) or arms["customer_id"].duplicated().any() or arms["arm"].nunique() < 2:
        raise SourceError(f"{arms_file.name}: is no list that `segmentation campaign split` wrote.")
    orders = read_list(results_file, ("customer_id",))
    if orders.empty:
        raise SourceError(
            f"{results_file.name}: holds no order, so that none of {len(arms):,} customers would "
            "count as having ordered; a failed export looks the same."
        )
    known = orders["customer_id"].isin(arms["customer_id"])
    # an id copied from the list into others carries the list's guard against formulas
    copied = orders["customer_id"].map(unguarded).str.strip()
    orders["customer_id"] = orders["customer_id"].where(known, copied)
    unknown = _unknown(arms["customer_id"], orders["customer_id"], results_file, arms_file)
    treated = (arms["arm"] == TREATMENT).to_numpy()
    amounts = _amounts(orders, results_file) if "amount" in orders.columns else None
    bought = orders["customer_id"] if amounts is None else orders["customer_id"][amounts >= 0]
    ordered = arms["customer_id"].isin(bought).to_numpy()
    spent = pd.to_numeric(
        arms.get("total_spent", pd.Series(0.0, index=arms.index)), errors="coerce"
    )
    block = blocks_of(spent.fillna(0.0).to_numpy(dtype=np.float64), treated)
    found = response_in_blocks(ordered, treated, block)
    parts = [_response_sentence(found, break_even)]
    if gross_margin is not None and amounts is None:
        raise SourceError(
            f"{results_file.name}: lacks the column amount that --gross-margin needs."
        )
    if amounts is not None:
        sums = amounts.groupby(orders["customer_id"]).sum()
        money = arms["customer_id"].map(sums).fillna(0.0).to_numpy(dtype=np.float64)
        if min(treated.sum(), (~treated).sum()) > 1:
            needed = (
                contact_cost / gross_margin if gross_margin and contact_cost is not None else None
            )
            parts.append(_money_sentence(uplift_in_blocks(money, treated, block), needed))
    if unknown:
        parts.append(f"{unknown:,} customer(s) of the results are in neither arm and do not count.")
    return "\n".join(parts)


def _amounts(orders: pd.DataFrame, path: Path) -> pd.Series[float]:
    """Money of every order, also where it is written with a decimal comma."""
    amounts = pd.to_numeric(orders["amount"], errors="coerce")
    if not np.isfinite(amounts).all():
        meant = plain_numbers(orders["amount"])
        if meant is not None:
            return pd.to_numeric(pd.Series(meant, index=orders.index))
        rows = first_three(f"row {row + 2:,}" for row in np.flatnonzero(~np.isfinite(amounts)))
        raise SourceError(f"{path.name}: amount is no number in {rows}.")
    return amounts


def _unknown(listed: pd.Series[str], found: pd.Series[str], results: Path, arms: Path) -> int:
    """Number of customers of the results who are in neither arm.

    Raises
    ------
    SourceError
        If ids of the results are those of the list written in another way, or fewer than half
        are in the list: whoever is not found would count as somebody who did not order.
    """
    ids = found.drop_duplicates()
    unknown = ids[~ids.isin(set(listed))]
    refuse_other_spelling(ids, listed, results, arms.name, "customers who did not order")
    if 2 * len(unknown) > len(ids):
        raise SourceError(
            f"{results.name}: {len(ids) - len(unknown):,} of {len(ids):,} customer ids are in "
            f"{arms.name} (not {first_three(map(repr, unknown))}), so that "
            "nearly nobody would count as having ordered; give the orders of the listed customers, "
            "with their ids as the list writes them."
        )
    return len(unknown)


def refuse_other_spelling(
    found: pd.Series[str], listed: pd.Series[str], path: Path, against: str, would_be: str
) -> None:
    """Refuse ids that are those of a list written in another way, as spreadsheets do.

    Raises
    ------
    SourceError
        With the first of them, as ``path`` has them and as they are on the list.
    """
    unknown = found[~found.isin(set(listed))]
    alike = {_alike(one): one for one in listed}
    if len(alike) < listed.nunique():  # the list itself tells such ids apart
        return
    other = {one: alike[_alike(one)] for one in unknown if _alike(one) in alike}
    if other:
        shown = first_three(f"{one!r} for {meant!r}" for one, meant in other.items())
        raise SourceError(
            f"{path.name}: {len(other):,} of {len(found):,} customer ids are written in another "
            f"way than in {against} ({shown}: zeros, capitals, blanks or .0), and would count as {would_be}; "
            "write them as the list does."
        )


def _alike(text: str) -> str:
    """An id as it would be without what programs lose or add.

    Examples
    --------
    >>> _alike("00076"), _alike("76.0"), _alike(" c 76\u200b") == _alike("C76")
    ('76', '76', True)
    """
    plain = re.sub(r"[\s\u200b-\u200d\u2060\ufeff]", "", unicodedata.normalize("NFKC", text))
    return re.sub(r"^(\d+)\.0+$", r"\1", plain).lstrip("0").casefold()


def read_list(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """A CSV of customers, all texts, with ids as they were before a list was guarded."""
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=separator_of(path)
        )
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path.name}: cannot be read as CSV ({type(error).__name__}).") from None
    table.columns = table.columns.str.strip().str.lower()
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise SourceError(f"{path.name}: lacks the column {first_three(missing)}.")
    return table.assign(customer_id=unguarded_ids(table["customer_id"]))


def _verdict(found: Uplift, needed: float | None, said: str) -> str:
    shown = "a change is shown" if found.is_shown else "no change is shown, none is excluded either"
    return (
        f"{shown}."
        if needed is None
        else f"{shown}. Break-even is {said}: {found.verdict(needed)}."
    )


def _response_sentence(found: Uplift, needed: float | None) -> str:
    said = f"{100 * needed:+.2f} points" if needed is not None else ""
    return (
        f"Response: {format_share(found.treatment, found.n_treatment)} contacted, "
        f"{format_share(found.control, found.n_control)} not contacted, uplift "
        f"{100 * (found.treatment - found.control):+.2f} percentage points; among customers of "
        f"like past spend {100 * found.uplift:+.2f}, 95% interval {100 * found.low:+.2f} to "
        f"{100 * found.high:+.2f}: {_verdict(found, needed, said)}"
    )


def _money_sentence(found: Uplift, needed: float | None) -> str:
    said = f"{needed:+,.2f}" if needed is not None else ""
    return (
        f"Money per customer: {found.treatment:,.2f} contacted, {found.control:,.2f} not "
        f"contacted, uplift {found.treatment - found.control:+,.2f}; among customers of like "
        f"past spend {found.uplift:+,.2f}, 95% interval {found.low:+,.2f} to "
        f"{found.high:+,.2f}: {_verdict(found, needed, said)}"
    )
