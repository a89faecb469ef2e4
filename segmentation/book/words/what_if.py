"""The sliders of the recommendations page: other margins, costs and budgets, in the browser."""

from __future__ import annotations

import html
import json
import math

import pandas as pd

from segmentation.actions.campaign import another_currency
from segmentation.actions.what_if import PARTS, parts_of, what_if
from segmentation.book.words.text import Html, named, table_of
from segmentation.core.columns import format_money, format_percent, symbol_of
from segmentation.core.limits import PLAUSIBLE_PART, PLAUSIBLE_RISE

NOT_KNOWN = "When a campaign pays is not known until the cost of a contact is set in the currency of the orders."


def what_if_sliders(
    recommendations: pd.DataFrame,
    stability: pd.DataFrame,
    customers: pd.DataFrame,
    *,
    seed: int,
    gross_margin: float,
    contact_cost: float,
    currency: str,
) -> Html:
    """Order, break-even and contacts at the run's own settings, and sliders that change these.

    On paper, and where no script runs, it is a table of the run's own settings. The budget at
    first is what the plan costs: half of each segment. Where the cost of a contact cannot be in the
    currency of the orders there is nothing to work out.
    """
    if another_currency(recommendations):
        return Html(f"<p>{NOT_KNOWN}</p>", NOT_KNOWN)
    parts = parts_of(recommendations, stability, customers, seed=seed)
    unbounded = what_if(
        parts,
        gross_margin=gross_margin,
        contact_cost=contact_cost,
        budget=float(int(parts["customers"].sum()) * contact_cost),
    )
    each = contact_cost or 1.0
    budget = max(math.ceil(int(unbounded["contacts"].sum()) * each), 1)
    most = max(math.ceil(int(parts.loc[parts["is_play"], "customers"].sum()) * each), budget)
    kinds = list(recommendations["segment_type"])
    parts["name"] = [
        named(row.segment, row.segment_type, kinds) for row in recommendations.itertuples()
    ]
    parts["play"] = recommendations["play"]
    dearer = parts["mean_value"] / parts["response_value"].where(parts["response_value"] > 0)
    parts["dearer"] = dearer.where(dearer > 1, 0.0)
    own = what_if(parts, gross_margin=gross_margin, contact_cost=contact_cost, budget=budget)
    about = parts.set_index(["segment_type", "segment"])
    money = symbol_of(currency)
    rows = pd.DataFrame(
        [
            {
                "segment": about.at[(row.segment_type, row.segment), "name"],
                "what to do": _advice(row, about.loc[(row.segment_type, row.segment)]),
                "must order because of it": _must_order(
                    row.break_even, about.at[(row.segment_type, row.segment), "dearer"]
                ),
                "contacted first": _contacted(row) if row.contact else "–",
                "cost": _money(row.contacts * contact_cost, money) if row.contact else "–",
                "orders needed of these": f"{row.needed:,}" if row.contact else "–",
                "all would cost": _money(row.customers * contact_cost, money)
                if row.contact
                else "–",
            }
            for row in own.itertuples()
        ]
    )
    shown = table_of(
        rows,
        caption="Whom to contact, in this order, as far as the budget goes. Contacted first is the half "
        "that the plan above chooses at random; the other half is left alone to compare. Orders needed are "
        "those that would not have come without it: none is promised.",
        numeric=rows.columns[-5:],
    )
    sliders = [
        ("Gross margin", 100 * gross_margin, 1, 100, 0.1, "", "%"),
        ("Cost per contact", contact_cost, 0, max(5 * contact_cost, 5), 0.01, money, ""),
        ("Budget", budget, 0, most, 1, money, ""),
    ]
    plain = parts.assign(
        plausible_rise=PLAUSIBLE_RISE,
        plausible_part=PLAUSIBLE_PART,
        customers=parts["customers"].astype(float),  # with its point: never like an id
        first=parts["first"].astype(float),
    )[
        [
            "name",
            "play",
            "is_play",
            "is_steady",
            "plausible_rise",
            "plausible_part",
            "dearer",
            "first",
            *PARTS,
        ]
    ].to_json(orient="records", double_precision=15)
    numbers = json.dumps(json.loads(plain), separators=(",", ":")).replace("<", "\\u003c")
    markup = (
        f'<section class="what-if" aria-label="What if"><div class="what-if-sliders" hidden>'
        f"{''.join(_slider(*slider) for slider in sliders)}"
        '<button type="button">As in this run</button></div>'
        f'<p class="on-paper">At a gross margin of {format_percent(gross_margin)}, '
        f"{format_money(contact_cost, currency)} a contact and {format_money(budget, currency)} in all:</p>"
        f'<div aria-live="polite">{shown.markup}</div>'
        f'<script type="application/json">{numbers}</script></section>'
    )
    return Html(markup, shown.text, shown.data)


def _contacted(row: pd.Series) -> str:
    ends = ", budget ends" if row.contacts < row.first else ""
    return f"{row.contacts:,} of {row.customers:,}{ends}"


def _money(value: float, sign: str) -> str:
    """Money rounded as the browser does it: halves up, whole from a hundred on.

    Examples
    --------
    >>> _money(1684.5, "$"), _money(91, "£"), _money(0, "$")
    ('$1,685', '£91.00', '$0.00')
    """
    if value >= 100:
        return f"{sign}{math.floor(value + 0.5):,}"
    return f"{sign}{math.floor(100 * value + 0.5) / 100:.2f}"


def _must_order(share: float, dearer: float = 0.0) -> str:
    """Who must order; in brackets by the mean order, where that is ``dearer`` times what counts."""
    if share > 1:
        return "more than all"
    few = "under 0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"
    mean = _must_order(share / dearer) if dearer else few
    return f"{few} ({mean} by the mean order)" if mean != few else few


def _advice(row: pd.Series, part: pd.Series) -> str:
    if row.contact:
        return "contact half, compare" if row.supported else "first a trial of half"
    return "do not contact at this cost" if part["is_play"] else part["play"]


def _slider(
    what: str, value: float, low: float, high: float, step: float, before: str, after: str
) -> str:
    name = f"what-if-{what.split()[-1].lower()}"
    return (
        f'<div><label for="{name}">{what}</label> <output for="{name}"></output>'
        f'<input type="range" id="{name}" min="{low:.1f}" max="{math.ceil(high):.1f}" step="{step}" '
        f'value="{value:.3f}" data-before="{html.escape(before)}" data-after="{after}"></div>'
    )
