"""What the recommendations would be at another margin, cost per contact and budget.

Nothing is assumed of what a campaign brings: break-even says what it would have to bring.
`book/_static/what_if.js` does the same in the browser; a test holds both equal.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from segmentation.actions.break_even import break_even_response, sensible_cost
from segmentation.actions.campaign import TREATMENT
from segmentation.actions.campaign_plan import ARM, arms_of_run
from segmentation.actions.limits_of_advice import UNSTABLE
from segmentation.actions.recommend import NOT_AT_THIS_COST

PARTS = ("customers", "response_value", "mean_value", "base", "detectable")
"""What a segment brings into the reckoning, besides whether it is one for a campaign at all."""


def parts_of(
    recommendations: pd.DataFrame, stability: pd.DataFrame, customers: pd.DataFrame, *, seed: int
) -> pd.DataFrame:
    """What margin, cost and budget are applied to: one row per segment, by revenue.

    ``first`` is how many the plan of the run contacts first, or would if the segment had a
    campaign: the treatment arm of `customers`, by the same lot.
    """
    keys = ["segment_type", "segment"]
    unstable = stability[stability["verdict"] == UNSTABLE].set_index(keys).index
    is_play = recommendations["is_campaign"] | (recommendations["play"] == NOT_AT_THIS_COST)
    arms = arms_of_run(customers, recommendations.assign(is_campaign=is_play), seed=seed)
    first = arms[arms[ARM] == TREATMENT].groupby(keys, observed=True).size()
    own = pd.MultiIndex.from_frame(recommendations[keys])
    return recommendations[[*keys, *PARTS]].assign(
        first=first.reindex(own, fill_value=0).to_numpy(),
        is_play=is_play,
        is_steady=~recommendations.set_index(keys).index.isin(unstable),
    )


def what_if(
    parts: pd.DataFrame, *, gross_margin: float, contact_cost: float, budget: float
) -> pd.DataFrame:
    """The same segments in the order in which to act, with what each takes to pay.

    Parameters
    ----------
    parts : DataFrame, as `parts_of` gives it
    budget : float
        Money for contacts: spent on the first segment first, on whole contacts, and of each
        segment on the half that the plan contacts first; the other half waits for the answer.

    Returns
    -------
    DataFrame
        ``segment_type, segment, customers, first, break_even, contact`` (a contact costs no more
        than it can bring back), ``supported`` (and a test can show it), ``contacts`` that the
        budget pays for and ``needed``, how many of those must order because of it. First what is
        supported, then the rest of what to contact, then the others; each by revenue.
    """
    rows = []
    for row in parts.itertuples():
        needed = break_even_response(contact_cost, gross_margin, row.response_value)
        limit = sensible_cost(gross_margin, row.response_value, base=row.base)
        contact = bool(row.is_play and contact_cost <= limit)
        shown = np.isfinite(row.base) and row.detectable <= needed
        supported = bool(contact and shown and row.is_steady)
        who = (row.segment_type, row.segment, row.customers, row.first)
        rows.append((*who, needed, contact, supported))
    names = ["segment_type", "segment", "customers", "first", "break_even", "contact", "supported"]
    table = pd.DataFrame(rows, columns=names)
    table = table.sort_values(["contact", "supported"], ascending=False, kind="stable")
    contacts, left = [], budget
    for row in table.itertuples():
        paid = math.floor(left / contact_cost + 1e-9) if contact_cost > 0 else row.first
        contacts.append(min(row.first, paid) if row.contact else 0)
        left -= contacts[-1] * contact_cost
    need = [
        math.ceil(share * n - 1e-9) if n else 0
        for share, n in zip(table["break_even"], contacts, strict=True)
    ]
    return table.assign(contacts=contacts, needed=need).reset_index(drop=True)
