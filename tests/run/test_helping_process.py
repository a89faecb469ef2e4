"""A stage computed by another process is the same stage, whatever becomes of that process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, contents_of, leftovers_in, ordinary_orders, process_cli

from segmentation.core.parameters import resolve
from segmentation.run import forks
from segmentation.run.cache import SEAL, StageCache
from segmentation.run.forks import AFTER, HELPED, helper_of
from segmentation.run.run import Run
from segmentation.run.stages import STAGES

pytestmark = pytest.mark.skipif(not forks.CAN_FORK, reason="processes are forked on Linux only")


def run_of(profile: str, runs_dir: Path, *, reuse: bool = True) -> Run:
    _, parameters = resolve(profile)
    return Run(parameters, runs_dir, cache=StageCache(runs_dir / ".cache", reuse=reuse))


@pytest.fixture
def profile(shop) -> str:
    shop.lines(ordinary_orders())
    shop.arguments(n_clusters=2)
    return str(shop.folder / "shop.yaml")


def results_of(folder: Path) -> dict[str, bytes]:
    """What a stage gives, without its cost and the checksums of both."""
    idle = {"cost.json", SEAL}
    return {name: content for name, content in contents_of(folder).items() if name not in idle}


def wait_for(folder: Path) -> None:
    for _ in range(600):
        if folder.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder.name} never came")


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Stages that another process is asked for; it is not told."""
    said: list[str] = []
    monkeypatch.setattr(forks, "start", lambda work, stages, *_, **__: said.extend(stages))
    monkeypatch.setattr(forks, "LEAST_BYTES", 100)
    return said


def test_every_helped_stage_has_all_that_it_needs():
    order = list(STAGES)
    there = set(order[: order.index(AFTER) + 1])
    for stage in HELPED:
        assert set(STAGES[stage].needs) <= there, stage
    beside = order[order.index(AFTER) + 1 : min(order.index(stage) for stage in HELPED)]
    assert beside, "else nobody works beside"


def test_digits_are_those_of_the_process_that_asks(tmp_path):
    here, there = (
        run_of("marketplace", tmp_path / "here"),
        run_of("marketplace", tmp_path / "there"),
    )
    there.stage(AFTER)
    helper_of(there)(AFTER)
    for stage in HELPED:
        made = there.cache.folder(stage, there.key(stage))
        wait_for(made)
        there.stage(stage)
        assert there.reused[stage] is False, "not computed here, but for this run"
        assert results_of(made) == results_of(here.stage(stage)), stage
    there.snapshot.close()
    assert leftovers_in(tmp_path / "there") == []


def test_nobody_is_asked_for_what_is_there_or_must_be_computed_here(
    profile, shop, asked, monkeypatch
):
    def after_segments(run: Run) -> list[str]:
        asked.clear()
        run.stage(AFTER)
        helper_of(run)(AFTER)
        time.sleep(0.1)
        return list(asked)

    runs = shop.runs_dir
    assert after_segments(run_of(profile, runs, reuse=False)) == []
    for name, value in (("MOST_CUSTOMERS", 39), ("LEAST_BYTES", 10**6), ("CAN_FORK", False)):
        with monkeypatch.context() as patch:
            patch.setattr(forks, name, value)
            assert after_segments(run_of(profile, runs)) == [], name
    with monkeypatch.context() as single:
        single.setattr(os, "sched_getaffinity", lambda _: {0})
        assert after_segments(run_of(profile, runs)) == []
    helper_of(run_of(profile, runs))("prepared")
    assert asked == []
    assert after_segments(run_of(profile, runs)) == list(HELPED)
    run_of(profile, runs).stage("sensitivity")
    assert after_segments(run_of(profile, runs)) == [s for s in HELPED if s != "sensitivity"]


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
def test_a_second_process_is_asked_where_it_can_be_of_use(changed, begins):
    assert forks.is_worth_it(resolve("marketplace", overrides=changed)[1]) is begins


def test_a_run_with_a_second_process_writes_the_same_files(tmp_path):
    """And says that it computed what the other computed for it."""
    for name, more in (("two", []), ("one", ["--no-cache"])):
        outcome = process_cli("run", "marketplace", "--runs-dir", tmp_path / name, *more)
        assert outcome.code == 0, outcome.err
        assert "reused" not in outcome.out
    two, one = (contents_of(tmp_path / name / "marketplace") for name in ("two", "one"))
    assert {n for n in two if two[n] != one.get(n)} == {
        *("manifest.json", "openlineage.json", ".segmentation.json")
    }, "seconds"
    assert set(two) == set(one)
    assert leftovers_in(tmp_path / "two") == []


def test_a_process_that_fails_leaves_the_stage_to_us(profile, shop):
    run = run_of(profile, shop.runs_dir)
    run.stage(AFTER)
    plain = run.parameters.as_plain()
    for stages, parameters in ((["sensitivity"], plain | {"n_init": -1}), (["no_such"], plain)):
        process = forks.start(forks._compute, stages, parameters, shop.runs_dir, daemon=True)
        process.join(60)
        assert process.exitcode == 1
    assert run.stage("sensitivity").is_dir()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_report_and_tidies_up(profile, shop, kind):
    """Ended or killed in the middle, a report leaves neither process nor half a stage behind."""
    run_of(profile, shop.runs_dir).stage("prepared")
    plain = run_of(profile, shop.runs_dir).parameters.as_plain() | {"n_init": 200, "k_max": 40}
    code = (
        "import sys, time; from segmentation import cli; from segmentation.run import forks\n"
        f"def ask():\n"
        f"    forks.start(forks._compute, ['tuning'], {plain!r}, forks.Path({str(shop.runs_dir)!r}), daemon=True)\n"
        "    [each] = forks.multiprocessing.active_children(); print(each.pid, flush=True)\n"
        "    time.sleep(60)\n"
        "cli.run_command(ask)\n"
    )
    asks = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    child = int(asks.stdout.readline())
    for _ in range(400):
        if [name for name in leftovers_in(shop.runs_dir) if name.startswith(".tuning")]:
            break
        time.sleep(0.05)
    asks.send_signal(kind)
    asks.communicate(timeout=60)
    for _ in range(200):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()
    assert leftovers_in(shop.runs_dir) == []
