"""Flags do not hang on the day on which one looks: a recent order alone is not unusual."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import segmentation
from segmentation.customers.prepare import prepare_group
from segmentation.segments.dbscan import fit_dbscan

WEEK = 7


def flags(customers: pd.DataFrame, **settings: object) -> np.ndarray:
    asked = {"transform": "log", "scaler": "standard", "outliers": "none"} | settings
    group = prepare_group(
        customers.assign(segment_type="normal"), "normal", winsor_quantile=0.99,
        names=("recency", "frequency", "tenure"), **asked,
    )  # fmt: skip
    found = np.empty(len(customers), dtype=bool)
    found[group.rows] = fit_dbscan(group.flag_values).is_noise
    return found


@pytest.mark.parametrize("transform", ["none", "log", "yeo-johnson"])
@pytest.mark.parametrize("scaler", ["standard", "robust"])
def test_a_week_without_orders_changes_no_flag(transform, scaler):
    chance = np.random.default_rng(3)
    today = pd.DataFrame(
        {
            "recency": chance.integers(0, 300, 800),
            "frequency": chance.geometric(0.3, 800),
            "tenure": chance.integers(300, 600, 800),
        }
    )
    later = today.assign(recency=today["recency"] + WEEK, tenure=today["tenure"] + WEEK)
    settings = {"transform": transform, "scaler": scaler}

    before, after = flags(today, **settings), flags(later, **settings)

    assert 0 < before.sum() < 100
    assert (before == after).all()


@pytest.fixture(scope="module")
def cdnow() -> dict[int, pd.DataFrame]:
    """CDNOW customers with their flag, as of the last day and a week before it."""
    lines = segmentation.clean(segmentation.read_orders("cdnow")).lines
    last, found = dt.date(1998, 6, 30), {}
    for back in (0, WEEK):
        day = last - dt.timedelta(days=back)
        known = lines[pd.to_datetime(lines["order_date"]) <= pd.Timestamp(day)]
        customers = segmentation.customer_features(known, as_of=day)
        scaled = segmentation.scale(
            customers, ["recency", "frequency", "total_spent"], transform="log", for_flags=True
        )
        found[back] = customers.assign(flag=segmentation.dbscan(scaled).is_noise).set_index(
            "customer_id"
        )
    return found


def test_flags_of_a_week_later_are_the_same(cdnow):
    now, before = cdnow[0]["flag"], cdnow[WEEK]["flag"]
    now = now.reindex(before.index)

    assert (now & before).sum() / (now | before).sum() >= 0.85


def test_who_ordered_in_the_last_days_is_flagged_no_oftener_than_their_like(cdnow):
    now = cdnow[0].assign(orders=np.minimum(cdnow[0]["frequency"], 8))
    recent = now["recency"] <= 3
    # as often as customers with as many orders who ordered last within half a year
    like = now[(now["recency"] > 3) & (now["recency"] <= 180)].groupby("orders")["flag"].mean()
    expected = now.loc[recent, "orders"].map(like).sum()

    assert recent.sum() > 200
    assert now.loc[recent, "flag"].sum() < 1.5 * expected


def test_a_recent_order_alone_is_no_reason(cdnow_run):
    table = pd.read_parquet(cdnow_run / "segments.parquet")
    recent = table[table["is_anomaly"] & (table["recency"] <= 3)]
    assert len(recent) and (recent["anomaly_reasons"] != "").all()
    assert not table["anomaly_reasons"].str.contains("unusually recent").any()
