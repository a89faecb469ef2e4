"""segmentation.sources.demo: what is planted can be counted, and found again, from the files alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import StandardScaler

from segmentation.sources.demo import DEMO_SEED, generate_marketplace
from segmentation.sources.demo_export import write_marketplace

SHIPPED = Path(__file__).parents[2] / "data" / "raw_data" / "marketplace"
TABLES = ["customer_detail", "order_detail", "sku_detail", "payment_detail"]
MARKER = "SYNTHETIC.md"
FEATURES = ["register_to_order", "first_to_last_order", "total_unit", "total_spent"]


@pytest.fixture(scope="module")
def demo():
    return generate_marketplace()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The four tables as read back from a fresh writing, every field as text."""
    paths = write_marketplace(tmp_path_factory.mktemp("marketplace"))
    return {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths}


@pytest.fixture(scope="module")
def lines(written):
    return written["order_detail"].astype({"qty_ordered": int, "is_valid": int, "is_net": int})


@pytest.fixture(scope="module")
def customers(written, lines, demo):
    """One row per customer with a usable line: features from the files, truth beside them."""
    usable = lines[
        (lines["is_valid"] == 1)
        & (lines["qty_ordered"] > 0)
        & (lines["customer_id"] != "")
        & (lines["order_date"] != "")
    ]
    usable = usable.assign(
        day=pd.to_datetime(usable["order_date"]), amount=cents(usable["after_discount"]) / 100
    )
    features = usable.groupby("customer_id").agg(
        first=("day", "min"),
        last=("day", "max"),
        total_unit=("qty_ordered", "sum"),
        total_spent=("amount", "sum"),
    )
    registered = written["customer_detail"].set_index("id")["registered_date"]
    registered = pd.to_datetime(registered.replace("", None)).reindex(features.index)
    features["register_to_order"] = (features["first"] - registered).dt.days
    features["first_to_last_order"] = (features["last"] - features["first"]).dt.days
    return features.join(demo.truth.set_index("customer_id"))


def cents(amounts):
    """Integer cents of amounts that must show exactly two decimals."""
    assert amounts.str.fullmatch(r"-?\d+\.\d{2}").all()
    return amounts.str.replace(".", "").astype("int64")


def scaled(group):
    logged = np.sign(group[FEATURES]) * np.log1p(group[FEATURES].abs())
    return StandardScaler().fit_transform(logged)


def of_type(customers, segment_type):
    is_guest = customers["is_pre_register"]
    wanted = {"normal": customers["is_registered"] & ~is_guest, "pre_register": is_guest}
    return customers[wanted[segment_type]]


def test_shipped_files_are_what_the_generator_writes_today(tmp_path):
    paths = write_marketplace(tmp_path)

    assert [path.stem for path in paths] == TABLES
    assert {path.name for path in SHIPPED.iterdir()} == {*(path.name for path in paths), MARKER}
    for path in paths:
        assert (SHIPPED / path.name).read_bytes() == path.read_bytes(), path.name


def test_truth_holds_the_planted_shares(demo):
    truth = demo.truth

    assert truth["planted_segment"].value_counts().to_dict() == {
        "normal_low_engagement": 3192,
        "loyal_high_value": 600,
        "extreme_high_volume": 200,
        "bulk_buyer": 8,
    }
    assert truth["is_pre_register"].mean() == pytest.approx(0.12, abs=0.005)
    assert truth["is_registered"].mean() == pytest.approx(0.99, abs=0.001)
    assert truth["has_valid_order"].mean() == pytest.approx(0.92, abs=0.005)


def test_pre_register_customers_have_the_same_mix_of_segments(demo):
    truth = demo.truth[demo.truth["has_valid_order"]]

    mix = truth.groupby("is_pre_register")["planted_segment"].value_counts(normalize=True)

    assert mix[True].to_dict() == pytest.approx(mix[False].to_dict(), abs=0.03)


def test_truth_says_what_the_files_show(written, customers, demo):
    truth = demo.truth.set_index("customer_id")
    registered = written["customer_detail"].set_index("id")["registered_date"]

    assert truth.index.tolist() == registered.index.tolist()
    assert set(customers.index) == set(truth.index[truth["has_valid_order"]])
    assert (registered != "").tolist() == truth["is_registered"].tolist()
    assert (customers["register_to_order"] < 0).tolist() == customers["is_pre_register"].tolist()
    assert customers["register_to_order"].min() >= -200


def test_amounts_add_up_to_the_cent_on_every_row(lines):
    before, discount, after = (
        cents(lines[column]) for column in ("before_discount", "discount_amount", "after_discount")
    )

    assert (before == cents(lines["price"]) * lines["qty_ordered"]).all()
    assert (after == before - discount).all()
    assert (discount.abs() <= before.abs()).all()


def test_defects_are_those_a_reader_of_the_files_counts(written, lines, demo):
    is_return = lines["id"].str.startswith("RET-")
    is_paid = (lines["is_valid"] == 1) & ~is_return
    registered = written["customer_detail"].set_index("id")["registered_date"]
    first_paid = lines[is_paid & (lines["order_date"] != "")].groupby("customer_id")["order_date"]
    first_paid = first_paid.min().drop("", errors="ignore")
    was_registered = registered[first_paid.index]
    zero_amount = is_paid & (lines["qty_ordered"] > 0) & (cents(lines["after_discount"]) == 0)

    assert demo.defects == {
        "invalid_rows": (lines["is_valid"] == 0).sum(),
        "invalid_orders": lines.loc[lines["is_valid"] == 0, "id"].nunique(),
        "return_rows": is_return.sum(),
        "return_orders": lines.loc[is_return, "id"].nunique(),
        "zero_amount_rows": zero_amount.sum(),
        "duplicate_rows": lines.duplicated().sum(),
        "empty_customer_id_rows": (lines["customer_id"] == "").sum(),
        "empty_order_date_rows": (lines["order_date"] == "").sum(),
        "zero_quantity_rows": (lines["qty_ordered"] == 0).sum(),
        "pre_register_customers": ((was_registered != "") & (first_paid < was_registered)).sum(),
        "never_registered_customers": (registered == "").sum(),
        "invalid_only_customers": len(registered.index.difference(first_paid.index)),
    }


def test_every_kind_of_defect_is_planted_in_the_quantity_announced(demo):
    spoilt = {name: n for name, n in demo.defects.items() if name.endswith("_rows")}

    assert spoilt.pop("invalid_rows") / len(demo.order_detail) == pytest.approx(0.12, abs=0.02)
    assert 100 <= spoilt.pop("return_rows") <= 300
    assert spoilt == {
        "zero_amount_rows": 30,
        "duplicate_rows": 15,
        "empty_customer_id_rows": 5,
        "empty_order_date_rows": 3,
        "zero_quantity_rows": 2,
    }


def test_a_return_credits_an_earlier_delivered_purchase_and_not_more_than_it(lines):
    is_return = lines["id"].str.startswith("RET-")
    credit = lines[is_return].assign(id=lines["id"].str.removeprefix("RET-"))
    pairs = credit.merge(lines[~is_return], on=["id", "sku_id"], how="left", suffixes=("", "_sold"))

    assert len(pairs) == len(credit)
    assert (pairs["customer_id"] == pairs["customer_id_sold"]).all()
    assert (pairs["order_date"] > pairs["order_date_sold"]).all()
    assert (pairs["is_net_sold"] == 1).all()
    assert pairs["qty_ordered"].lt(0).all() and cents(pairs["after_discount"]).lt(0).all()
    assert (pairs["qty_ordered_sold"] + pairs["qty_ordered"] >= 0).all()
    assert (cents(pairs["after_discount_sold"]) + cents(pairs["after_discount"]) >= 0).all()
    assert set(zip(credit["is_valid"], credit["is_net"], strict=True)) == {(1, 0)}


def test_orders_cover_two_years_with_every_day_of_the_month(lines):
    day = pd.to_datetime(lines.loc[lines["order_date"] != "", "order_date"])
    per_day_of_month = day.dt.day.value_counts()

    assert (day.min(), day.max()) == (pd.Timestamp("2023-01-01"), pd.Timestamp("2024-12-31"))
    # Swapping day and month would crowd the days up to the 12th.
    assert per_day_of_month.index.size == 31
    assert per_day_of_month.loc[:28].max() < 1.6 * per_day_of_month.loc[:28].min()
    assert day.dt.month.isin([11, 12]).mean() > 2 / 12


@pytest.mark.parametrize(("segment_type", "agreement"), [("normal", 0.85), ("pre_register", 0.80)])
def test_k_means_finds_the_planted_segments(customers, segment_type, agreement):
    group = of_type(customers, segment_type)
    planted = group["planted_segment"].replace("bulk_buyer", "extreme_high_volume")

    found = KMeans(3, n_init=10, random_state=42).fit_predict(scaled(group))

    assert adjusted_rand_score(planted, found) >= agreement
    assert silhouette_score(scaled(group), found) >= 0.45


def test_dbscan_flags_the_bulk_buyers_and_few_others(customers):
    group = of_type(customers, "normal")

    is_noise = DBSCAN(eps=0.6, min_samples=5).fit_predict(scaled(group)) == -1

    assert is_noise[group["planted_segment"] == "bulk_buyer"].all()
    assert is_noise.mean() < 0.05


def test_loyal_customers_outspend_extreme_ones_who_outspend_normal_ones(customers):
    typical = customers.groupby("planted_segment")[FEATURES].median()

    normal, loyal, extreme = (
        typical.loc[name]
        for name in ("normal_low_engagement", "loyal_high_value", "extreme_high_volume")
    )
    assert normal["total_spent"] < extreme["total_spent"] <= loyal["total_spent"]
    assert normal["total_unit"] < loyal["total_unit"] < extreme["total_unit"]
    assert max(normal["first_to_last_order"], extreme["first_to_last_order"]) < 30
    assert loyal["first_to_last_order"] > 180


def test_same_seed_gives_the_same_tables_and_another_seed_others():
    def tables(seed):
        demo = generate_marketplace(n_customers=50, seed=seed)
        return [getattr(demo, name).to_csv() for name in [*TABLES, "truth"]]

    assert tables(DEMO_SEED) == tables(DEMO_SEED)
    assert tables(DEMO_SEED)[1] != tables(DEMO_SEED + 1)[1]


@pytest.mark.parametrize("n_customers", [1, 2, 5, 50, 333])
def test_any_number_of_customers_gets_a_whole_marketplace(n_customers):
    demo = generate_marketplace(n_customers=n_customers)
    paid = demo.order_detail[demo.order_detail["is_valid"] == 1]

    assert len(demo.customer_detail) == len(demo.truth) == n_customers
    assert set(paid["customer_id"]) - {""} == set(
        demo.truth.loc[demo.truth["has_valid_order"], "customer_id"]
    )


def test_no_customers_at_all_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"n_customers is 0.*at least 1 customer"):
        write_marketplace(tmp_path / "demo", n_customers=0)

    assert not (tmp_path / "demo").exists()


def test_truth_and_temporary_names_are_not_left_on_disk(tmp_path):
    write_marketplace(tmp_path, n_customers=5)

    expected = [*(f"{table}.csv" for table in TABLES), MARKER]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)


def test_writing_that_dies_leaves_the_previous_files_whole(tmp_path, monkeypatch):
    paths = write_marketplace(tmp_path, n_customers=5)
    before = [path.read_bytes() for path in paths]
    write_bytes = Path.write_bytes

    def fail_on_the_third_file(path, text):
        if "sku_detail" in path.name:
            raise OSError("disk full")
        return write_bytes(path, text)

    monkeypatch.setattr(Path, "write_bytes", fail_on_the_third_file)
    with pytest.raises(OSError, match="disk full"):
        write_marketplace(tmp_path, n_customers=6, replace=True)

    assert [path.read_bytes() for path in paths] == before
