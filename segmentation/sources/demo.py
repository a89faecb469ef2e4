"""Demonstration marketplace: four order tables with planted segments and defects.

Nobody is described here: a seeded generator invents customers, purchases and faulty records,
so that every page of the report can be read, and tested, with the true answer known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd
from numpy.random import PCG64, Generator
from numpy.typing import ArrayLike

DEMO_SEED = 20_240_229

FIRST_ORDER_DAY, LAST_ORDER_DAY = date(2023, 1, 1), date(2024, 12, 31)
N_DAYS = (LAST_ORDER_DAY - FIRST_ORDER_DAY).days + 1
REGISTRATION_LEAD = 122  # days that registrations reach back before it: to 2022-09-01
SEGMENTS = ("normal_low_engagement", "loyal_high_value", "extreme_high_volume", "bulk_buyer")
SHARES = (None, 0.15, 0.05, 0.002)  # of all customers; None takes those left over
QUIET_END = (0, 240, 0, 0)  # days at the end of the window in which nobody of a segment starts
SPREADS = {  # log-normal: (median, sigma of the logarithm, low, high); wait and span in days
    "wait": ((35, 0.6, 1, 200), (9, 1.0, 1, 150), (2, 0.7, 1, 60), (3, 1.0, 1, 200)),
    "orders": ((1.05, 0.45, 1, 3), (4.2, 0.5, 2, 18), (1.2, 0.45, 1, 3), (2, 0.4, 1, 4)),
    "span": ((12, 1.1, 1, 300), (330, 0.9, 7, 720), (4, 1.0, 1, 90), (40, 1.0, 1, 400)),
    "units": ((2.6, 0.75, 1, 60), (26, 0.7, 4, 400), (900, 0.6, 60, 4e3), (6e3, 0.3, 4500, 2e4)),
    "spend": ((58, 0.9, 3, 3e3), (1300, 0.8, 80, 3e4), (1050, 0.65, 90, 6e3), (1e4, 0.4, 6e3, 4e4)),
}
PRE_REGISTER_SHARE = 0.12  # of every segment: checked out as a guest, registered later
NEVER_REGISTERED_SHARE = 0.01  # of every segment
INVALID_ONLY_SHARE = 0.10  # of the low-engagement segment: no payment ever went through
FAILED_ATTEMPT_SHARE = 0.085  # of paid orders had an unpaid attempt at the same basket
UNDELIVERED_SHARE = 0.04  # of paid orders
RETURN_SHARE = 0.026  # of delivered orders that are old enough
FULL_RETURN_SHARE = 0.5  # of returns; the others send back part of the first line
RETURN_DAYS = (3, 30)  # after the purchase
SPOILT = ("zero_amount", "duplicate", "empty_customer_id", "empty_order_date", "zero_quantity")
SPOILT_PER_4000 = (30, 15, 5, 3, 2)  # rows for every 4000 customers
MAX_LINES = 6  # per order
ANOTHER_LINE = 0.34  # chance that an order goes on after each line
DISCOUNTS = (0, 0, 0, 0, 0, 5, 10, 10, 15, 25)  # per cent of a line, equally likely
GROWTH = 2.0  # 1 + GROWTH customers start on the last day for each one on the first
MONTH_WEIGHTS = (0.92, 0.88, 0.95, 0.96, 1.0, 0.97, 0.93, 0.92, 1.0, 1.06, 1.3, 1.38)
WEEKDAY_WEIGHTS = (1.02, 0.97, 0.97, 1.0, 1.08, 1.05, 0.91)  # Monday first
CATALOGUE = {  # category: (median base price, articles); each article in every finish
    "Packaging": (0.9, ("Mailer Bag", "Kraft Carton", "Paper Tape", "Gift Tag", "Tissue Wrap")),
    "Stationery": (2.8, ("Gel Pen", "Notebook A5", "Desk Pad", "Marker", "Ring Binder")),
    "Pantry": (5.5, ("Herbal Tea", "Olive Oil", "Oat Biscuit", "Honey Jar", "Coffee Bag")),
    "Craft": (9.0, ("Wool Skein", "Bead Box", "Felt Sheet", "Brush Set", "Sewing Kit")),
    "Bath and Body": (13.0, ("Soap Bar", "Bath Salt", "Hand Cream", "Shower Oil", "Loofah")),
    "Kitchen": (27.0, ("Mixing Bowl", "Chef Knife", "Tea Pot", "Bread Tin", "Pan Lid")),
    "Lighting": (55.0, ("Desk Lamp", "Lantern", "String Lights", "Floor Lamp", "Wall Lamp")),
    "Outdoor": (90.0, ("Rucksack", "Tent", "Sleeping Bag", "Camp Stove", "Rain Jacket")),
    "Small Appliances": (150.0, ("Kettle", "Blender", "Toaster", "Air Fryer", "Hand Mixer")),
}
FINISHES = ("Blue", "Green", "Natural", "Slate")  # articles in all: a multiple of MAX_LINES
PAYMENT_METHODS = ("debit_card", "credit_card", "bank_transfer", "cash", "wallet", "voucher")
PAYMENT_SHARES = (0.33, 0.26, 0.15, 0.12, 0.09, 0.05)


@dataclass(frozen=True)
class Marketplace:
    """Four tables as an analyst receives them, and the truth only a test may see.

    Ids, ISO dates and amounts (currency, two decimals) are text, empty where missing;
    quantities, flags and payment ids are integers.

    Attributes
    ----------
    customer_detail : one row per customer, ``id, registered_date``.
    order_detail : one row per order line; ``id`` is the order, so it repeats. To the cent,
        ``before_discount = price * qty_ordered``, less ``discount_amount = after_discount``.
    sku_detail : one row per article, ``id, sku_name, base_price, cogs, category``.
    payment_detail : one row per way of paying, ``id, payment_method``.
    truth : one row per customer, in the order of `customer_detail`: ``customer_id,
        planted_segment, is_pre_register, is_registered, has_valid_order``.
    defects : how many rows, orders or customers carry each planted defect.
    """

    customer_detail: pd.DataFrame
    order_detail: pd.DataFrame
    sku_detail: pd.DataFrame
    payment_detail: pd.DataFrame
    truth: pd.DataFrame = field(repr=False)
    defects: dict[str, int]


def generate_marketplace(*, n_customers: int = 4000, seed: int = DEMO_SEED) -> Marketplace:
    """Invent a marketplace whose segments and defects are known.

    Parameters
    ----------
    n_customers : int, at least 1
        Rows of ``customer_detail``; about 8 in 100 of them never pay for an order.
    seed : int
        The same seed gives the same tables, to the byte once written.

    Returns
    -------
    Marketplace
        Orders of 2023 and 2024; registrations from September 2022.

    Raises
    ------
    ValueError
        If `n_customers` is below 1.

    Notes
    -----
    Defects: unpaid orders (``is_valid`` 0); returns (``RET-`` and the id of the purchase,
    quantity and amounts negative, ``is_net`` 0); paid lines at a 100 % discount; copied lines;
    lines without customer, date or quantity; customers who never registered, registered
    after their first paid order, or have unpaid orders only.

    Examples
    --------
    >>> demo = generate_marketplace(n_customers=50)
    >>> len(demo.customer_detail), demo.truth["planted_segment"].nunique()
    (50, 3)
    """
    if n_customers < 1:
        raise ValueError(f"n_customers is {n_customers}; a marketplace needs at least 1 customer.")
    rng = Generator(PCG64(seed))
    skus = _skus(rng)
    customers = _customers(rng, n_customers)
    lines = _priced_lines(rng, _orders(rng, customers), customers, skus)
    lines = _add_returns(rng, _add_unpaid(rng, lines, customers))
    lines, spoilt = _spoil_rows(rng, lines, n_customers)
    registered = _iso(customers["registered_day"]).where(customers["is_registered"], "")
    accounts = pd.DataFrame({"id": customers["customer_id"], "registered_date": registered})
    payments = pd.DataFrame(enumerate(PAYMENT_METHODS, 1), columns=["id", "payment_method"])
    return Marketplace(
        customer_detail=accounts,
        order_detail=_order_detail(lines, customers, skus),
        sku_detail=skus.drop(columns="price").sort_values("id", ignore_index=True),
        payment_detail=payments,
        truth=customers.loc[:, "customer_id":"has_valid_order"],
        defects=_count_defects(lines, customers) | spoilt,
    )


def _skus(rng: Generator) -> pd.DataFrame:
    """List the articles, cheapest first; ``price`` repeats the base price in cents."""
    articles = [
        (f"{article} {finish}", category, median)
        for category, (median, items) in CATALOGUE.items()
        for article in items
        for finish in FINISHES
    ]
    skus = pd.DataFrame(articles, columns=["sku_name", "category", "median"])
    price = skus.pop("median") * 100 * np.exp(0.45 * rng.standard_normal(len(skus)))
    price = price.round().astype("int64")
    skus.insert(0, "id", [f"S{number:04d}" for number in range(1, len(skus) + 1)])
    skus.insert(2, "base_price", _money(price))
    skus.insert(3, "cogs", _money(price * rng.integers(55, 86, size=len(skus)) // 100))
    return skus.assign(price=price).sort_values("price", kind="stable", ignore_index=True)


def _customers(rng: Generator, n_customers: int) -> pd.DataFrame:
    """Plan each customer; days count from the first order day, registrations may precede it."""
    segment = _shuffled_segments(rng, n_customers)
    # A place inside the segment, so that each group below holds the same mix of segments.
    place = (segment.groupby(segment).cumcount() + 0.5) / segment.map(segment.value_counts())
    customers = pd.DataFrame({"customer_id": _customer_ids(rng, n_customers)})
    customers["planted_segment"] = np.array(SEGMENTS)[segment]
    customers["is_pre_register"] = place < PRE_REGISTER_SHARE
    is_after_never = place >= PRE_REGISTER_SHARE + NEVER_REGISTERED_SHARE
    customers["is_registered"] = customers["is_pre_register"] | is_after_never
    customers["has_valid_order"] = (segment > 0) | (place <= 1 - INVALID_ONLY_SHARE)
    # A guest keeps at least a day to register on.
    quiet_end = np.maximum(np.array(QUIET_END)[segment], customers["is_pre_register"])
    customers["first_day"] = _busy_day(rng, np.zeros(n_customers), N_DAYS - 1 - quiet_end)
    customers["registered_day"] = _registered_day(rng, _draw(rng, segment, "wait"), customers)
    customers["n_orders"] = _draw(rng, segment, "orders").round().astype("int64")
    span = _fit(rng, _draw(rng, segment, "span"), N_DAYS - 1 - customers["first_day"], at_least=0.6)
    customers["last_day"] = customers["first_day"] + span.where(customers["n_orders"] > 1, 0)
    return customers.assign(units=_draw(rng, segment, "units"), spend=_draw(rng, segment, "spend"))


def _shuffled_segments(rng: Generator, n_customers: int) -> pd.Series:
    """Give each customer a place in SEGMENTS, in exact shares and random order."""
    sizes = [round((share or 0) * n_customers) for share in SHARES]
    sizes[0] = n_customers - sum(sizes)
    shuffle = np.argsort(rng.random(n_customers), kind="stable")
    return pd.Series(np.repeat(np.arange(len(SEGMENTS)), sizes)[shuffle])


def _customer_ids(rng: Generator, n_customers: int) -> list[str]:
    """Scatter ids over fixed-width digits, so that about one in ten starts with a zero."""
    width = max(6, len(str(n_customers)))
    start = int(rng.integers(10**width))
    # 618033 shares no factor with a power of ten: no id comes twice.
    return [f"{(start + 618_033 * i) % 10**width:0{width}d}" for i in range(n_customers)]


def _registered_day(rng: Generator, wait: pd.Series, customers: pd.DataFrame) -> pd.Series:
    """Register before the first order, or after it where that was a guest checkout."""
    first_day, is_guest = customers["first_day"], customers["is_pre_register"]
    room = (N_DAYS - 1 - first_day).where(is_guest, first_day + REGISTRATION_LEAD)
    # Guests wait a day or more; the others may order on the day they register.
    wait = _fit(rng, wait - ~is_guest, room, at_least=0)
    wait = np.maximum(wait, is_guest)
    return (first_day + wait).where(is_guest, first_day - wait)


def _orders(rng: Generator, customers: pd.DataFrame) -> pd.DataFrame:
    """Spread each customer's orders between first and last day, one row per order."""
    plan = customers.loc[np.repeat(customers.index, customers["n_orders"])]
    plan = plan.rename_axis("customer").reset_index()
    place = plan.groupby("customer").cumcount()
    day = pd.Series(_busy_day(rng, plan["first_day"], plan["last_day"]))
    day = day.mask(place == plan["n_orders"] - 1, plan["last_day"])
    orders = plan[["customer"]].assign(day=day.mask(place == 0, plan["first_day"]))
    orders["is_valid"] = plan["has_valid_order"]
    orders["is_net"] = orders["is_valid"] & (rng.random(len(plan)) >= UNDELIVERED_SHARE)
    method = np.searchsorted(np.cumsum(PAYMENT_SHARES)[:-1], rng.random(len(plan)), side="right")
    return orders.assign(payment_id=method + 1)


def _priced_lines(
    rng: Generator, orders: pd.DataFrame, customers: pd.DataFrame, skus: pd.DataFrame
) -> pd.DataFrame:
    """Fill orders with one to six lines that add up to about the customer's plan."""
    more = rng.random((len(orders), MAX_LINES - 1)) < ANOTHER_LINE
    lines = orders.loc[np.repeat(orders.index, 1 + np.cumprod(more, axis=1).sum(axis=1))]
    lines = lines.rename_axis("order").reset_index()
    lines["line"] = lines.groupby("order").cumcount()
    plan = customers.loc[lines["customer"], ["units", "spend"]].reset_index(drop=True)
    weight = pd.Series(np.exp(0.5 * rng.standard_normal(len(lines))))
    share = weight / weight.groupby(lines["customer"]).transform("sum")
    lines["qty"] = (share * plan["units"]).round().clip(lower=1).astype("int64")
    price = 100 * plan["spend"] / plan["units"] * np.exp(0.3 * rng.standard_normal(len(lines)))
    near = np.searchsorted(skus["price"], price).clip(max=len(skus) - 1)
    # Six neighbours in price, one for each line: no article comes twice in an order.
    turn = rng.integers(MAX_LINES, size=len(orders))[lines["order"]]
    lines["sku"] = near - near % MAX_LINES + (turn + lines["line"]) % MAX_LINES
    lines["price"] = skus["price"].to_numpy()[lines["sku"]]
    per_cent = np.array(DISCOUNTS)[rng.integers(len(DISCOUNTS), size=len(lines))]
    return lines.assign(discount=lines["price"] * lines["qty"] * per_cent // 100)


def _add_unpaid(rng: Generator, lines: pd.DataFrame, customers: pd.DataFrame) -> pd.DataFrame:
    """Precede some baskets by an unpaid order of the last days; number orders by date."""
    n_orders = lines["order"].max() + 1
    days_before = rng.integers(3, size=n_orders)
    failed = lines[
        (rng.random(n_orders) < FAILED_ATTEMPT_SHARE)[lines["order"]] & lines["is_valid"]
    ]
    earliest = customers["registered_day"].mask(customers["is_pre_register"], 0).clip(lower=0)
    day = failed["day"] - days_before[failed["order"]]
    day = np.maximum(day, earliest.to_numpy()[failed["customer"]])
    order = failed["order"] - n_orders  # before the paid order of the same day
    failed = failed.assign(day=day, order=order, is_valid=False, is_net=False)
    both = pd.concat([failed, lines]).sort_values(["day", "order", "line"], ignore_index=True)
    return both.assign(order=pd.factorize(both["order"])[0])


def _add_returns(rng: Generator, lines: pd.DataFrame) -> pd.DataFrame:
    """Credit some delivered orders, all of them or part of their first line."""
    n_orders = lines["order"].max() + 1
    is_old_enough = lines["day"] < N_DAYS - RETURN_DAYS[1]
    is_picked = (rng.random(n_orders) < RETURN_SHARE)[lines["order"]]
    lines = lines.assign(is_return=False, is_returned=is_picked & is_old_enough & lines["is_net"])
    credit = lines[lines["is_returned"]]
    is_full = (rng.random(n_orders) < FULL_RETURN_SHARE)[credit["order"]]
    part = 1 + (rng.random(len(credit)) * credit["qty"]).astype("int64")
    back = credit["qty"].where(is_full, part)
    days_after = rng.integers(RETURN_DAYS[0], RETURN_DAYS[1] + 1, size=n_orders)
    day = credit["day"] + days_after[credit["order"]]
    discount = -(credit["discount"] * back // credit["qty"])
    credit = credit.assign(day=day, qty=-back, discount=discount, is_net=False, is_return=True)
    both = pd.concat([lines, credit[is_full | (credit["line"] == 0)]])
    return both.sort_values(["day", "is_return", "order", "line"], ignore_index=True)


def _spoil_rows(rng: Generator, lines: pd.DataFrame, n_customers: int) -> tuple[pd.DataFrame, dict]:
    """Spoil a few paid rows, each in one way, and say how many of each."""
    is_free = lines["is_valid"] & ~lines["is_return"] & ~lines["is_returned"]
    chosen: dict[str, np.ndarray] = {}
    for defect, per_4000 in zip(SPOILT, SPOILT_PER_4000, strict=True):
        # A first line is never lost: the customer's first and last day stay as planned.
        is_kept = defect in ("zero_amount", "duplicate")
        pool = np.flatnonzero(is_free & (is_kept | (lines["line"] > 0)))
        shuffled = pool[np.argsort(rng.random(len(pool)), kind="stable")]
        chosen[defect] = shuffled[: round(per_4000 * n_customers / 4000)]
        is_free[chosen[defect]] = False
    spoilt = lines.assign(has_customer=True, has_date=True)
    spoilt.loc[chosen["empty_customer_id"], "has_customer"] = False
    spoilt.loc[chosen["empty_order_date"], "has_date"] = False
    spoilt.loc[chosen["zero_amount"], "discount"] = spoilt["price"] * spoilt["qty"]
    spoilt.loc[chosen["zero_quantity"], ["qty", "discount"]] = 0
    spoilt = pd.concat([spoilt, spoilt.loc[chosen["duplicate"]]]).sort_index(kind="stable")
    return spoilt.reset_index(drop=True), {f"{d}_rows": len(rows) for d, rows in chosen.items()}


def _count_defects(lines: pd.DataFrame, customers: pd.DataFrame) -> dict[str, int]:
    unpaid, credit = lines.loc[~lines["is_valid"], "order"], lines.loc[lines["is_return"], "order"]
    return {
        "invalid_rows": len(unpaid),
        "invalid_orders": unpaid.nunique(),
        "return_rows": len(credit),
        "return_orders": credit.nunique(),
        "pre_register_customers": int(customers["is_pre_register"].sum()),
        "never_registered_customers": int((~customers["is_registered"]).sum()),
        "invalid_only_customers": int((~customers["has_valid_order"]).sum()),
    }


def _order_detail(lines: pd.DataFrame, customers: pd.DataFrame, skus: pd.DataFrame) -> pd.DataFrame:
    customer_id = customers["customer_id"].loc[lines["customer"]].reset_index(drop=True)
    prefix = lines["is_return"].map({True: "RET-", False: ""})
    before = lines["price"] * lines["qty"]
    table = {
        "id": prefix + [f"M{order + 100_001:07d}" for order in lines["order"]],
        "customer_id": customer_id.where(lines["has_customer"], ""),
        "order_date": _iso(lines["day"]).where(lines["has_date"], ""),
        "sku_id": skus["id"].to_numpy()[lines["sku"]],
        "price": _money(lines["price"]),
        "qty_ordered": lines["qty"],
        "before_discount": _money(before),
        "discount_amount": _money(lines["discount"]),
        "after_discount": _money(before - lines["discount"]),
        "is_gross": 1,
        "is_valid": lines["is_valid"].astype("int64"),
        "is_net": lines["is_net"].astype("int64"),
        "payment_id": lines["payment_id"],
    }
    return pd.DataFrame(table)


def _draw(rng: Generator, segment: pd.Series, quantity: str) -> pd.Series:
    """Draw one quantity per customer from its segment's row of SPREADS."""
    median, sigma, low, high = np.array(SPREADS[quantity])[segment].T
    return pd.Series((median * np.exp(sigma * rng.standard_normal(len(segment)))).clip(low, high))


def _busy_day(rng: Generator, first: ArrayLike, last: ArrayLike) -> np.ndarray:
    """Draw days from first to last, both included; busy seasons and weekdays are likelier."""
    calendar = pd.date_range(FIRST_ORDER_DAY, LAST_ORDER_DAY)
    weight = 1 + GROWTH * np.arange(N_DAYS) / N_DAYS
    weight *= np.array(MONTH_WEIGHTS)[calendar.month - 1]
    weight *= np.array(WEEKDAY_WEIGHTS)[calendar.day_of_week]
    reached = np.concatenate([[0.0], np.cumsum(weight)])
    first, last = np.asarray(first, dtype="int64"), np.asarray(last, dtype="int64")
    at = reached[first] + rng.random(len(first)) * (reached[last + 1] - reached[first])
    return np.clip(np.searchsorted(reached, at, side="right") - 1, first, last)


def _fit(rng: Generator, days: pd.Series, room: pd.Series, *, at_least: float) -> pd.Series:
    """Replace days that exceed the room by a random share of it, `at_least` or more."""
    share = at_least + (1 - at_least) * rng.random(len(days))
    return days.round().where(days <= room, np.floor(share * room)).astype("int64")


def _money(cents: pd.Series) -> list[str]:
    """Write integer cents as currency, -1205 as -12.05; exact."""
    return [f"{'-' * (c < 0)}{abs(c) // 100}.{abs(c) % 100:02d}" for c in cents.tolist()]


def _iso(day: pd.Series) -> pd.Series:
    return (pd.Timestamp(FIRST_ORDER_DAY) + pd.to_timedelta(day, unit="D")).dt.strftime("%Y-%m-%d")
