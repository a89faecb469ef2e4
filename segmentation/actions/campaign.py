"""A campaign that can be believed: who is contacted, who is not, and what it then shows.

The split is made once, before anybody is contacted, and can be made again from the seed.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from segmentation.core.intervals import MIDDLE_95, Z95, wilson
from segmentation.core.limits import ARM_BLOCK, MOST_CONTACTS_AN_ORDER, POWER

TREATMENT, CONTROL = "treatment", "control"


def split(customers: pd.DataFrame, *, seed: int, treatment_share: float = 0.5) -> pd.DataFrame:
    """Divide customers into those to contact and an untouched control group.

    Customers are ranked by spend and cut into blocks of ten; within a block the hash of
    seed and id decides. So both arms hold the same range of spend, everybody is in exactly
    one arm, and neither the order of rows nor the machine plays a part.

    Parameters
    ----------
    customers : DataFrame, one row per customer
        ``customer_id`` (text, unique) and ``total_spent``.
    treatment_share : float
        Part to contact, above 0 and below 1; kept to the nearest customer in each block.

    Returns
    -------
    DataFrame sorted by ``customer_id``: ``customer_id, arm, total_spent``
    """
    if not 0 < treatment_share < 1:
        raise ValueError(f"treatment_share={treatment_share} is not between 0 and 1.")
    ids = customers["customer_id"].astype(str)
    marks = [_mark(seed, customer) for customer in ids]
    table = pd.DataFrame(
        {"customer_id": ids, "total_spent": customers["total_spent"], "_mark": marks}
    ).sort_values(["total_spent", "_mark"], ignore_index=True)
    block = np.arange(len(table)) // ARM_BLOCK
    rank = table.groupby(block)["_mark"].rank(method="first").to_numpy() - 1
    size = np.bincount(block)[block]
    # the place at which a block's remainder falls is itself drawn, so that odd blocks even out
    drawn = np.array([_fraction(seed, number) for number in range(int(block.max(initial=0)) + 1)])
    wanted = np.floor(size * treatment_share + drawn[block] if len(table) else size)
    table["arm"] = np.where(rank < wanted, TREATMENT, CONTROL)
    columns = ["customer_id", "arm", "total_spent"]
    return table[columns].sort_values("customer_id", ignore_index=True)


def _mark(seed: int, customer: str) -> str:
    text = f"{seed}\x1f{customer}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def _fraction(seed: int, block: int) -> float:
    """A number in [0, 1) for a block, from the seed alone."""
    return int(_mark(seed, f"block {block}")[:13], 16) / 16**13


def balance(arms: pd.DataFrame) -> float:
    """Standardised difference of mean spend between the arms; below 0.1 is called balanced.

    Source: Austin (2009), Statistics in Medicine 28. NaN where an arm has under two
    customers.
    """
    spent = arms["total_spent"].to_numpy(dtype=np.float64)
    treated = (arms["arm"] == TREATMENT).to_numpy()
    one, other = spent[treated], spent[~treated]
    if min(len(one), len(other)) < 2:
        return float("nan")
    spread = math.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
    return 0.0 if spread == 0 else float((one.mean() - other.mean()) / spread)


def power_of(n_treatment: int, n_control: int, *, base: float, effect: float) -> float:
    """Chance to find an effect on the response rate that is really there.

    Parameters
    ----------
    base : float
        Response rate without contact, 0 to 1.
    effect : float
        Percentage points added by the contact, as a fraction.

    Notes
    -----
    Two-sided z-test of two proportions at 95% confidence (Fleiss, Levin and Paik 2003).
    """
    treated = base + effect
    if not (0 <= base <= 1 and 0 <= treated <= 1):
        raise ValueError("base and base + effect are rates between 0 and 1.")
    if min(n_treatment, n_control) < 1:
        return 0.0
    pooled = (n_treatment * treated + n_control * base) / (n_treatment + n_control)
    under_none = math.sqrt(pooled * (1 - pooled) * (1 / n_treatment + 1 / n_control))
    under_effect = math.sqrt(treated * (1 - treated) / n_treatment + base * (1 - base) / n_control)
    limit = Z95 * under_none
    if under_effect == 0:
        return float(abs(effect) > limit)
    return float(norm.cdf((abs(effect) - limit) / under_effect))


def customers_needed(*, base: float, effect: float) -> int:
    """Customers per arm of equal arms to find an effect with 80% power."""
    if effect == 0:
        raise ValueError("an effect of 0 can never be found.")
    low, high = 0, 2
    while power_of(high, high, base=base, effect=effect) < POWER:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of(middle, middle, base=base, effect=effect) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable_effect(n_treatment: int, n_control: int, *, base: float) -> float:
    """Smallest rise of the response rate that is found with 80% power; NaN if none is."""
    low, high = 0.0, 1 - base
    if power_of(n_treatment, n_control, base=base, effect=high) < POWER:
        return float("nan")
    for _ in range(60):
        middle = (low + high) / 2
        found = power_of(n_treatment, n_control, base=base, effect=middle) >= POWER
        low, high = (low, middle) if found else (middle, high)
    return high


def rise_shown_to_pay(n_treatment: int, n_control: int, *, base: float, needed: float) -> float:
    """Smallest rise whose 95% interval lies above break-even with 80% power; NaN if none is.

    To pay, a rise must be more than above zero: a read-out shows that it pays where the
    whole interval is above the rise `needed`.
    """
    reach = Z95 + float(norm.ppf(POWER))

    def is_shown(rise: float) -> bool:
        treated = base + rise
        spread = treated * (1 - treated) / n_treatment + base * (1 - base) / n_control
        return rise - needed >= reach * math.sqrt(max(spread, 0.0))

    high = 1 - base
    if min(n_treatment, n_control) < 1:
        return float("nan")
    # what lies above break-even lies above zero: a smaller rise is not even found
    low = max(needed, detectable_effect(n_treatment, n_control, base=base))
    if is_shown(low):  # a test so small finds a rise above zero no sooner than one above break-even
        return min(low + needed, high)
    if not low < high or not is_shown(high):
        return float("nan")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if is_shown(middle) else (middle, high)
    return high


SIZE_COLUMNS = (
    "segment_type", "segment", "customers", "days", "base", "base_low", "base_high",
    "base_customers", "detectable", "break_even", "break_even_mean", "can_show", "pays_from",
)  # fmt: skip


def another_currency(recommendations: pd.DataFrame) -> bool:
    """Whether a contact costs so little beside an order that their currencies must differ.

    Then nothing is said of when a campaign pays.
    """
    if recommendations.empty or "typical_order" not in recommendations:
        return False
    each = float((recommendations["campaign_cost"] / recommendations["customers"]).max())
    return bool(recommendations["typical_order"].median() > MOST_CONTACTS_AN_ORDER * each > 0)


def sizes_by_segment(recommendations: pd.DataFrame) -> pd.DataFrame:
    """What a test of each whole segment, in two equal arms, could show.

    Parameters
    ----------
    recommendations : DataFrame, one row per segment
        ``segment_type, segment, customers, outcome_days, break_even_response,
        break_even_mean`` and ``base, base_low, base_high, base_customers, latest_base``: who orders
        without any campaign.

    Returns
    -------
    DataFrame of `SIZE_COLUMNS`
        ``detectable`` is the smallest rise found with 80% power; ``can_show`` whether that
        is no more than the break-even: otherwise a campaign could pay and the test would
        not tell. ``pays_from`` as `rise_shown_to_pay` gives it. All missing where nobody
        knows who orders anyway; what hangs on the cost where that `another_currency` has.
    """
    rows, is_told = [], not another_currency(recommendations)
    for row in recommendations.itertuples():
        smallest, shown, pays_from = float("nan"), None, float("nan")
        needed = row.break_even_response if is_told else float("nan")
        if np.isfinite(row.base):
            half = row.customers // 2
            smallest = detectable_effect(half, row.customers - half, base=row.base)
            if is_told:
                shown = bool(smallest <= needed)
                pays_from = rise_shown_to_pay(
                    half, row.customers - half, base=row.base, needed=needed
                )
                # nobody is left to win over where so many order lately
                if np.nanmax([row.base, getattr(row, "latest_base", np.nan)]) + pays_from > 1:
                    pays_from = float("nan")
        rows.append(
            (row.segment_type, row.segment, row.customers, row.outcome_days, row.base,
             row.base_low, row.base_high, row.base_customers, smallest,
             needed, row.break_even_mean, shown, pays_from)
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(SIZE_COLUMNS))
    return table.astype({"can_show": "boolean"})


@dataclass(frozen=True)
class Uplift:
    """What the contact changed, with its 95% interval.

    ``treatment`` and ``control`` are the arms' means (response rate, or money per
    customer); ``uplift`` is their difference.
    """

    n_treatment: int
    n_control: int
    treatment: float
    control: float
    uplift: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes no change at all."""
        return self.low > 0 or self.high < 0

    def verdict(self, needed: float) -> str:
        """Whether the whole interval is above, or below, the uplift that pays for the contact."""
        if self.low > needed:
            return "shown to pay"
        return "shown not to pay" if self.high < needed else "cannot tell whether it pays"


def response_uplift(treated: int, n_treatment: int, responded: int, n_control: int) -> Uplift:
    """Uplift of the response rate: ``treated`` of ``n_treatment`` against the control's.

    Notes
    -----
    Newcombe (1998), Statistics in Medicine 17, method 10: Wilson intervals of both rates
    combined. It keeps its coverage for small arms and rates near 0, where the textbook
    interval does not.

    Examples
    --------
    >>> found = response_uplift(56, 70, 48, 80)  # Newcombe's own example
    >>> round(found.low, 4), round(found.high, 4)
    (0.0524, 0.3339)
    """
    one, (one_low, one_high) = treated / n_treatment, wilson(treated, n_treatment)
    other, (other_low, other_high) = responded / n_control, wilson(responded, n_control)
    difference = one - other
    low = difference - math.hypot(one - one_low, other_high - other)
    high = difference + math.hypot(one_high - one, other - other_low)
    return Uplift(n_treatment, n_control, one, other, difference, low, high)


def blocks_of(spent: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Number of the block of each customer: of like past spend, with five of each arm at least.

    The blocks of `split` without its seed: customers of equal spend may change places, which
    changes nothing, since they are alike. Blocks with too few of an arm join the next.
    """
    order = np.argsort(spent, kind="stable")
    tens = np.arange(len(order)) // ARM_BLOCK
    counts = np.array(
        [np.bincount(tens, weights=(treated[order] == arm)) for arm in (True, False)]
    ).T
    number, held, numbers = 0, np.zeros(2), []
    for count in counts:
        numbers.append(number)
        held += count
        if held.min() >= ARM_BLOCK // 2:
            number, held = number + 1, np.zeros(2)
    if held.min() < ARM_BLOCK // 2:  # what is left at the end joins the block before
        numbers = [min(one, max(number - 1, 0)) for one in numbers]
    block = np.empty(len(order), dtype=np.int64)
    block[order] = np.array(numbers, dtype=np.int64)[tens]
    return block


def uplift_in_blocks(values: np.ndarray, treated: np.ndarray, block: np.ndarray) -> Uplift:
    """Difference of both arms within blocks, each weighted by its customers.

    Parameters
    ----------
    values : array of shape (n_customers,)
        What each brought; 0 for who did not order.
    treated : bool array, and ``block`` as `blocks_of` gives them
        Past spend decides the blocks, so that what it explains is no error any more.

    Notes
    -----
    Post-stratification (Miratrix, Sekhon and Yu 2013) with Neyman's variance in each block
    and Satterthwaite's degrees of freedom; with one block it is Welch's interval (1947).
    """
    size = np.bincount(block)
    weight = size / size.sum()
    means, parts, loose = [], np.zeros(len(size)), np.zeros(len(size))
    for arm in (treated, ~treated):
        n = np.bincount(block[arm], minlength=len(size))
        mean = np.bincount(block[arm], weights=values[arm], minlength=len(size)) / n
        squares = (values[arm] - mean[block[arm]]) ** 2
        variance = np.bincount(block[arm], weights=squares, minlength=len(size)) / (n - 1)
        means.append(mean)
        part = weight**2 * variance / n
        parts += part
        loose += part**2 / (n - 1)
    sizes = int(treated.sum()), int((~treated).sum())
    raw = float(values[treated].mean()), float(values[~treated].mean())
    difference = float((weight * (means[0] - means[1])).sum())
    error = math.sqrt(parts.sum())
    if error == 0:
        return Uplift(*sizes, *raw, difference, difference, difference)
    reach = float(t.ppf(MIDDLE_95[1], parts.sum() ** 2 / loose.sum())) * error
    return Uplift(*sizes, *raw, difference, difference - reach, difference + reach)


def response_in_blocks(ordered: np.ndarray, treated: np.ndarray, block: np.ndarray) -> Uplift:
    """Uplift of the response rate, compared within blocks.

    Newcombe's interval around the difference within blocks, narrowed as the blocks narrow
    the error and never widened, so that it keeps its coverage near 0 and 1.
    """
    n_treated, n_control = int(treated.sum()), int((~treated).sum())
    whole = response_uplift(
        int(ordered[treated].sum()), n_treated, int(ordered[~treated].sum()), n_control
    )
    if min(n_treated, n_control) < 2:
        return whole
    inside = uplift_in_blocks(ordered.astype(np.float64), treated, block)
    rates = (whole.treatment, n_treated), (whole.control, n_control)
    error = math.sqrt(sum(rate * (1 - rate) / n for rate, n in rates))
    inner = (inside.high - inside.low) / 2 / Z95
    ratio = min(1.0, inner / error) if error > 0 else 1.0
    low = inside.uplift - ratio * (whole.uplift - whole.low)
    high = inside.uplift + ratio * (whole.high - whole.uplift)
    return replace(inside, low=max(low, -1.0), high=min(high, 1.0))
