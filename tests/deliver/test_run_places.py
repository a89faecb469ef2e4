"""Each run keeps its own folder; a link names the current one; experiments stay apart."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import (
    TinyShop,
    assert_refused,
    call_cli,
    contents_of,
    leftovers_in,
    order,
    ordinary_orders,
)

from segmentation.core import placing
from segmentation.core.own_folders import RUN, is_own
from segmentation.deliver import run_places, run_summary
from segmentation.deliver.api.store import ModelStore
from segmentation.deliver.run_places import prune


def settings_of(run: Path) -> dict:
    return yaml.safe_load((run / "params.yaml").read_text("utf-8"))


def printed(outcome) -> Path:
    assert outcome.code == 0, outcome.said
    return Path(outcome.out.splitlines()[-1])


def own_of(shop: TinyShop) -> list[str]:
    return sorted(path.name for path in shop.runs_dir.glob("shop.*"))


def row_of(listed: str, run: str) -> str:
    return next(line for line in listed.splitlines() if line.startswith(run))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A shop that was run once; tests take copies."""
    shop = TinyShop(tmp_path_factory.mktemp("made")).lines(ordinary_orders(24))
    assert printed(shop.run(n_clusters=2)).name == "shop"
    return shop.folder


@pytest.fixture
def shop(made, tmp_path, monkeypatch) -> TinyShop:
    """The shop in a folder of the test, its run and cache with it."""
    shutil.copytree(made, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    shop = TinyShop(tmp_path / "here")
    shop.parameters |= {"source": "shop.sql", "location": "."}
    return shop


def test_a_run_has_a_folder_of_its_own_and_a_relative_link_names_it(shop):
    (own,) = own_of(shop)
    assert re.fullmatch(r"shop\.[0-9a-f]{8}", own)
    assert str((shop.runs_dir / "shop").readlink()) == own
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    assert (manifest["name"], manifest["profile"]) == ("shop", "shop")
    assert manifest["profile_place"] == "../shop.yaml"
    assert manifest["changed"] == {}
    assert is_own(shop.result, RUN)


def test_the_same_run_lands_in_the_same_folder_wherever_its_files_are(shop):
    before = own_of(shop)
    assert printed(shop.run(n_clusters=2)).name == "shop"
    assert own_of(shop) == before
    assert leftovers_in(shop.runs_dir) == []


def test_an_experiment_leaves_the_current_run_and_the_way_back_is_one_command(shop):
    (first,) = own_of(shop)
    before = contents_of(shop.runs_dir / first)
    store = ModelStore(shop.result / "model")
    served = store.load().sha256

    experiment = printed(call_cli(*shop.arguments(n_clusters=2), "-p", "n_clusters", 3))

    assert re.fullmatch(r"shop\.[0-9a-f]{8}", experiment.name) and experiment.name != first
    assert settings_of(experiment)["n_clusters"] == 3
    assert settings_of(shop.result)["n_clusters"] == 2
    assert contents_of(shop.runs_dir / first) == before
    assert not store.refresh() and store.current.sha256 == served
    for folder, shown in ((shop.result, "shop"), (experiment, experiment.name)):
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        lineage = json.loads((folder / "openlineage.json").read_text("utf-8"))
        assert manifest["folder"] == shown
        assert [one["name"].split("/")[0] for one in lineage["outputs"]] == [shown, shown]
    assert run_summary.summary(shop.result, "shop.yaml")["open"].endswith("report shop.yaml")
    again = run_summary.summary(experiment, "shop.yaml")["open"]
    assert again.endswith("segmentation report shop.yaml -p n_clusters 3")
    listed = call_cli("runs", "--runs-dir", shop.runs_dir).out
    assert "yes" in row_of(listed, first)
    row = row_of(listed, experiment.name)
    assert "yes" not in row and "n_clusters 3" in row and "24" in row and "2023-07-22" in row

    moved = call_cli("runs", "--runs-dir", shop.runs_dir, "--make-current", experiment)
    assert moved.code == 0, moved.said
    assert settings_of(shop.result)["n_clusters"] == 3
    assert store.refresh() and store.current.sha256 != served
    back = call_cli("runs", "--runs-dir", shop.runs_dir, "--make-current", first)
    assert back.code == 0, back.said
    assert store.refresh() and store.current.sha256 == served


def test_the_first_run_of_a_name_is_an_experiment_too_unless_asked_otherwise(shop):
    arguments = [*shop.arguments(n_clusters=2), "--name", "other", "-p", "currency", "EUR"]
    assert printed(call_cli(*arguments)).name != "other"
    assert not os.path.lexists(shop.runs_dir / "other")
    assert printed(call_cli(*arguments, "--make-current")).name == "other"
    assert settings_of(shop.runs_dir / "other")["currency"] == "EUR"


def test_a_persons_files_stay_with_their_run(shop):
    (first,) = own_of(shop)
    (shop.result / "sent.csv").write_text("whom we wrote to")
    shop.lines([*ordinary_orders(24), order("9999", "9", "2023-05-05", 1, "5.00")])
    assert printed(shop.run(n_clusters=2)).name == "shop"
    assert (shop.runs_dir / first / "sent.csv").read_text() == "whom we wrote to"
    assert not (shop.result / "sent.csv").exists()

    (shop.result / "ledger.csv").write_text("corrected by hand")
    before = contents_of(shop.runs_dir)
    assert_refused(shop.run(n_clusters=2), "ledger.csv", "added or changed", "--name")
    assert contents_of(shop.runs_dir) == before


def test_notebooks_of_a_report_survive_the_same_run(shop):
    from segmentation.core.own_folders import mark_folder

    executed = shop.result / "notebooks" / "01_data_understanding.ipynb"
    executed.parent.mkdir()
    executed.write_text("{}")
    mark_folder(shop.result, RUN)  # as a report leaves it
    assert printed(shop.run(n_clusters=2)).name == "shop"
    assert executed.read_text() == "{}"


def test_two_profiles_of_one_file_name_never_share_a_run(shop):
    (shop.folder / "elsewhere").mkdir()
    shop.arguments(n_clusters=2)
    other = shop.folder / "elsewhere" / "shop.yaml"
    beside = {"source": "../shop.sql", "location": ".."}
    other.write_text(yaml.safe_dump(shop.parameters | beside), encoding="utf-8")
    before = contents_of(shop.runs_dir)
    refused = call_cli("run", other, "--runs-dir", shop.runs_dir)
    assert_refused(refused, "another profile", "../shop.yaml", "--name")
    assert contents_of(shop.runs_dir) == before
    done = call_cli("run", other, "--runs-dir", shop.runs_dir, "--name", "second")
    assert printed(done).name == "second"


def test_a_name_like_an_own_folder_is_refused(shop):
    (own,) = own_of(shop)
    assert_refused(call_cli(*shop.arguments(), "--name", own), "eight digits")
    assert_refused(call_cli(*shop.arguments(), "--name", "_build"), "the book")


def test_a_link_of_somebodys_is_left_alone(shop):
    (shop.folder / "important").mkdir()
    (shop.runs_dir / "mine").symlink_to(shop.folder / "important")
    refused = call_cli(*shop.arguments(n_clusters=2), "--name", "mine")
    assert_refused(refused, "a link that this program did not make", "--name")
    assert (shop.runs_dir / "mine").readlink() == shop.folder / "important"


def as_an_earlier_version_left_it(shop: TinyShop) -> None:
    (own,) = own_of(shop)
    shop.result.unlink()
    (shop.runs_dir / own).rename(shop.result)
    for path in [path for path in shop.result.rglob("*") if path.is_file()]:
        if not run_places._EARLIER_FILES.fullmatch(path.relative_to(shop.result).as_posix()):
            path.unlink()  # no earlier version made it
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    for name in ("name", "profile_place", "changed"):
        del manifest[name]
    (shop.result / "manifest.json").write_text(json.dumps(manifest))


def test_a_run_of_an_earlier_version_is_taken_over(shop):
    as_an_earlier_version_left_it(shop)
    before = contents_of(shop.result)
    listed = call_cli("runs", "--runs-dir", shop.runs_dir).out
    assert "yes" in row_of(listed, "shop")

    assert printed(shop.run(n_clusters=2)).name == "shop"

    (earlier,) = set(own_of(shop)) - {shop.result.resolve().name}
    assert contents_of(shop.runs_dir / earlier) == before
    assert is_own(shop.result, RUN)


def test_a_run_of_an_earlier_version_with_a_persons_file_is_not(shop):
    as_an_earlier_version_left_it(shop)
    (shop.result / "notes.txt").write_text("mine")
    before = contents_of(shop.runs_dir)
    assert_refused(shop.run(n_clusters=2), "notes.txt", "--name")
    assert contents_of(shop.runs_dir) == before


def test_permissions_go_from_one_own_folder_to_the_next(shop):
    (first,) = own_of(shop)
    (shop.runs_dir / first).chmod(0o700)
    (shop.result / "segments.parquet").chmod(0o600)
    (shop.result / "model").chmod(0o750)
    again = printed(shop.run(n_clusters=2))
    experiment = printed(call_cli(*shop.arguments(n_clusters=2), "-p", "currency", "EUR"))
    assert experiment.name != first
    for run in (again, experiment):
        modes = [(run / n).stat().st_mode & 0o777 for n in ("", "segments.parquet", "model")]
        assert modes == [0o700, 0o600, 0o750]


def test_a_run_that_is_not_as_it_was_made_never_becomes_current(shop):
    experiment = printed(call_cli(*shop.arguments(n_clusters=2), "-p", "currency", "EUR"))
    model = experiment / "model" / "model.json"
    model.write_text(model.read_text("utf-8") + " ")
    asked = ["runs", "--runs-dir", shop.runs_dir, "--make-current"]
    assert_refused(call_cli(*asked, experiment), "is not as it was made", "model/model.json")
    assert_refused(call_cli(*asked, "nonsense"), "nonsense", experiment.name)
    assert settings_of(shop.result)["currency"] != "EUR"


def test_old_runs_are_removed_but_no_current_one_and_nothing_of_a_persons(shop, monkeypatch):
    (current,) = own_of(shop)
    whole = shop.runs_dir / current
    copies = [shop.runs_dir / f"shop.0000000{n}" for n in range(4)]
    for age, copy in enumerate(copies):
        shutil.copytree(whole, copy)
        os.utime(copy / "manifest.json", (age, age))
    (copies[0] / "notes.txt").write_text("mine")
    (shop.runs_dir / "shop.11111111").mkdir()
    (shop.runs_dir / "shop.11111111" / "orders.csv").write_text("mine")

    assert prune(shop.runs_dir, keep=5) == []
    assert prune(shop.runs_dir, keep=1) == ["shop.00000001", "shop.00000002"]

    assert own_of(shop) == sorted([current, "shop.00000000", "shop.00000003", "shop.11111111"])
    assert (copies[0] / "notes.txt").exists() and is_own(shop.result, RUN)
    assert leftovers_in(shop.runs_dir) == []
    assert prune(shop.runs_dir, keep=1) == []


def test_no_runs_are_said_to_be_none(tmp_path):
    outcome = call_cli("runs", "--runs-dir", tmp_path / "nowhere")
    assert (outcome.code, outcome.out.split()[:2]) == (0, ["no", "runs"])
    assert run_places.own_folders_in(tmp_path) == []


def test_what_is_said_of_an_interruption_is_true(shop, monkeypatch):
    """Once it was said that outputs were unchanged when a part of them had been replaced."""
    take = placing.take_place

    def interrupted(new, place):
        os.kill(os.getpid(), signal.SIGTERM)
        take(new, place)

    with monkeypatch.context() as patch:
        patch.setattr(placing, "take_place", interrupted)
        finished = shop.run(n_clusters=2, currency="EUR")
    assert printed(finished).name == "shop"
    assert finished.said[-1].endswith("interrupted at the end; the new outputs are in place.")
    assert settings_of(shop.result)["currency"] == "EUR"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_summary, "stages_sentence", stop)
        late = shop.run(n_clusters=2, currency="GBP")
    assert_refused(late, "interrupted; the new outputs are in place")
    assert settings_of(shop.result)["currency"] == "GBP"

    with monkeypatch.context() as patch:
        patch.setattr(placing, "write_text_atomic", stop)
        early = shop.run(n_clusters=2, currency="CHF")
    assert_refused(early, "interrupted; previous outputs are unchanged")
    assert settings_of(shop.result)["currency"] == "GBP"


def test_a_summary_tells_two_segments_of_one_name_apart(tmp_path):
    rows = {"segment_type": ["normal", "pre_register"], "segment": "Loyal", "customers": [534, 75]}
    pd.DataFrame(rows).to_csv(tmp_path / "profile.csv")
    said = run_summary._segments(tmp_path)
    assert (
        said == "2: Loyal (registered before ordering) 534, Loyal (ordered before registering) 75"
    )
    pd.DataFrame(rows).head(1).to_csv(tmp_path / "profile.csv")
    assert run_summary._segments(tmp_path) == "1: Loyal 534"
