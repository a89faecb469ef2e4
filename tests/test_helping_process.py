"""A stage computed by another process is the same stage, whatever becomes of that process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from conftest import contents_of, leftovers_in, ordinary_orders, process_cli

from segmentation import helping_process, kernel_mother
from segmentation.helping_process import AFTER, HELPED, Helper, begin_early
from segmentation.params import resolve
from segmentation.pipeline import Run
from segmentation.stage_cache import StageCache
from segmentation.stage_table import STAGES

pytestmark = pytest.mark.skipif(
    not kernel_mother.CAN_FORK, reason="processes are forked on Linux only"
)


def run_of(profile: str, runs_dir: Path, *, reuse: bool = True) -> Run:
    _, parameters = resolve(profile)
    return Run(parameters, runs_dir, cache=StageCache(runs_dir / ".cache", reuse=reuse))


@pytest.fixture
def profile(shop) -> str:
    shop.lines(ordinary_orders())
    shop.arguments(n_clusters=2)
    return str(shop.folder / "shop.yaml")


def results_of(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents_of(folder).items() if name != "cost.json"}


def wait_for(folder: Path) -> None:
    for _ in range(600):
        if folder.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder.name} never came")


@pytest.fixture
def mother():
    """The process that the package itself asks, here and gone afterwards."""
    kernel_mother.MOTHER.start(helping_process.COMPUTES_WITH)
    yield kernel_mother.MOTHER
    kernel_mother.MOTHER.end()


@pytest.fixture
def asked(mother, monkeypatch) -> list[str]:
    """Stages that the other process is asked for; it is not told."""
    said: list[str] = []
    monkeypatch.setattr(mother, "compute", lambda stages, *_: said.extend(stages))
    monkeypatch.setattr(helping_process, "LEAST_BYTES", 100)
    return said


def test_every_helped_stage_has_all_that_it_needs():
    order = list(STAGES)
    there = set(order[: order.index(AFTER) + 1])
    for stage in HELPED:
        assert set(STAGES[stage].needs) <= there, stage
    beside = order[order.index(AFTER) + 1 : min(order.index(stage) for stage in HELPED)]
    assert beside, "else nobody works beside"


def test_digits_are_those_of_the_process_that_asks(mother, tmp_path):
    here, there = (
        run_of("marketplace", tmp_path / "here"),
        run_of("marketplace", tmp_path / "there"),
    )
    there.stage(AFTER)
    Helper(there).after(AFTER)
    for stage in HELPED:
        made = there.cache.folder(stage, there.key(stage))
        wait_for(made)
        there.stage(stage)
        assert there.reused[stage] is False, "not computed here, but for this run"
        assert results_of(made) == results_of(here.stage(stage)), stage
    assert leftovers_in(tmp_path / "there") == []


def test_nobody_is_asked_for_what_is_there_or_must_be_computed_here(
    profile, shop, asked, mother, monkeypatch
):
    def after_segments(run: Run) -> list[str]:
        asked.clear()
        run.stage(AFTER)
        Helper(run).after(AFTER)
        time.sleep(0.1)
        return list(asked)

    runs = shop.runs_dir
    assert after_segments(run_of(profile, runs, reuse=False)) == []
    for name, value in (("MOST_CUSTOMERS", 39), ("LEAST_BYTES", 10**6), ("CAN_FORK", False)):
        with monkeypatch.context() as patch:
            patch.setattr(helping_process, name, value)
            assert after_segments(run_of(profile, runs)) == [], name
    with monkeypatch.context() as single:
        single.setattr(os, "sched_getaffinity", lambda _: {0})
        assert after_segments(run_of(profile, runs)) == []
    Helper(run_of(profile, runs)).after("prepared")
    assert asked == []
    assert after_segments(run_of(profile, runs)) == list(HELPED)
    run_of(profile, runs).stage("sensitivity")
    assert after_segments(run_of(profile, runs)) == [s for s in HELPED if s != "sensitivity"]
    mother.end()
    assert after_segments(run_of(profile, runs)) == []


@pytest.mark.parametrize(
    ("changed", "begins"),
    [
        ({}, True),
        ({"engine": "mysql", "location": "mysql://127.0.0.1:9/shop"}, False),
        ({"location": "no/such/folder"}, False),
        ({"location": "data/raw_data/marketplace/order_detail.csv"}, True),
        ({"location": "data/raw_data/marketplace/sku_detail.csv"}, False),
    ],
)
def test_a_second_process_begins_where_it_can_be_of_use(monkeypatch, changed, begins):
    started = []
    monkeypatch.setattr(kernel_mother.MOTHER, "start", lambda modules, **_: started.append(modules))
    begin_early(resolve("marketplace", overrides=changed)[1])
    assert started == ([helping_process.COMPUTES_WITH] if begins else [])


def test_a_run_with_a_second_process_writes_the_same_files(tmp_path):
    """And says that it computed what the other computed for it."""
    for name, more in (("two", []), ("one", ["--no-cache"])):
        outcome = process_cli("run", "marketplace", "--runs-dir", tmp_path / name, *more)
        assert outcome.code == 0, outcome.err
        assert "reused" not in outcome.out
    two, one = (contents_of(tmp_path / name / "marketplace") for name in ("two", "one"))
    assert {n for n in two if two[n] != one.get(n)} == {"manifest.json"}, "seconds differ"
    assert set(two) == set(one)
    assert leftovers_in(tmp_path / "two") == []


def test_a_process_that_cannot_be_had_or_fails_leaves_the_stage_to_us(profile, shop, monkeypatch):
    mother = kernel_mother.Mother()
    try:
        run = run_of(profile, shop.runs_dir)
        run.stage(AFTER)
        plain = run.parameters.as_plain()
        assert mother.compute(["sensitivity"], plain | {"n_init": -1}, shop.runs_dir)
        assert mother.compute(["no_such_stage"], plain, shop.runs_dir)
        assert run.stage("sensitivity").is_dir()
        monkeypatch.setattr(mother, "start", lambda: None)
        mother.end()
        assert not mother.compute(["sensitivity"], plain, shop.runs_dir)
    finally:
        mother.end()


def test_it_ends_with_the_report_and_tidies_up(profile, shop):
    """Killed in the middle, a report leaves neither process nor half a stage behind."""
    mother = kernel_mother.Mother()
    run = run_of(profile, shop.runs_dir)
    run.stage("prepared")
    slow = run.parameters.as_plain() | {"n_init": 200, "k_max": 40}
    assert mother.compute(["tuning"], slow, shop.runs_dir)
    children = Path(f"/proc/{mother._process.pid}/task/{mother._process.pid}/children")
    for _ in range(100):
        if [name for name in leftovers_in(shop.runs_dir) if name.startswith(".tuning")]:
            break
        time.sleep(0.05)
    (child,) = children.read_text().split()
    mother.end()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()
    assert leftovers_in(shop.runs_dir) == []
