"""The data behind a table or a figure: the same numbers, of groups, never of few people."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from decimal import Decimal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_notebook, new_output
from scipy.optimize import linprog

from segmentation.book import behind, style, words
from segmentation.book.behind import hide_few, of_groups
from segmentation.book.data_files import put_beside
from segmentation.book.plots import common
from segmentation.book.plots.common import panels
from segmentation.book.words import table_of
from segmentation.core.guarded_csv import unguarded


def shown(thing) -> dict:
    """What a notebook keeps of a cell's value."""
    data, _ = InteractiveShell.instance().display_formatter.format(thing)
    return data


def chapter(*things):
    cells = []
    for thing in things:
        cell = new_code_cell("code")
        cell.outputs = [new_output("display_data", shown(thing))]
        cells.append(cell)
    return new_notebook(cells=cells)


def rows_of(path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [[unguarded(cell) for cell in row] for row in csv.reader(file)]


def texts_of(markup: str, tag: str) -> list[str]:
    return [re.sub("<[^>]*>", "", cell) for cell in re.findall(f"<{tag}[ >].*?</{tag}>", markup)]


def test_the_file_beneath_a_table_says_what_the_table_says(tmp_path):
    table = pd.DataFrame(
        {"segment": ["High", "Mid", "Low", "Odd"], "customers": ["1,200", "99", "12", "4 (1%)"]}
    ).assign(spent=["$1.2M", "-$3", "$5", "$99"])

    html = table_of(
        table, caption="Segments; spent: all of a customer. n = 4.", numeric=("customers", "spent")
    )
    notebook = put_beside(chapter(html), tmp_path)

    (file,) = (tmp_path / "data").glob("*.csv")
    assert file.name == "segments-spent-all-of-a-customer.csv"
    assert notebook.cells[1].source == (
        ":::{div} data-link\n{download}`Data (CSV) <data/segments-spent-all-of-a-customer.csv>`\n:::"
    )
    head, *rows = rows_of(file)
    markup = notebook.cells[0].outputs[0].data["text/html"]
    assert head == texts_of(markup, "th")
    assert [cell for row in rows for cell in row] == [
        re.sub("&lt;", "<", text) for text in texts_of(markup, "td")
    ]
    assert rows[3] == ["Odd", "<5", "–"], "alike in the table and the file"
    assert rows[2] == ["Low", "–", "–"], "else the total would tell how many are odd"
    assert "fewer than 5 customers; –: what would tell how many" in markup
    assert behind.KIND not in notebook.cells[0].outputs[0].data


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Figures that a test draws without the book's own closing end with it."""
    yield
    plt.close("all")


def test_figures_carry_what_they_were_drawn_from_without_groups_of_few(tmp_path):
    @style.report_figure
    def plot(table):
        fig, (ax,) = panels(1, columns=1, height=2)
        ax.plot(table["revenue"])
        return fig

    months = pd.date_range("2024-01-01", periods=4, freq="MS")
    table = pd.DataFrame(
        {"month": months, "customers": [9, 4, 0, 5], "revenue": [1 / 3, 8.0, 0.0, 1]}
    )
    put_beside(chapter(plot(table)), tmp_path)

    head, *rows = rows_of(tmp_path / "data" / "table.csv")
    assert head == ["month", "customers", "revenue"]
    assert [row[0] for row in rows] == [f"2024-0{n}-01" for n in range(1, 5)]
    assert [row[1:] for row in rows] == [
        *(["9", "0.333333333333333"], ["", ""], ["0", "0.0"], ["", ""]),
    ]


def reach_of(cell: int, sizes: np.ndarray, hidden: np.ndarray, names: pd.DataFrame) -> float:
    """How far a hidden count can lie from another that all totals and shown counts allow."""
    totals = [np.ones(len(sizes)), *(names[n] == one for n in names for one in set(names[n]))]
    known = np.array(totals, dtype=float)
    aim = (np.flatnonzero(hidden) == cell).astype(float)
    ends = [
        linprog(sign * aim, A_eq=known[:, hidden], b_eq=known[:, hidden] @ sizes[hidden]).fun * sign
        for sign in (1, -1)
    ]
    return ends[1] - ends[0]


@pytest.mark.parametrize("seed", range(20))
def test_no_total_of_a_table_tells_a_count_of_few(seed):
    """As a reader would try: solve for the hidden cells from the sums of rows and columns."""
    chance = np.random.default_rng(seed)
    sizes = chance.choice([0, 2, 4, 7, 40, 900], 16, p=[0.1, 0.1, 0.1, 0.2, 0.3, 0.2]).astype(float)
    names = pd.DataFrame({"before": np.repeat(list("abcd"), 4), "after": list("wxyz") * 4})

    given = names.replace({"before": {"a": None}})  # who is new came from no segment
    hidden, is_rounded = behind.withheld(pd.Series(sizes), given)
    hidden = hidden.to_numpy()

    few = np.flatnonzero((sizes > 0) & (sizes < 5))
    assert hidden[few].all()
    solved = [cell for cell in few if reach_of(cell, sizes, hidden, names) < 0.5]
    assert bool(solved) <= is_rounded
    assert len(few) or not hidden.any()


def test_what_hiding_cannot_keep_is_rounded_in_table_and_file(tmp_path):
    flows = pd.DataFrame(
        {"before": ["High", "High", "Low", "(new)"], "after": ["High", "Low", "Low", "Low"]}
    )
    table = flows.assign(customers=["499", "3", "1,906", "538"])
    html = table_of(table, caption="Where they went.", numeric=("customers",))

    assert html.data["customers"].tolist() == ["500", "<5", "1,905", "540"]
    carried = behind.of_groups(flows.assign(customers=[499, 3, 1906, 538]))
    assert carried["customers"].fillna(-1).tolist() == [500, -1, 1905, 540]


@pytest.mark.parametrize("marked", [False, True])
def test_customers_of_a_figure_become_quantiles(tmp_path, marked):
    def plot(customers, *, names):
        fig, (ax,) = panels(1, columns=1, height=2)
        ax.plot(customers["total_spent"])
        return fig

    many, few = 101, 9
    customers = pd.DataFrame(
        {
            "segment": ["Many"] * many + ["Few"] * few,
            "total_spent": np.arange(many + few, dtype=float),
            "recency": 1.0,
        }
    )
    if not marked:
        customers["customer_id"] = [f"id-{n}" for n in range(len(customers))]
    draw = style.report_figure(style.of_customers(plot) if marked else plot)

    put_beside(chapter(draw(customers, names=["total_spent"])), tmp_path)

    head, *rows = rows_of(tmp_path / "data" / "table.csv")
    assert head == ["segment", "figure", "customers", "10%", "25%", "middle", "75%", "90%"]
    assert rows == [["Many", "total_spent", "101", "10", "25", "50", "75", "90"]]


def test_what_has_no_data_gets_no_link(tmp_path):
    single = table_of(pd.DataFrame({"spent": ["$3"]}), caption="One a row.", of_groups=False)
    notebook = put_beside(chapter(single, style.sentence_figure("Nothing.")), tmp_path)

    assert len(notebook.cells) == 2
    assert not (tmp_path / "data").exists()


def test_a_table_without_a_row_is_none():
    table = table_of(pd.DataFrame(columns=["segment", "customers"]), caption="Nobody.")
    assert (table.markup, table.data) == ("", None)


def ledger(**customers):
    rules = [
        "raw",
        "missing_order_date",
        "invalid_order",
        "returned",
        "non_positive_quantity",
        "kept",
    ]
    counts = [900, customers["dates"], 80, 40, customers["quantities"], 850]
    rows = [1_000, 3, 90, 45, 2, 860]
    money = [Decimal(n * 10) for n in rows]
    return pd.DataFrame({"rule": rules, "rows": rows, "customers": counts, "amount": money})


def test_a_ledger_hides_two_sums_of_money_and_no_row_that_another_table_tells():
    said = words.ledger_table(ledger(dates=3, quantities=2)).data.set_index("step")
    hidden = said[said["amount"] == "–"]
    assert hidden["customers"].tolist() == ["<5", "<5"] and len(said) == 6

    one = words.ledger_table(ledger(dates=3, quantities=60)).data.set_index("step")
    assert one.loc[one["amount"] == "–", "customers"].tolist() == ["<5", "–"]


def test_where_counts_are_rounded_money_has_two_digits():
    rows = pd.DataFrame({"from": list("aabb"), "to": list("cdcd"), "customers": [3, 20, 31, 40]})
    texts = rows.astype(str).assign(spent=["$70.0", "$12.4K", "$1.249M", "$515.77"])
    assert hide_few(texts, ["customers", "spent"])["spent"].tolist() == [
        "–",
        "$12K",
        "$1.2M",
        "$520",
    ]
    file = of_groups(rows.assign(spent=[70.0, 12_400.0, 1_249_000.0, 515.77]).convert_dtypes())
    assert file["spent"].dropna().tolist() == [12_000.0, 1_200_000.0, 520.0]


def test_a_legend_counts_no_few_and_not_what_would_tell_them():
    group = pd.DataFrame({"segment": ["anomaly"] * 2 + ["ordinary"] * 38})
    said = [str(key.get_label()) for key in common.segment_keys(group, {}, width=60)]
    assert [text.replace("\N{NBSP}", " ") for text in sorted(said)] == [
        "anomaly, n < 5",
        "ordinary, n ≈ 40",
    ]
    panels = pd.Series(["first"] * 3161 + ["early"] * 480 + ["never"] * 40)
    kinds = [
        ["anomaly"] * odd + ["ordinary"] * rest for odd, rest in [(79, 3082), (17, 463), (2, 38)]
    ]
    told = common.counts_told(panels, pd.Series([kind for own in kinds for kind in own]))
    assert not [text for text in told.values() if "=" in text], "98 - 79 - 17 would be 2"
    assert told["never", "anomaly"].endswith("5") and told["first", "anomaly"].endswith("80")
    group = pd.DataFrame({"segment": ["anomaly"] * 5 + ["ordinary"] * 35})
    said = [str(key.get_label()) for key in common.segment_keys(group, {}, width=60)]
    assert "ordinary, n\N{NBSP}=\N{NBSP}35" in said


def flagged_in(*counts: int) -> str:
    names = [f"S{place}" for place, count in enumerate(counts) for _ in range(count)]
    rows = pd.DataFrame({"segment_type": "normal", "segment": names, "is_anomaly": True})
    others = pd.DataFrame({"segment_type": "normal", "segment": ["S0"] * 50, "is_anomaly": False})
    table = pd.concat([rows, others], ignore_index=True).assign(total_spent=5.0)
    return words.anomaly_sentence(table, currency="USD")


def test_a_sentence_on_flagged_customers_tells_no_few_by_the_total():
    assert "By segment: 20 in S0, 9 in S1 and 8 in S2, and 7 elsewhere." in flagged_in(20, 9, 8, 7)
    for counts in ((20, 9, 3), (20, 9, 8, 2)):
        assert "By segment: most in S0. They keep" in flagged_in(*counts)
    assert "money nor segment" in flagged_in(3) and "$" not in flagged_in(3)


def test_a_sum_of_withheld_counts_does_not_tell_them():
    """90 less 52, 21 and 5 is 12: of three segments with fewer than 5 each that is 4 each."""
    said = flagged_in(52, 21, 5, 4, 4, 4)
    assert "about 50 in S0, about 20 in S1 and about 5 in S2, and the others elsewhere" in said
    assert "12 elsewhere" not in said


def test_few_flagged_of_one_group_round_those_of_the_others():
    """98 - 79 - 17 is 2, in the model card and where the groups are fitted without them."""
    flagged = {"normal": 79, "pre_register": 17, "unregistered": 2}
    groups = {
        kind: {"features": ["total_spent"], "customers": 400, "k": 3, "note": "", "left_out": []}
        for kind in flagged
    }
    choice = {kind: {"eps": 0.5, "min_samples": 8, "anomalies": n} for kind, n in flagged.items()}
    card = words.model_card(
        title="Shop", model_groups=groups, choice=choice, evidence="", margin="", proof="", weak=[],
        overview={"first_order": None, "customers": 1_200},
    )  # fmt: skip
    told = ("about 80 anomalies", "about 15 anomalies", "fewer than 5 anomalies")
    assert all(each in card for each in told) and "79" not in card and "2 anomalies" not in card
    rows = [
        {"segment_type": kind, "segment": "A", "customers": 400, "stay": 400, "moved": 0.0,
         "moved_low": 0.0, "moved_high": 0.0, "anomalies": n}
        for kind, n in flagged.items() if n > 2
    ]  # fmt: skip
    effect, kinds = pd.DataFrame(rows), list(flagged)
    said = words.effect_sentence(effect, dict.fromkeys(kinds, 1.0), kinds, counts=flagged)
    assert "without about 80 anomalies" in said and "without about 15 anomalies" in said
    alone = words.effect_sentence(effect, dict.fromkeys(kinds, 1.0), kinds)
    assert "without the 79 anomalies" in alone


def test_who_alone_ordered_after_the_cut_is_told_without_money():
    """One of 14 ordered for 55,400: what one person spent; and the rows must not add up to it."""
    names = ("share_again", "revenue_per_customer", "revenue_share", "lift")
    came, customers = [28, 18, 11, 1], [69, 327, 171, 14]
    table = pd.DataFrame(
        {"segment_type": "normal", "cluster": [3, 2, 1, 0], "segment": list("ABCD"), "as_today": 1.0,
         "customers": customers, "bought_again": came, "orders": [78, 21, 17, 1],
         "revenue": [900_000.0, 40_000.0, 30_000.0, 55_400.0]}
    )  # fmt: skip
    figures = {f"{name}{end}": 0.5 for name in names for end in ("", "_low", "_high")}
    table = table.assign(**figures).assign(share_again=table["bought_again"] / customers)

    said = words.holdout_table(table, currency="USD")

    assert said.data.loc[3, ["bought again", "orders", "revenue"]].tolist() == ["<5", "–", "–"]
    assert said.data.loc[2, ["bought again", "orders", "revenue"]].tolist() == ["–", "–", "–"]
    assert said.data.loc[1, "revenue"] == "$40.0K" and "55.4" not in said.markup
    assert words.followed_told(table)["segment"].tolist() == ["A", "B"]
    many = table.assign(bought_again=[28, 18, 11, 5])
    assert words.followed_told(many) is many
    assert "$55.4K" in words.holdout_table(many, currency="USD").markup
    of_one = table.assign(customers=[69, 327, 171, 40], revenue_per_customer=[9.0, 5.0, 4.0, 1.0])
    facts = {"possible": True, "customers": 607, "bought_again": 58, "revenue": 1_025_400.0,
             "cut": "2023-12-31", "days_after": 366, "last_day": "2024-12-31"}  # fmt: skip
    sentence = words.holdout_sentence(facts, of_one, currency="USD")
    assert "of so few neither share nor money is told" in sentence and "$1.00" not in sentence


def test_no_money_of_a_top_segment_of_few_is_told():
    cell = {"segment_type": "normal", "returns": "exclude", "transform": "log", "scaler": "standard",
            "anomalies": "in", "agreement": 1.0, "agreement_low": 1.0, "agreement_high": 1.0,
            "customers": 480, "top_share": 0.2}  # fmt: skip
    cells = [{"k": 3, "top_customers": 75, "top_revenue": 900.0, "is_chosen": True},
             {"k": 2, "top_customers": 100, "top_revenue": 800.0, "is_chosen": False},
             {"k": 4, "top_customers": 1, "top_revenue": 77.0, "is_chosen": False}]  # fmt: skip
    table = pd.DataFrame([cell | own for own in cells])
    assert "$77" not in words.sensitivity_table(table, currency="USD").text
    assert behind.of_groups(table)["top_revenue"].isna().tolist() == [False, False, True]
    said = words.sensitivity_sentence(table, ["normal"], currency="USD")
    assert (
        "settings that put 5 customers or more into it" in said
        and "between \\$800 and \\$900" in said
    )


def test_a_file_counts_no_few_of_those_who_ordered():
    rows = pd.DataFrame({"segment": ["a", "b"], "customers": [315, 978], "ordered": [3, 5]})
    assert of_groups(rows.convert_dtypes())["ordered"].tolist() == [pd.NA, 5]
