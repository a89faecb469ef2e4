"""Forgotten customers: gone from every file of a folder of runs, and never read again."""

from __future__ import annotations

import json
import shutil
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import SHOP_SQL, TinyShop, assert_refused, call_cli, order, ordinary_orders

from segmentation.core.errors import SourceError
from segmentation.core.guarded_csv import write_guarded_csv
from segmentation.core.own_folders import RUN, foreign_in, is_own
from segmentation.core.parameters import parameters_from
from segmentation.deliver import forget as forget_module
from segmentation.deliver.run_places import files_of
from segmentation.orders.customer_ids import cleaned
from segmentation.run.run import Run
from segmentation.segments.model import load_model
from segmentation.sources import forgotten

HOSTILE = (
    "FORGET-ME-9731",
    " FORGET ME 9732 ",
    "FORGET/ME\\9733",
    "=FORGET(9734)",
    "FORGET-Ünï-日本-9735",
    "FORGET;=9736",
    'FORGET "<&>" 9737',
)
"""Whom to forget; whatever a file makes of an id, FORGET stays readable in it."""
TWIN = ("2023-02-11", 2, "37.50")


def orders() -> list[dict]:
    """An ordinary shop, the hostile customers, and one who behaves exactly as the first does."""
    odd = [
        order(customer, f"H{number}-{visit}", f"2023-{2 + visit:02d}-{3 + number:02d}", 3, amount)
        for number, customer in enumerate(HOSTILE[1:])
        for visit, amount in enumerate(("61.25", "48.75"))
    ]
    twins = [order(customer, customer, *TWIN) for customer in (HOSTILE[0], "twin")]
    return ordinary_orders() + odd + twins


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with one finished run."""
    shop = TinyShop(tmp_path_factory.mktemp("forget")).lines(orders())
    assert shop.run().code == 0
    return shop.folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> TinyShop:
    """That shop, to be changed."""
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return TinyShop(tmp_path)


def forget(shop: TinyShop, *customers: object):
    return call_cli("forget", *customers, "--runs-dir", shop.runs_dir)


def texts_of(path: Path) -> str:
    """Everything that a file says, in whatever it is packed."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pandas().to_csv()
    text = path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        text += "\n".join(str(c) for s in book for row in s.values for c in row)
        with zipfile.ZipFile(path) as archive:
            text += "\n".join(
                archive.read(n).decode("utf-8", "replace") for n in archive.namelist()
            )
    return text


def holding(runs_dir: Path, text: str = "FORGET") -> list[str]:
    files = [path for path in sorted(runs_dir.rglob("*")) if path.is_file()]
    return [path.relative_to(runs_dir).as_posix() for path in files if text in texts_of(path)]


def test_nothing_below_the_runs_holds_a_forgotten_customer(shop):
    notebooks = shop.result / "notebooks"
    notebooks.mkdir()
    (notebooks / "01_data.ipynb").write_text('{"cells": ["FORGET-ME-9731"]}')
    arms = pd.DataFrame({"customer_id": [*HOSTILE, "0001"], "arm": "contact"})
    arms.to_csv(shop.result / "campaign_arms.csv", index=False)
    write_guarded_csv(arms, shop.result / "call_first.csv")
    killed = shop.runs_dir / ".shop.0123abcd.tmp"
    shutil.copytree(shop.result, killed)
    before = holding(shop.runs_dir)
    names = {Path(name).name for name in before if not name.startswith(".")}

    done = forget(shop, *HOSTILE)

    assert done.code == 0, done.err
    assert {"segments.parquet", "features.parquet"} <= names
    assert {"customer_segmentation_output.xlsx", "campaign_arms.csv"} <= names
    assert pd.read_csv(shop.result / "campaign_arms.csv", dtype=str).values.tolist() == [
        ["0001", "contact"]
    ]
    assert any(name.startswith(".cache/") for name in before)
    assert holding(shop.runs_dir) == []
    assert not notebooks.exists() and not killed.exists()
    assert "7 customer(s) removed" in done.out
    assert "not reached" in done.out and "git" in done.out


def test_rows_of_the_others_keep_every_character(shop):
    kept = {}
    findings = pd.read_csv(shop.result / "findings.csv", dtype=str)
    told_anew = {shop.result / name for name in ("profile.csv", "findings.csv")}
    for path in set(shop.result.rglob("*.csv")) - told_anew:
        lines = path.read_bytes().splitlines(keepends=True)
        kept[path] = b"".join(line for line in lines if b"FORGET" not in line)
    sheets = {
        sheet.title: [row for row in sheet.values if "FORGET" not in str(row[:2])]
        for sheet in openpyxl.load_workbook(shop.result / "customer_segmentation_output.xlsx")
    }
    tables = {
        name: pq.read_table(shop.result / name).to_pandas()
        for name in ("features.parquet", "segments.parquet")
    }

    forget(shop, *HOSTILE)

    assert {path: path.read_bytes() for path in kept} == kept
    now = pd.read_csv(shop.result / "findings.csv", dtype=str)
    assert now["examples"].isna().all()  # an order's id may name its customer
    pd.testing.assert_frame_equal(now.drop(columns="examples"), findings.drop(columns="examples"))
    book = openpyxl.load_workbook(shop.result / "customer_segmentation_output.xlsx")
    assert {sheet.title: list(sheet.values) for sheet in book} == sheets
    for name, table in tables.items():
        others = table[~table["customer_id"].isin([*HOSTILE, *map(cleaned, HOSTILE)])].reset_index(
            drop=True
        )
        now = pq.read_table(shop.result / name).to_pandas()
        pd.testing.assert_frame_equal(now, others, check_exact=True)


def test_profile_is_counted_again_of_those_who_are_left_and_runs_can_be_compared(shop):
    whole = shop.runs_dir.parent / "before"
    shutil.copytree(shop.result, whole)
    table = pd.read_parquet(shop.result / "segments.parquet").set_index("customer_id")
    theirs, spent = table.loc[HOSTILE[0], ["segment", "total_spent"]]
    before = pd.read_csv(shop.result / "profile.csv").set_index("segment")

    forget(shop, HOSTILE[0])

    after = pd.read_csv(shop.result / "profile.csv").set_index("segment")
    assert list(after.columns) == list(before.columns)
    assert after.at[theirs, "customers"] == before.at[theirs, "customers"] - 1
    assert after.at[theirs, "revenue"] == pytest.approx(before.at[theirs, "revenue"] - spent)
    shares = ["customers_share", "revenue_share"]
    others = (each.drop(index=theirs).drop(columns=shares) for each in (after, before))
    pd.testing.assert_frame_equal(*others)
    assert call_cli("compare", whole, shop.result).code == 0


def test_core_points_of_the_forgotten_leave_the_model_unless_another_customer_has_the_row(shop):
    table = pq.read_table(shop.result / "features.parquet").to_pandas()
    before = load_model(shop.result / "model")
    group = before.groups["normal"]
    values = table[list(group.preparation.features)].to_numpy(dtype=float)
    prepared = group.preparation.for_flags(values, group.preparation.apply(values))
    core = {point.tobytes() for point in group.core_points}
    is_core = pd.Series([row.tobytes() in core for row in prepared])
    alone = table["customer_id"][is_core & ~table["customer_id"].isin([HOSTILE[0], "twin"])].iloc[0]
    row = {name: prepared[(table["customer_id"] == name).argmax()] for name in (alone, "twin")}
    assert row["twin"].tobytes() in core

    done = forget(shop, HOSTILE[0], alone)

    after = load_model(shop.result / "model")
    left = {point.tobytes() for point in after.groups["normal"].core_points}
    assert left == core - {row[alone].tobytes()}
    assert after.sha256 != before.sha256
    assert "1 core point(s) less" in done.out
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    assert manifest["forgotten"] == 2


def test_where_all_are_forgotten_the_model_calls_nobody_unusual(shop):
    table = pq.read_table(shop.result / "features.parquet").to_pandas()
    ids = shop.folder / "ids.txt"
    ids.write_text("\n".join(table["customer_id"]) + "\n", encoding="utf-8")

    assert forget(shop, "--from-file", ids).code == 0

    group = load_model(shop.result / "model").groups["normal"]
    assert len(group.core_points) == 0
    assert not group.is_anomaly(np.full((1, group.centers.shape[1]), 9.0))[0].any()


def accounts(shop: TinyShop) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ledger and features of a shop, read anew unless the cache holds the very same."""
    run = Run(parameters_from(shop.parameters), shop.runs_dir)
    return run["ledger"], run["customer_features"]


def test_a_later_run_is_as_if_they_had_never_bought_and_the_ledger_says_so(shop, tmp_path):
    (tmp_path / "others").mkdir()
    rest = [line for line in orders() if line["customer_id"] not in HOSTILE]
    without, features = accounts(TinyShop(tmp_path / "others").lines(rest))
    before = accounts(shop)[0].set_index("rule")
    forget(shop, *HOSTILE)

    ledger, left = accounts(shop)

    pd.testing.assert_frame_equal(left, features, check_exact=True)
    assert holding(shop.runs_dir) == []
    assert ledger["rule"].tolist()[:2] == ["raw", "forgotten"]
    ledger = ledger.set_index("rule")
    assert "forgotten" not in before.index
    assert ledger.loc["raw"].to_dict() == before.loc["raw"].to_dict()
    # six of two orders of 61.25 and 48.75, one of 37.50
    counted = {"rows": 13, "customers": 7, "amount": Decimal("697.50")}
    assert ledger.loc["forgotten"].to_dict() == counted
    for name in ("rows", "amount"):
        assert ledger[name].iloc[1:].sum() == ledger.at["raw", name]
    set_aside = without.set_index("rule").drop(index="raw")
    pd.testing.assert_frame_equal(ledger.drop(index=["raw", "forgotten"]), set_aside)


def test_examples_of_raw_lines_name_nobody_once_somebody_is_forgotten(shop):
    known = [{"customer_id": one["customer_id"]} for one in ordinary_orders()]
    shop.lines(list({str(one): one for one in known}.values()), name="customers.csv")
    lines = SHOP_SQL.replace("    customer_id,", "    orders.customer_id,")
    shop.sql(lines + " LEFT JOIN customers ON customers.customer_id = orders.customer_id")
    before = Run(parameters_from(shop.parameters), shop.runs_dir)["findings"]
    assert "FORGET" in before.set_index("finding").loc["orphan", "examples"]
    forget(shop, *HOSTILE)

    accounts(shop)

    assert holding(shop.runs_dir) == []


def test_forgotten_customers_are_left_out_of_a_table_of_customers_too(shop):
    shop.sql("SELECT customer_id, CAST(amount AS DECIMAL(18, 2)) AS total_spent, "
             "CAST(quantity AS DOUBLE) AS total_unit FROM orders")  # fmt: skip
    rows = [{"customer_id": f"C{n}", "amount": f"{n}.25", "quantity": n} for n in range(1, 9)]
    shop.lines(rows)
    forget(shop, "C3", "C4")

    ledger, features = accounts(shop)

    assert features["customer_id"].tolist() == ["C1", "C2", "C5", "C6", "C7", "C8"]
    assert ledger.set_index("rule").loc["forgotten"].tolist() == [2, 2, Decimal("7.50")]
    assert ledger["amount"].iloc[0] == Decimal("38.00")


def test_who_is_allowed_again_is_read_again_and_results_are_those_of_before(shop):
    before = accounts(shop)
    forget(shop, *HOSTILE)
    for customer in HOSTILE:
        assert forget(shop, "--allow", customer).code == 0

    for one, other in zip(accounts(shop), before, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    sentence = assert_refused(forget(shop, "--allow", "nobody"), "not on the list", "nobody")
    assert "1 customer(s)" in sentence


def test_a_customer_whom_no_run_knows_is_on_the_list_all_the_same(shop):
    done = forget(shop, "NO-SUCH-ID", "FORGET-ME-9731")

    assert "1 of 2 stand in no run (NO-SUCH-ID)" in done.out
    said = forget(shop, "--list").out
    assert said.startswith("2 customer(s) on the list") and "NO-SUCH-ID" not in said
    listed = forgotten.read_list(shop.runs_dir)
    assert listed.hash_of("NO-SUCH-ID") in listed.hashes


def test_the_list_names_nobody_is_for_its_owner_and_differs_between_shops(tmp_path):
    texts = []
    for name in ("one", "other"):
        runs_dir = tmp_path / name
        runs_dir.mkdir()
        call_cli("forget", "4711", "--runs-dir", runs_dir)
        texts.append((runs_dir / "forgotten.json").read_text("utf-8"))
        assert (runs_dir / "forgotten.json").stat().st_mode & 0o777 == 0o600

    assert "4711" not in "".join(texts)
    assert texts[0] != texts[1]


def test_folders_are_found_by_their_manifest_and_links_and_rights_stay(shop):
    own = shop.result.resolve()
    own.chmod(0o700)
    (own / "segments.parquet").chmod(0o600)

    forget(shop, *HOSTILE)

    assert holding(shop.runs_dir) == []
    assert shop.result.is_symlink() and own.stat().st_mode & 0o777 == 0o700
    assert (own / "segments.parquet").stat().st_mode & 0o777 == 0o600


def test_a_run_stays_our_own_and_a_persons_file_theirs(shop):
    forget(shop, HOSTILE[0])
    assert is_own(shop.result, RUN)
    (shop.result / "mine.csv").write_text("customer_id\n1\n", "utf-8")
    forget(shop, HOSTILE[1])
    assert foreign_in(shop.result, files_of(shop.result)) == ["mine.csv"]


def test_tables_that_a_cluster_wrote_in_parts_are_rewritten_with_their_checksums(shop):
    table = pq.read_table(shop.result / "features.parquet")
    (shop.result / "features.parquet").unlink()
    (shop.result / "features.parquet").mkdir()
    for number, start in enumerate(range(0, len(table), 20)):
        part = shop.result / "features.parquet" / f"part-{number}.parquet"
        pq.write_table(table.slice(start, 20), part)
        part.with_name(f".{part.name}.crc").write_bytes(b"crc")

    forget(shop, HOSTILE[0], "0001")

    left = pq.read_table(shop.result / "features.parquet")["customer_id"].to_pylist()
    assert left == [c for c in table["customer_id"].to_pylist() if c not in (HOSTILE[0], "0001")]
    crcs = [path.name for path in sorted(shop.result.rglob("*.crc"))]
    assert crcs == [".part-1.parquet.crc"]


def test_the_copy_of_the_shipped_workbook_is_rewritten_with_its_run(shop, monkeypatch):
    copies = shop.folder / "processed"
    copies.mkdir()
    monkeypatch.setattr(forget_module, "PROCESSED_FOLDER", copies)
    shutil.copy(shop.result / forget_module.WORKBOOK, copies)
    manifest = shop.result / "manifest.json"
    for profile, customer in (("another", HOSTILE[0]), ("marketplace", HOSTILE[1])):
        text = json.loads(manifest.read_text("utf-8")) | {"profile": profile}
        manifest.write_text(json.dumps(text), encoding="utf-8")
        forget(shop, customer)

    assert holding(copies, HOSTILE[0]) and not holding(copies, HOSTILE[1])


def test_ten_thousand_customers_of_a_file_are_forgotten(shop):
    ids = shop.folder / "ids.txt"
    ids.write_bytes(
        "\ufeffFORGET-ME-9731\r\n".encode() + b"".join(b"X%d\n" % n for n in range(9_999))
    )

    done = forget(shop, "--from-file", ids)

    assert done.out.count("\n") == 4 and "9,999 of 10,000 stand in no run" in done.out
    ledger = accounts(shop)[0].set_index("rule")
    assert ledger.loc["forgotten", "rows"] == 1


def test_what_cannot_be_rewritten_is_named_and_the_list_has_them_already(shop):
    shutil.copytree(shop.result, shop.runs_dir / "zz_whole")
    (shop.result / "segments.parquet").write_bytes(b"PAR1 damaged")

    assert_refused(forget(shop, *HOSTILE), "not everywhere removed", str(shop.result))

    both = {*HOSTILE, *map(cleaned, HOSTILE)}  # as the source has them, and as runs do
    assert len(forgotten.read_list(shop.runs_dir)) == len(both)
    assert holding(shop.runs_dir / "zz_whole") == []


def test_a_list_that_cannot_be_read_stops_every_run(shop):
    forget(shop, *HOSTILE)
    (shop.runs_dir / "forgotten.json").write_text('{"salt": "x"', encoding="utf-8")

    assert_refused(shop.run(), "forgotten.json", "cannot be read")


def test_a_result_that_an_open_notebook_reads_stays_and_is_said(shop):
    run = Run(parameters_from(shop.parameters), shop.runs_dir)
    assert len(run["customer_features"])

    assert_refused(forget(shop, "FORGET-ME-9731"), "1 results in the cache (in use)", "close")

    run.cache.release()
    assert forget(shop, "FORGET-ME-9731").code == 0
    assert holding(shop.runs_dir, "FORGET-ME-9731") == []


def test_who_is_forgotten_while_a_notebook_reads_the_orders_is_not_in_its_results(shop):
    run = Run(parameters_from(shop.parameters | {"returns": "net"}), shop.runs_dir)
    with pytest.raises(SourceError, match="forgotten customers changed"), run.snapshot.opened():
        forget(shop, "FORGET-ME-9731")


def test_nobody_is_forgotten_while_a_run_is_at_work(shop):
    with forgotten.held(shop.runs_dir):
        assert_refused(forget(shop, "FORGET-ME-9731"), "a run or report is at work")

    assert not (shop.runs_dir / "forgotten.json").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "give customers"),
        (("A", "--list"), "give customers"),
        (("  ",), "an id is empty"),
        (("--from-file", "none.txt"), "cannot be read"),
    ],
)
def test_what_is_not_asked_clearly_is_refused(shop, asked, words):
    assert_refused(forget(shop, *asked), words)
    assert not (shop.runs_dir / "forgotten.json").exists()


def test_a_folder_of_runs_that_is_not_there_is_not_made(tmp_path):
    asked = call_cli("forget", "A", "--runs-dir", tmp_path / "none")
    assert_refused(asked, "is no folder")
