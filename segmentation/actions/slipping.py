"""Who fell a segment or fell silent in the last quarter, and how many such customers come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from segmentation.actions.campaign import CONTROL
from segmentation.core.intervals import wilson
from segmentation.core.limits import LEAST_CUSTOMERS

SLIPPING_COLUMNS = (
    "customer_id", "segment_type", "segment_from", "segment", "what", "total_spent", "recency",
    "frequency", "average_order_value", "given_back",
)  # fmt: skip
BEFORE_COLUMNS = (
    "as_of", "segment_type", "segment_from", "customers", "ordered", "others", "others_ordered",
)  # fmt: skip
FELL, SILENT = "fell a segment", "fell silent"


def ladder_of(customers: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Place of each segment in its group, by what its customers spent on average."""
    clusters = customers.groupby(["segment_type", "segment"])["cluster"].first()
    return {(str(kind), str(name)): int(place) for (kind, name), place in clusters.items()}


def kept_of(customers: pd.DataFrame) -> pd.Series[float]:
    """What customers spent less what they gave back, where that is known (``given_back``).

    Examples
    --------
    >>> kept_of(pd.DataFrame({"total_spent": [90.0, 10.0], "given_back": [30.0, None]})).tolist()
    [60.0, 10.0]
    """
    spent = customers["total_spent"].astype(float)
    if "given_back" not in customers.columns:
        return spent
    return spent - customers["given_back"].astype(float).fillna(0.0)


def order_kept(customers: pd.DataFrame) -> pd.Series[float]:
    """Mean order of each customer after what they gave back.

    Examples
    --------
    >>> one = {"average_order_value": [45.0], "total_spent": [90.0], "given_back": [30.0]}
    >>> order_kept(pd.DataFrame(one)).tolist()
    [30.0]
    """
    order = customers["average_order_value"].astype(float)
    if "given_back" not in customers.columns:
        return order
    spent = customers["total_spent"].astype(float)
    part = (kept_of(customers) / spent).where(spent > 0, 1.0)
    return order * part


def slipping_customers(
    before: pd.DataFrame,
    customers: pd.DataFrame,
    ladder: dict[tuple[str, str], int],
    *,
    as_of: str,
) -> pd.DataFrame:
    """Customers who fell a segment since the day ``as_of``, or fell silent since then.

    Whoever ordered since has not fallen, even if more orders make a customer of a segment that
    spends less on average. Silent is who ordered in the quarter before, stood above the lowest
    segment, and has not ordered since. Who spent most first,
    after what they gave back.
    """
    both = customers.merge(
        before[["customer_id", "segment", "recency", "orders_next"]].rename(
            columns={"segment": "segment_from", "recency": "recency_before"}
        ),
        on="customer_id",
    ).dropna(subset="segment_from")
    kinds = both["segment_type"]
    then = [ladder.get(key, 0) for key in zip(kinds, both["segment_from"], strict=True)]
    now = [ladder.get(key, 0) for key in zip(kinds, both["segment"], strict=True)]
    away = both["orders_next"] == 0
    fell = away & (np.array(now) < np.array(then))
    silent = away & (both["recency_before"] < days_of_quarter(as_of))
    chosen = both.assign(what=np.where(fell, FELL, SILENT))[fell | (silent & (np.array(then) > 0))]
    order = ["_kept", "recency", "customer_id"]
    chosen = chosen.assign(_kept=kept_of(chosen))
    chosen = chosen.sort_values(order, ascending=[False, True, True], ignore_index=True)
    return chosen.reindex(columns=list(SLIPPING_COLUMNS))


def days_of_quarter(end: str) -> int:
    """Days of the quarter that ends so.

    Examples
    --------
    >>> days_of_quarter("1998-03-31"), days_of_quarter("1998-06-30"), days_of_quarter("2011-09-09")
    (90, 91, 92)
    """
    last = pd.Timestamp(end)
    begin = last - pd.DateOffset(months=3)
    return (last - (begin + pd.offsets.MonthEnd(0) if last.is_month_end else begin)).days


def came_back(
    placed: Mapping[str, pd.DataFrame], ladder: dict[tuple[str, str], int]
) -> pd.DataFrame:
    """Of those who had slipped a quarter ago, how many ordered in the quarter since.

    Beside them ``others`` who stood in the same segment, had ordered and had not slipped: where as
    few of them order, a slip is no sign of a loss.

    Parameters
    ----------
    placed : dict of day to DataFrame
        Customers at the end of each quarter by today's borders, with ``orders_next``.

    Returns
    -------
    DataFrame of `BEFORE_COLUMNS`, one row per segment that they had left
    """
    days = sorted(placed)[-2:]
    if len(days) < 2:
        return pd.DataFrame(columns=list(BEFORE_COLUMNS))
    then = placed[days[1]]
    slipped = slipping_customers(
        placed[days[0]], then.drop(columns="orders_next"), ladder, as_of=days[0]
    )
    now = then[["customer_id", "segment_type", "orders_next"]].merge(
        placed[days[0]][["customer_id", "segment", "orders_next"]],
        on="customer_id",
        suffixes=("", "_then"),
    )
    now = now.rename(columns={"segment": "segment_from"})
    left = now["customer_id"].isin(slipped["customer_id"])
    here = ~left & (now["orders_next_then"] > 0)
    now = now.assign(
        customers=left, ordered=left & (now["orders_next"] > 0),
        others=here, others_ordered=here & (now["orders_next"] > 0),
    )  # fmt: skip
    found = now.groupby(["segment_type", "segment_from"], observed=True)[
        list(BEFORE_COLUMNS[3:])
    ].sum()
    found = found[found["customers"] > 0].reset_index()
    return found.assign(as_of=days[1])[list(BEFORE_COLUMNS)]


@dataclass(frozen=True, eq=False)
class Slipped:
    """Who slipped from the segment that lost most so; money as spent, shares as fractions.

    ``each``: what each of them has spent, ``given_back``: and gave back; neither is published.
    ``alone``: left alone by a campaign, to compare. ``needed`` and ``typical``: who of those
    written to must order for it to pay, by the mean order and, where that lies far above it, by
    the typical one (else 0). ``before`` and ``ordered``: such customers a quarter ago, and
    how many of them ordered in the quarter since; ``others``: who had ordered and not slipped then,
    and ``others_ordered`` of these.
    """

    segment_type: str
    segment: str
    customers: int
    silent: int
    spent: float
    each: pd.Series[float]
    given_back: pd.Series[float]
    alone: int
    is_planned: bool
    cost: float
    needed: float
    by_mean: float
    before: int
    ordered: int
    others: int
    others_ordered: int

    @property
    def is_sign(self) -> bool:
        """Whether fewer of such customers came back than of those who had not slipped.

        Too few of either leave it open: then it is taken for one.
        """
        if min(self.before, self.others) < LEAST_CUSTOMERS:
            return True
        return wilson(self.ordered, self.before)[1] < self.others_ordered / self.others


def _of_all(needed: pd.Series[float]) -> float:
    """Who of some customers must order for contacts to pay, where it is another share of each.

    Examples
    --------
    >>> round(_of_all(pd.Series([0.05, 0.1])), 3), _of_all(pd.Series([0.0, 0.0])), _of_all(pd.Series([]))
    (0.067, 0.0, 0.0)
    """
    known = needed.astype(float).dropna()
    if known.empty or not (known > 0).all():
        return 0.0
    return float(1 / (1 / known).mean())


def most_slipped(
    slipping: pd.DataFrame,
    before: pd.DataFrame,
    arms: pd.DataFrame,
    plays: pd.DataFrame,
    *,
    contact_cost: float,
) -> Slipped | None:
    """The segment from which most money slipped, by what these customers have spent and
    not given back.

    Parameters
    ----------
    plays : DataFrame, as `recommend` gives it
        An order of theirs counts what one of the segment that they stand in now does there.
    """
    if slipping.empty:
        return None
    keys = ["segment_type", "segment_from"]
    left = slipping.assign(left=kept_of(slipping)).groupby(keys, observed=True)["left"]
    kind, name = left.sum().idxmax()
    own = slipping[(slipping["segment_type"] == kind) & (slipping["segment_from"] == name)]
    now = own[["segment_type", "segment"]].merge(plays, how="left", validate="many_to_one")
    by_mean = now["break_even_mean"].fillna(now["break_even_response"])
    needed, mean = (_of_all(shares) for shares in (now["break_even_response"], by_mean))
    alone = int(own["customer_id"].isin(arms.loc[arms["arm"] == CONTROL, "customer_id"]).sum())
    past = before[(before["segment_type"] == kind) & (before["segment_from"] == name)]
    return Slipped(
        segment_type=str(kind),
        segment=str(name),
        customers=len(own),
        silent=int((own["what"] == SILENT).sum()),
        spent=float(own["total_spent"].sum()),
        each=own["total_spent"].astype(float),
        given_back=own["total_spent"].astype(float) - kept_of(own),
        alone=alone,
        is_planned=bool(own["customer_id"].isin(arms["customer_id"]).all()),
        cost=(len(own) - alone) * contact_cost,
        needed=needed,
        by_mean=mean if mean < needed else 0.0,
        before=int(past["customers"].sum()),
        ordered=int(past["ordered"].sum()),
        others=int(past["others"].sum()),
        others_ordered=int(past["others_ordered"].sum()),
    )
