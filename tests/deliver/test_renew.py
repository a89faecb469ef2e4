"""`segmentation renew`: run, compare, publish and tidy as one step that can be repeated."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from conftest import TinyShop, assert_refused, call_cli, leftovers_in, order, ordinary_orders


def state_of(folder: Path) -> dict[str, tuple]:
    """Every file and link, with its content and the time of its last change; no cache."""
    return {
        str(path.relative_to(folder)): (
            path.readlink() if path.is_symlink() else (path.read_bytes(), path.stat().st_mtime_ns)
        )
        for path in folder.rglob("*")
        if ".cache" not in path.parts and (path.is_file() or path.is_symlink())
    }


def night(shop: TinyShop, number: int) -> None:
    """One more order each night: another run."""
    shop.lines([*ordinary_orders(), *(order("0001", f"n{n}", "2023-09-15", 1, "9.00") for n in range(number))])  # fmt: skip


def renew(shop: TinyShop, *more: object, **changed: object):
    return call_cli("renew", *shop.arguments(**changed)[1:], *more)


def history(shop: TinyShop) -> pd.DataFrame:
    return pd.read_csv(shop.runs_dir / "shop.history.csv", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def renewed(tmp_path_factory) -> TinyShop:
    """Two nights; the third's stages are there already, of a run by another name."""
    shop = TinyShop(tmp_path_factory.mktemp("renewed"))
    night(shop, 0)
    assert renew(shop).code == 0
    night(shop, 1)
    assert renew(shop, "--changes", shop.folder / "moved").code == 0
    night(shop, 2)
    assert call_cli("run", *shop.arguments()[1:], "--name", "other").code == 0
    night(shop, 1)
    return shop


@pytest.fixture
def copied(renewed, tmp_path) -> TinyShop:
    shutil.copytree(renewed.folder, tmp_path / "shop", symlinks=True)
    shop = TinyShop(tmp_path / "shop")
    night(shop, 1)
    return shop


def test_the_second_run_is_compared_with_the_first_and_current(renewed):
    first, second = history(renewed).itertuples()
    assert (first.before, first.verdict, first.reasons) == (
        "",
        "not compared",
        "it is the first run",
    )
    assert second.before == first.after != second.after
    assert renewed.result.readlink() == Path(second.after)
    assert second.verdict in ("keep", "watch", "refit") and second.moved.isdigit()
    assert len(pd.read_csv(renewed.folder / "moved" / "customers.csv")) == 40
    assert "0001" not in (renewed.runs_dir / "shop.history.csv").read_text("utf-8")


def test_a_second_run_on_the_same_orders_changes_nothing(renewed):
    places = renewed.runs_dir, renewed.folder / "moved"
    before = [state_of(place) for place in places]
    done = renew(renewed, "--changes", places[1])
    assert done.code == 0, done.said
    assert "nothing has changed since shop." in done.out
    assert [state_of(place) for place in places] == before


def test_later_orders_do_not_change_a_month_that_is_over(copied):
    """Run on the first for the month before, and once more when orders of the new month are in."""
    month = ("-p", "as_of", "2023-09-15")
    assert renew(copied, *month).code == 0
    before = (copied.result / "segments.parquet").read_bytes()
    rows = [*ordinary_orders(), order("0001", "n0", "2023-09-15", 1, "9.00")]
    copied.lines([*rows, order("0002", "october", "2023-10-03", 1, "99.00")])
    done = renew(copied, *month)
    assert done.code == 0, done.said
    assert (copied.result / "segments.parquet").read_bytes() == before
    assert (history(copied).iloc[-1][["moved", "verdict"]] == ["0", "keep"]).all()


def test_what_cannot_be_published_does_not_become_current_and_is_caught_up(copied):
    before = state_of(copied.runs_dir)
    night(copied, 2)
    away = ("--mysql", "segments", "--location", "mysql://127.0.0.1:1/crm")
    refused = renew(copied, *away)
    assert_refused(refused, "127.0.0.1:1")
    after = state_of(copied.runs_dir)
    assert before.items() <= after.items() and leftovers_in(copied.runs_dir) == []

    assert renew(copied).code == 0
    told = history(copied)
    assert list(told["before"][1:]) == list(told["after"][:-1]) and len(told) == 3


def test_a_last_run_that_cannot_be_read_does_not_stop_the_schedule(copied):
    last = copied.result.readlink()
    (copied.result / "features.parquet").unlink()
    night(copied, 2)
    done = renew(copied)
    assert done.code == 0 and "not compared" in done.out
    assert history(copied).iloc[-1]["verdict"] == "not compared"
    assert copied.result.readlink() != last


def test_earlier_runs_of_this_name_only_are_removed(copied):
    night(copied, 2)
    done = renew(copied, "--keep-runs", 1)
    assert done.code == 0 and "removed: shop." in done.out
    runs = sorted(path.name.split(".")[0] for path in copied.runs_dir.glob("*.????????"))
    assert runs == ["other", "shop", "shop"]


def test_a_history_of_somebodys_is_refused_before_anything_is_done(copied):
    (copied.runs_dir / "shop.history.csv").write_text("mine\n1\n", encoding="utf-8")
    night(copied, 2)
    before = state_of(copied.runs_dir)
    assert_refused(renew(copied), "shop.history.csv")
    assert state_of(copied.runs_dir) == before


def test_a_location_needs_a_table(copied):
    assert_refused(renew(copied, "--location", "mysql://127.0.0.1:1/crm"), "--mysql")
