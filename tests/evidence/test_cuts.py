"""The lists at several quarters' ends: made of what was known, followed for a quarter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from segmentation.book import words
from segmentation.core.parameters import resolve
from segmentation.core.rule_files import load_rules
from segmentation.evidence.cuts import BY_VALUE, VALUE, cuts
from segmentation.evidence.rankings import LISTS, RECENCY, RFM, SPEND
from segmentation.segments.model import SegmentModel

PARAMETERS = resolve("cdnow")[1]
DAYS = ("1997-09-30", "1997-12-31", "1998-03-31", "1998-06-30")


def history(days: tuple[str, ...] = DAYS, n: int = 400) -> pd.DataFrame:
    chance = np.random.default_rng(5)
    parts = []
    for day in days:
        frequency = chance.geometric(0.4, n)
        tenure = chance.integers(60, 400, n)
        gone = np.where(frequency == 1, tenure, chance.integers(0, 60, n))
        spent = (frequency * chance.lognormal(3, 0.7, n)).round(2)
        parts.append(
            pd.DataFrame({"customer_id": [f"{day} {i}" for i in range(n)], "as_of": day,
                          "recency": gone, "frequency": frequency, "total_spent": spent,
                          "average_order_value": spent / frequency, "tenure": tenure,
                          "first_to_last_order": tenure - gone, "total_unit": frequency * 2.0,
                          "orders_next": frequency - 1, "revenue_next": spent - spent.min(),
                          "days_to_order": np.nan})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def found(table: pd.DataFrame) -> pd.DataFrame:
    return cuts(
        history=table, chosen={"normal": {"k": 3}}, naming_rules=load_rules("naming_rules"),
        model=SegmentModel(("recency",), False, {}), parameters=PARAMETERS,
    )["holdout_cuts"]  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return found(history())


def test_every_list_is_followed_from_every_cut(table):
    assert set(table["ranking"]) == {LISTS, BY_VALUE, SPEND, VALUE, RECENCY, RFM}
    assert table.groupby("ranking")["as_of"].apply(list).map(list(DAYS).__eq__).all()
    assert (table["customers"] == 400).all()


def test_a_list_catches_what_its_first_fifth_brought(table):
    for day, known in history().groupby("as_of"):
        first = known.nlargest(80, "total_spent")["revenue_next"].sum()
        own = table[(table["as_of"] == day) & (table["ranking"] == SPEND)]["revenue_share"].item()
        assert own == pytest.approx(first / known["revenue_next"].sum(), abs=1e-3)


def test_what_came_after_a_cut_does_not_make_its_lists(table):
    later = history()
    last = later["as_of"] == DAYS[-1]
    later.loc[last, ["total_spent", "revenue_next"]] *= 3
    same = table["as_of"] != DAYS[-1]
    pd.testing.assert_frame_equal(found(later)[same.to_numpy()], table[same])


def test_the_sentence_counts_cuts_and_says_where_they_are_few(table):
    said = words.cuts_sentence(table)
    lead = table.pivot(index="as_of", columns="ranking", values="revenue_share")
    ahead = 100 * (lead[LISTS] - lead[SPEND])
    more = "more" if ahead.mean() >= 0 else "less"
    assert f"{(ahead > 0).sum()} of 4 and found {abs(ahead.mean()):.1f} points {more} of" in said
    assert "allows" not in said
    assert "allows 2 such cuts only" in words.cuts_sentence(found(history(DAYS[:2])))
    markup = words.cuts_table(table).markup
    assert all(day in markup for day in DAYS) and "lowest to highest" in markup


def test_lists_alike_in_their_printed_share_are_none_the_best():
    def cuts(spend, sizes=(100, 100)):
        rows = [("segment, then spend", 0.7), ("past spend", spend), ("recency", 0.5)]
        return pd.DataFrame(
            [
                (name, day, n, share)
                for day, n in zip(DAYS[:2], sizes, strict=True)
                for name, share in rows
            ],
            columns=["ranking", "as_of", "customers", "revenue_share"],
        )

    one = words.cuts_sentence(cuts(0.6))
    assert "Best on average was **segment, then spend** (70%, 70% to 70%)." in one
    alike = words.cuts_sentence(cuts(0.701))
    assert (
        "On average “past spend” and “segment, then spend” found the most, about 70% each." in alike
    )
    assert "(n = 100 customers)" in words.cuts_table(cuts(0.6)).markup
    assert "(n = 100 and 90 customers)" in words.cuts_table(cuts(0.6, (100, 90))).markup


def test_without_quarters_one_cut_has_to_do():
    assert "one cut has to do" in words.cuts_sentence(found(pd.DataFrame()))
