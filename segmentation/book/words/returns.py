"""Sentences and tables about lines that are no ordinary sale, and how files were read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

from segmentation.book.words.text import (
    Html,
    dollars,
    inert,
    listed,
    named,
    of_one,
    plural,
    table_of,
)
from segmentation.core.columns import RULE_WORDS, format_money, format_percent, format_share
from segmentation.core.limits import LEAST_PUBLISHED

_ENGINE_KEYS = ("engine", "server", "driver")
_CODES_NAMED = 5
_NOTHING = Html("", "")


def reading_sentence(overview: dict[str, Any]) -> str:
    """How files were read where that had to be found out; nothing for plain ones."""
    notes = [
        f"{inert(name)}: {inert(said)}"
        for name, said in overview["database"].items()
        if name not in _ENGINE_KEYS
    ]
    return f"How the files were read: {'; '.join(notes)}." if notes else ""


def given_back_words(
    back: pd.Series[float] | None, currency: str, *, is_short: bool = False
) -> str:
    """What customers of a list gave back of what they spent, to stand behind the sum.

    Of few who gave anything back the money is not told; nothing where nobody did.

    Examples
    --------
    >>> given_back_words(pd.Series([0.0, *[50.0] * 6]), "GBP")
    ', £300 of it given back'
    >>> given_back_words(pd.Series([0.0, 0.0, 50.0]), "GBP"), given_back_words(pd.Series([0.0]), "GBP")
    (', before returns', '')
    """
    gave = pd.Series() if back is None else back.astype(float)[lambda own: own > 0]
    if gave.empty:
        return ""
    if len(gave) < LEAST_PUBLISHED:
        return ", before returns"
    most = (
        f", {format_percent(gave.max() / gave.sum())} of that by one customer"
        if of_one(gave) and not is_short
        else ""
    )
    return f", {format_money(float(gave.sum()), currency)} of it given back{most}"


def special_lines_table(special: pd.DataFrame, *, currency: str) -> Html:
    """Every kind of special line: how many, worth what, and how much of it still counts."""
    kinds = special[special["product"].isna()]
    if kinds.empty:
        return _NOTHING
    rows = pd.DataFrame(
        {
            "lines": kinds["kind"].map(RULE_WORDS),
            "count": kinds["rows"].map("{:,}".format),
            "customers": kinds["customers"].map("{:,}".format),
            f"amount ({currency})": [f"{value:,}" for value in kinds["amount"]],
            "kept": kinds["kept_rows"].map("{:,}".format),
            f"kept amount ({currency})": [f"{value:,}" for value in kinds["kept_amount"]],
        }
    )
    return table_of(
        rows,
        caption=(
            "Lines of a special kind, whichever rule they met first; a line may be of several "
            "kinds, so these counts need not agree with the ledger's."
        ),
        numeric=[name for name in rows.columns if name != "lines"],
    )


def special_lines_sentence(special: pd.DataFrame, *, currency: str) -> str:
    """What the lines that are no product are, and what is done with them."""
    if special.empty:
        return "The source has no lines without customer, no returns, and marks no other kind."
    codes = special[(special["kind"] == "non_product") & special["product"].notna()]
    total = special[(special["kind"] == "non_product") & special["product"].isna()]
    if total.empty:
        return "The source marks no line as something other than a product."
    row = total.iloc[0]
    money = dollars(format_money(float(row["amount"]), currency))
    words = [
        f"{inert(code.product)} ({plural(code.rows, 'line')}, "
        f"{dollars(format_money(float(code.amount), currency))})"
        for code in codes.head(_CODES_NAMED).itertuples()
    ]
    largest = f", by amount most of all {listed(words)}" if words else ""
    kept = (
        f"{row['kept_rows']:,} of them "
        f"{'counts as a sale' if row['kept_rows'] == 1 else 'count as sales'}; "
        "`non_product: exclude` sets such lines aside."
        if row["kept_rows"]
        else "None of them counts as a sale."
    )
    return (
        f"{plural(row['rows'], 'line')} worth {money} "
        f"{'is' if row['rows'] == 1 else 'are'} no product{largest}. {kept}"
    )


def returns_sentence(
    returned: pd.DataFrame, *, policy: str, currency: str, findings: pd.DataFrame | None = None
) -> str:
    """How much came back, and whether an earlier purchase stands against it.

    Where ``findings`` have a flag of the lines that is not used, nobody knows that nothing did.
    """
    if returned.empty:
        found = pd.DataFrame({"finding": []}) if findings is None else findings
        unused = found[(found["finding"] == "unused_flag") & (found.get("rows", 0) > 0)]
        if len(unused):
            flags = listed([f"`{place.rpartition('.')[2]}`" for place in unused["place"]])
            return (
                "No line of a customer is marked as a return. Whether nothing came back is not known: "
                f"{flags}, which {'is' if len(unused) == 1 else 'are'} not used, may tell."
            )
        return "Nothing came back, as far as the source says: no line of a customer is a return."
    by_kind = returned.set_index("kind")
    n = int(by_kind["rows"].sum())
    money = dollars(format_money(float(-sum(by_kind["amount"], Decimal(0))), currency))
    does = {
        "exclude": "They are set aside: the purchases still count whole.",
        "net": "They are deducted from the units and the spend of their customers.",
    }[policy]
    words = {
        "matched": "match an earlier purchase of the same customer, product and number of units",
        "unmatched": "match none: a part of a purchase, or one before the data begin",
        "without_purchase": "are of customers who have bought nothing that counts",
    }
    parts = [
        f"{by_kind.at[kind, 'rows']:,} ({format_percent(by_kind.at[kind, 'rows'] / n)}), worth "
        f"{dollars(format_money(float(-by_kind.at[kind, 'amount']), currency))}, {said}"
        for kind, said in words.items()
        if kind in by_kind.index
    ]
    verb = "gives" if n == 1 else "give"
    return (
        f"{plural(n, 'line')} {verb} back {money}, for goods or otherwise. Of these, "
        f"{'; '.join(parts)}. {does}"
    )


def returns_choice_sentence(choice: dict[str, Any], *, policy: str, currency: str) -> str:
    """Whom the choice between `exclude` and `net` moves, in customers and money."""
    if choice["why_not"]:
        return f"There is nothing to compare: {inert(choice['why_not'])}."
    n, changed = choice["customers"], choice["changed"]
    money = dollars(format_money(float(Decimal(choice["money"])), currency))
    text = (
        f"This report uses `returns: {policy}`. The segments were fitted again under the other "
        f"choice. Deducting returns takes **{money}** from {plural(choice['with_returns'], 'customer')}"
        f" and leaves {plural(choice['nothing_left'], 'customer')} with nothing spent. "
    )
    if not changed:
        return text + f"Nobody of {n:,} changes segment: the choice does not matter here."
    own = dollars(format_money(float(Decimal(choice["money_of_changed"])), currency))
    text += (
        f"**{plural(changed, 'customer')}** {'changes' if changed == 1 else 'change'} segment, "
        f"{format_share(changed / n, n)}; {own} of the deducted money is theirs."
    )
    if choice["redrawn"]:
        text += (
            f" For {choice['redrawn']:,} of them their own figures would not have done it: the "
            "border between segments was drawn elsewhere."
        )
    if choice["not_alike"]:
        verb = "has" if choice["not_alike"] == 1 else "have"
        text += (
            f" {plural(choice['not_alike'], 'segment')} {verb} no clear counterpart under the other "
            "choice, so read the moves as a rough measure."
        )
    return text


def returns_migration_table(migration: pd.DataFrame, *, currency: str) -> Html:
    """From which segment to which customers go when returns are deducted."""
    if migration.empty:
        return _NOTHING
    moved = migration[migration["movement"].isin(("moved", "redrawn"))]
    if moved.empty:
        return _NOTHING
    kinds = [*migration["segment_type_before"].dropna(), *migration["segment_type_after"].dropna()]
    rows = pd.DataFrame(
        [
            {
                "returns: exclude": named(row.segment_before, row.segment_type_before, kinds),
                "returns: net": named(row.segment_after, row.segment_type_after, kinds),
                "why": {"moved": "own figures", "redrawn": "border redrawn"}[row.movement],
                "customers": f"{row.customers:,}",
                "spent, exclude": format_money(float(row.revenue_before), currency),
                "spent, net": format_money(float(row.revenue_after), currency),
            }
            for row in moved.sort_values("customers", ascending=False, kind="stable").itertuples()
        ]
    )
    return table_of(
        rows,
        caption=f"Who changes segment when returns are deducted. n = {moved['customers'].sum():,}.",
        numeric=("customers", "spent, exclude", "spent, net"),
    )


def returns_movers_table(movers: pd.DataFrame, *, currency: str) -> Html:
    """The customers whose spend the choice changes most, by facts and without ids."""
    if movers.empty:
        return _NOTHING
    kinds = [*movers["segment_type_exclude"], *movers["segment_type_net"]]
    rows = pd.DataFrame(
        [
            {
                "orders": f"{row.orders:,}",
                "units bought": f"{row.units_exclude:,.0f}",
                "units kept": f"{row.units_net:,.0f}",
                "spent, exclude": format_money(float(row.spent_exclude), currency),
                "spent, net": format_money(float(row.spent_net), currency),
                "segment, exclude": named(row.segment_exclude, row.segment_type_exclude, kinds),
                "segment, net": named(row.segment_net, row.segment_type_net, kinds),
            }
            for row in movers.itertuples()
        ]
    )
    return table_of(
        rows,
        caption="Customers whose spend the choice changes most, one a row.",
        numeric=("orders", "units bought", "units kept", "spent, exclude", "spent, net"),
        of_groups=False,
    )
