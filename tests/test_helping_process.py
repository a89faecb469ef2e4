"""A stage computed by another process is the same stage, whatever becomes of that process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from conftest import contents_of, leftovers_in, ordinary_orders

from segmentation import helping_process, kernel_mother
from segmentation.helping_process import HELPED, Helper
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


def test_every_helped_stage_waits_for_all_that_it_needs():
    order = list(STAGES)
    for helped, after in HELPED.items():
        assert set(STAGES[helped].needs) <= set(order[: order.index(after) + 1])
        assert order.index(helped) > order.index(after) + 1, "else nobody works beside"


def test_digits_are_those_of_the_process_that_asks(tmp_path, monkeypatch):
    here, there = run_of("marketplace", tmp_path / "here"), run_of("marketplace", tmp_path / "there")
    there.stage("segments")
    Helper(there).after("segments")
    made = there.cache.folder("sensitivity", there.key("sensitivity"))
    wait_for(made)
    assert there.reused["sensitivity"] is False, "not computed here, but for this run"
    there.stage("sensitivity")
    assert there.reused["sensitivity"] is False
    assert results_of(made) == results_of(here.stage("sensitivity"))
    assert leftovers_in(tmp_path / "there") == []


def test_nobody_is_asked_for_what_is_there_or_must_be_computed_here(profile, shop, monkeypatch):
    asked = []
    monkeypatch.setattr(kernel_mother.MOTHER, "compute", lambda stage, *_: asked.append(stage))

    def after_segments(run: Run) -> list[str]:
        asked.clear()
        run.stage("segments")
        Helper(run).after("segments")
        time.sleep(0.1)
        return list(asked)

    runs = shop.runs_dir
    assert after_segments(run_of(profile, runs, reuse=False)) == []
    with monkeypatch.context() as small:
        small.setattr(helping_process, "MOST_CUSTOMERS", 39)
        assert after_segments(run_of(profile, runs)) == []
    with monkeypatch.context() as single:
        single.setattr(os, "cpu_count", lambda: 1)
        assert after_segments(run_of(profile, runs)) == []
    Helper(run_of(profile, runs)).after("prepared")
    assert asked == []
    assert after_segments(run_of(profile, runs)) == ["sensitivity"]
    run_of(profile, runs).stage("sensitivity")
    assert after_segments(run_of(profile, runs)) == []


def test_a_process_that_cannot_be_had_or_fails_leaves_the_stage_to_us(profile, shop, monkeypatch):
    mother = kernel_mother.Mother()
    try:
        run = run_of(profile, shop.runs_dir)
        run.stage("segments")
        plain = run.parameters.as_plain()
        assert mother.compute("sensitivity", plain | {"n_init": -1}, shop.runs_dir)
        assert mother.compute("no_such_stage", plain, shop.runs_dir)
        assert run.stage("sensitivity").is_dir()
        monkeypatch.setattr(mother, "start", lambda: None)
        mother.end()
        assert not mother.compute("sensitivity", plain, shop.runs_dir)
    finally:
        mother.end()


def test_it_ends_with_the_report_and_tidies_up(profile, shop):
    """Killed in the middle, a report leaves neither process nor half a stage behind."""
    mother = kernel_mother.Mother()
    run = run_of(profile, shop.runs_dir)
    run.stage("prepared")
    slow = run.parameters.as_plain() | {"n_init": 200, "k_max": 40}
    assert mother.compute("tuning", slow, shop.runs_dir)
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
