"""segmentation.orders.date_swap: the sign of exchanged days and months, and their repair."""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from decimal import Decimal

import pandas as pd
import pytest
from conftest import ROOT, TinyShop, order

from segmentation.book import words
from segmentation.core.columns import format_percent
from segmentation.core.parameters import parameters_from
from segmentation.evidence.holdout import standing_by
from segmentation.orders.date_swap import swap_evidence, swapped
from segmentation.orders.days_unsure import LOOK_EXCHANGED, UNSURE
from segmentation.run.compare_runs import open_changes
from segmentation.run.run import Run

REAL = ROOT.parent / "shared" / "data"
MARKETPLACE = REAL / "marketplace"
IN_SHORT = (
    *("stability", "stability_whole", "starts", "sensitivity", "chosen", "k_rule", "k_evidence"),
    *("verdict", "holdout", "holdout_segments", "holdout_rankings", "holdout_cuts"),
    *("forecast_calibration", "forecast_facts", "days_unsure", "other_dates"),
    "other_dates_agreement",
)
needs_marketplace = pytest.mark.skipif(
    not MARKETPLACE.is_dir(), reason="real marketplace is absent: put it at ../shared/data"
)


def counts_of(days) -> pd.DataFrame:
    days = pd.Series(pd.to_datetime(pd.Series(list(days))))
    return days.value_counts().rename_axis("day").reset_index(name="rows")


def read(path, column):
    with path.open(encoding="utf-8") as file:
        return [dt.date.fromisoformat(r[column]) for r in csv.DictReader(file) if r[column]]


def by_hand(day: dt.date) -> dt.date:
    return dt.date(day.year, day.day, day.month) if day.day <= 12 else day


def test_only_days_up_to_the_twelfth_change_and_twice_gives_them_back():
    days = pd.Series(pd.to_datetime(["2021-01-12", "2021-01-13", "2021-05-05", "2020-02-01"]))

    once = swapped(days)

    assert once.dt.strftime("%F").tolist() == [
        "2021-12-01",
        "2021-01-13",
        "2021-05-05",
        "2020-01-02",
    ]
    assert swapped(once).tolist() == days.tolist()


def test_exchanged_days_of_fourteen_months_are_a_strong_sign():
    days = pd.date_range("2021-07-01", "2022-08-13").to_series(index=range(409))

    evidence = swap_evidence(counts_of(swapped(days)))

    # January to June 2021 and September to December 2022 hold early days only
    assert (evidence.strength, evidence.months_outside) == ("strong", 10)
    assert evidence.rows_outside == 6 * 6 + 4 * 8
    assert evidence.rows_outside_repaired == 0


def test_partly_exchanged_days_are_no_strong_sign():
    days = pd.date_range("2021-07-01", "2022-06-30").to_series(index=range(365))
    mixed = pd.concat([days, swapped(days)])

    assert swap_evidence(counts_of(mixed)).strength != "strong"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2021-07-01", "2022-06-30"),  # whole months
        ("2021-01-01", "2021-12-09"),  # ends in the first days of a month
        ("2021-03-05", "2021-03-11"),  # one week
        ("2020-01-01", "2020-02-10"),  # a month and some days
    ],
)
def test_true_dates_raise_no_alarm(first, last):
    days = pd.Series(pd.date_range(first, last))

    evidence = swap_evidence(counts_of(list(days) * 20))

    assert evidence.strength == "none"


def test_shipped_data_raise_no_alarm():
    raw = ROOT / "data" / "raw_data"
    lines = (raw / "cdnow" / "CDNOW_master.txt").read_text("ascii").splitlines()[1:]
    cdnow = [dt.datetime.strptime(line.split()[1], "%Y%m%d").date() for line in lines]
    demo = read(raw / "marketplace" / "order_detail.csv", "order_date")
    registered = read(raw / "marketplace" / "customer_detail.csv", "registered_date")

    for days in (cdnow, demo, registered):
        assert swap_evidence(counts_of(days)).strength == "none"


def test_online_retail_raises_no_alarm():
    path = ROOT / "data" / "raw_data" / "online_retail" / "online_retail.parquet"

    days = pd.read_parquet(path, columns=["InvoiceDate"])["InvoiceDate"].dt.normalize()

    assert swap_evidence(counts_of(days)).strength == "none"


@needs_marketplace
def test_the_real_marketplace_has_exchanged_order_dates_and_true_registrations():
    orders = read(MARKETPLACE / "order_detail.csv", "order_date")
    registered = read(MARKETPLACE / "customer_detail.csv", "registered_date")

    evidence = swap_evidence(counts_of(orders))

    low, high = (2021, 7), (2022, 8)  # months that hold a day after the 12th
    late = {(day.year, day.month) for day in orders if day.day > 12}
    assert (min(late), max(late)) == (low, high)
    outside = [day for day in orders if not low <= (day.year, day.month) <= high]
    assert evidence.strength == "strong"
    assert evidence.rows_outside == len(outside) == 969
    assert evidence.swappable == sum(day != by_hand(day) for day in orders)
    assert all(low <= (d.year, d.month) <= high for d in map(by_hand, orders))
    assert swap_evidence(counts_of(registered)).strength == "none"


@needs_marketplace
@pytest.mark.parametrize(("repair", "before"), [("off", 880), ("swap_day_month", 856)])
def test_features_of_the_real_marketplace_equal_those_of_an_independent_script(
    tmp_path, repair, before
):
    parameters = parameters_from(
        {"source": "marketplace", "location": str(MARKETPLACE), "date_repair": repair}
    )
    mend = by_hand if repair == "swap_day_month" else (lambda day: day)
    with (MARKETPLACE / "customer_detail.csv").open(encoding="utf-8") as file:
        registered = {
            row["id"]: dt.date.fromisoformat(row["registered_date"]) for row in csv.DictReader(file)
        }
    days = defaultdict(list)
    with (MARKETPLACE / "order_detail.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["is_valid"] == "1":
                day = mend(dt.date.fromisoformat(row["order_date"]))
                days[row["customer_id"]].append(day)

    features = Run(parameters, tmp_path)["customer_features"].set_index("customer_id")

    assert len(features) == len(days) == 2864
    wait = {id_: (min(days[id_]) - registered[id_]).days for id_ in days}
    assert features["register_to_order"].to_dict() == wait
    last = max(map(max, days.values()))
    assert features["recency"].to_dict() == {i: (last - max(d)).days for i, d in days.items()}
    assert sum(value < 0 for value in wait.values()) == before


@needs_marketplace
def test_the_hold_out_proof_follows_customers_on_repaired_dates(tmp_path):
    parameters = parameters_from(
        {
            "source": "marketplace",
            "location": str(MARKETPLACE),
            "date_repair": "swap_day_month",
            "calibration_end": "2022-01-21",
        }
    )
    orders = []
    with (MARKETPLACE / "order_detail.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["is_valid"] == "1":
                day = by_hand(dt.date.fromisoformat(row["order_date"]))
                orders.append((row["customer_id"], day, Decimal(row["after_discount"])))
    cut = dt.date(2022, 1, 21)
    known = {customer for customer, day, _ in orders if day <= cut}
    after = [o for o in orders if o[1] > cut and o[0] in known]

    proof = Run(parameters, tmp_path)["holdout"]

    assert proof["customers"] == len(known)
    assert proof["bought_again"] == len({customer for customer, _, _ in after})
    assert Decimal(proof["revenue"]) == sum(amount for _, _, amount in after)


def exchanged_shop(folder) -> TinyShop:
    """A shop of 14 months whose days and months were exchanged on the way in."""
    days = swapped(pd.Series(pd.date_range("2021-07-01", "2022-08-13")))
    return TinyShop(folder).lines(
        [
            order(f"{number * number % 61:03d}", number, f"{day:%F}", 1, f"{5 + number % 13}.50")
            for number, day in enumerate(days)
        ]
    )


def test_nothing_is_told_by_quarters_while_day_and_month_look_exchanged(tmp_path):
    shop = exchanged_shop(tmp_path)

    found, mended = (
        Run(parameters_from(shop.parameters | {"date_repair": repair}), tmp_path)
        for repair in ("off", "swap_day_month")
    )

    assert found["swap"]["order_date"]["strength"] == "strong"
    told = ("history", "movement", "retention", "holdout_responses", "holdout_today")
    assert {name for name in told if len(found[name])} == set()
    assert {name for name in told if len(mended[name])} == set(told)
    listed = ("slipping", "call_first", "holdout_cuts", "order_anyway", "holdout_aa")
    assert {name for name in listed if len(found[name])} == set()
    assert found["no_history"] == found["forecast_facts"]["reason"] == UNSURE
    assert mended["no_history"] == mended["days_unsure"] == ""
    assert open_changes(found).with_what == LOOK_EXCHANGED
    # the year stays, so a cut at its end divides orders alike: what came after it at all is told
    assert found["holdout"]["possible"]
    assert found["holdout"]["unfollowed"] == LOOK_EXCHANGED
    shop.parameters["calibration_end"] = "2022-03-05"
    other = Run(parameters_from(shop.parameters), tmp_path)["holdout"]
    assert (other["possible"], other["reason"]) == (False, UNSURE)


def test_the_workbook_says_why_nobody_slipped_while_days_are_unsure(tmp_path):
    shop = exchanged_shop(tmp_path)

    assert shop.run().code == 0

    path = shop.result / "customer_segmentation_output.xlsx"
    for sheet in ("Slipping", "Call first"):
        cells = (
            pd.read_excel(path, sheet_name=sheet, header=None, engine="openpyxl")
            .astype(str)
            .to_numpy()
            .ravel()
        )
        assert f"Nobody is on this list: {UNSURE}." in cells


def test_each_segment_says_how_many_would_stay_with_the_dates_put_right(tmp_path):
    shop = exchanged_shop(tmp_path)
    found, mended = (
        Run(parameters_from(shop.parameters | {"date_repair": repair}), tmp_path)
        for repair in ("off", "swap_day_month")
    )

    stay, agreement = found["other_dates"], found["other_dates_agreement"]

    placed = standing_by(found["model"], mended["features"]).set_index("customer_id")["segment"]
    now = found["segments"].set_index("customer_id")["segment"]
    same = (placed.reindex(now.index) == now).groupby(now).sum()
    assert stay.set_index("segment")["stay"].to_dict() == same.to_dict()
    assert stay["customers"].sum() == len(now)
    assert -1 <= agreement < 1
    assert mended["other_dates"].empty and mended["other_dates_agreement"] is None
    said = words.other_dates_sentence(stay, agreement)
    share = format_percent(stay["stay"].sum() / len(now))
    assert f"{share} of customers are still in their segment" in said
    assert f"{agreement:.2f} of 1 (adjusted Rand" in said
    assert words.other_dates_sentence(mended["other_dates"], None) == ""
    results = {name: found[name] for name in IN_SHORT}
    assert words.in_short(**results).startswith(
        "**Do not build on these groups yet.** As the dates stand:\n\n- **Other dates?** Once day"
    )


def test_what_hangs_on_days_is_not_told_while_they_are_unsure(tmp_path):
    run = Run(parameters_from(exchanged_shop(tmp_path).parameters), tmp_path)
    why = run["days_unsure"]

    said = [
        words.cohort_sentence(run["cohorts"], last_day=run["overview"]["as_of"], days_unsure=why),
        words.concentration_trend(run["quarters"], why),
        words.slipped_sentence(
            None, run["movement"], kinds=["normal"], currency="USD", is_told=True, no_history=why
        ),
        words.cuts_sentence(run["holdout_cuts"], run["no_history"]),
        words.sample_size_sentence(
            run["campaign_sizes"], no_holdout=run["holdout"]["unfollowed"]
        ),
        words.call_first_sentence(
            run["call_first"], run["call_first_facts"], run["forecast_facts"], ["normal"],
            currency="USD",
        ),
        words.movement_sentence(
            run["movement"], run["slipping"], profile=run["profile"], currency="USD", no_history=why
        ),
    ]  # fmt: skip

    assert [LOOK_EXCHANGED in text for text in said] == [True] * len(said)
    proof = words.holdout_sentence(run["holdout"], run["holdout_segments"], currency="USD")
    assert "**is the same either way**" in proof
    assert "what single segments did is not told" in proof and "on average" not in proof
    assert not [name for name in run["holdout_segments"]["segment"] if name in proof]
    page = (ROOT / "notebooks" / "07_do_the_segments_hold_up.py").read_text("utf-8")
    cell = [line for line in page.splitlines() if line.startswith("followed = ")]
    exec("\n".join(cell), given := {"run": run})
    assert given["followed"].empty, "its figure and table show none either"
    left = words.results_sentence(
        run["customers"], run["campaign_plan"], run["call_first"], dates_hold=False
    )
    assert left.startswith("Only once the dates are put right") and "The workbook lists" in left
    meant = words.true_period(run["overview"], run["swap"])
    assert (meant["first_order"], meant["as_of"]) == ("2021-07-01", "2022-08-31")


def test_a_group_that_is_an_effect_of_days_is_called_so():
    repair = pd.DataFrame(
        {"date_repair": ["off", "swap_day_month"], "pre_register": [9, 8], "same_month": [3, 8]}
    )
    filled_in = pd.DataFrame({"finding": ["coarse_registration"], "rows": [40]})
    kinds = ["normal", "pre_register"]

    said = words.early_group_sentence(repair, filled_in, kinds)

    assert said.startswith("**No customer surely ordered before registering**")
    assert words.early_group_sentence(repair, filled_in.assign(rows=0), kinds) == ""
    assert words.early_group_sentence(repair.assign(same_month=7), filled_in, kinds) == ""
    assert words.early_group_sentence(repair, filled_in, ["normal"]) == ""
