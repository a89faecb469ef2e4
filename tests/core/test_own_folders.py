"""What a person has is never lost: each command that writes, and the mark it goes by."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import click
import pytest
from conftest import ROOT, assert_refused, call_cli, contents_of, ordinary_orders

from segmentation.cli import cli
from segmentation.core.errors import OutputError
from segmentation.core.own_folders import MARK, RUN, foreign_in, is_own, mark_folder, refuse_foreign
from segmentation.core.placing import new_folder


def commands_of(group: click.Group, before: str = "") -> set[str]:
    found = set()
    for name, command in group.commands.items():
        inner = isinstance(command, click.Group)
        found |= commands_of(command, f"{before}{name} ") if inner else {f"{before}{name}"}
    return found


def table_of_commands() -> dict[str, str]:
    """Command to what it may touch, as CONTRIBUTING says it."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.split("## What each command may touch")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([a-z ]+)` \| ([^|]+) \|", section, flags=re.MULTILINE))


def test_the_list_of_what_commands_may_touch_is_complete():
    assert set(table_of_commands()) == commands_of(cli)


def mine(path: Path, text: str = "years of work") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


NO = "no_such_input"
EXPORT = "customer_id,order_id,order_date,quantity,amount\na,1,2024-01-05,1,5.00\n"
REFUSALS = {
    "run": ("cdnow/orders.csv", ["run", "cdnow", "--runs-dir", "."], "--name"),
    "renew": ("cdnow/orders.csv", ["renew", "cdnow", "--runs-dir", "."], "--name"),
    "report": ("cdnow/orders.csv", ["report", "cdnow", "--runs-dir", "."], "--name"),
    "runs": ("cdnow/orders.csv", ["runs", "--runs-dir", ".", "--make-current", "cdnow"], "cdnow"),
    "score": ("mine.csv", ["score", NO, NO, "--output", "mine.csv"], "--replace"),
    "compare": ("important/x.csv", ["compare", NO, NO, "--output", "important"], "--output"),
    "campaign split": (
        "mine.csv",
        ["campaign", "split", NO, "--segment", "x", "--output", "mine.csv"],
        "--replace",
    ),
    "audience": (
        "important/x.csv",
        [
            "audience",
            NO,
            "--segment",
            "x",
            "--contacts",
            NO,
            "--for",
            "csv",
            "--output",
            "important",
        ],
        "--output",
    ),
    "init": (
        "X/README.md",
        ["init", "export.csv", "--output", "X"],
        "--replace",
    ),
    "reduce": ("important/x.csv", ["reduce", NO, "--output", "important"], "--output"),
    "export": ("important/x.csv", ["export", NO, "--mlflow", "important"], "--mlflow"),
    "demo": ("X/order_detail.csv", ["demo", "--output", "X"], "--replace"),
    "fetch": ("X/online_retail.csv", ["fetch", "online-retail", "--output", "X"], "online_retail"),
}
"""A file of somebody's, a command that would replace it, and a word of the refusal."""
NOT_FILES = {
    "materialize": "sources/test_mysql_writing.py",
    "publish": "deliver/test_publish_table.py",
}
"""Commands that write into a database, and where their refusals are tested."""


def test_every_command_that_writes_is_tried_here():
    writing = {name for name, touches in table_of_commands().items() if touches != "nothing"}
    assert writing == set(REFUSALS) | set(NOT_FILES) | {"clean", "forget", "check"}
    for file in NOT_FILES.values():
        assert "assert_refused" in (ROOT / "tests" / file).read_text("utf-8")


@pytest.mark.parametrize("command", REFUSALS)
def test_a_file_of_somebodys_is_never_replaced(tmp_path, monkeypatch, command):
    place, arguments, word = REFUSALS[command]
    mine(tmp_path / place)
    mine(tmp_path / "export.csv", EXPORT)
    monkeypatch.chdir(tmp_path)
    before = contents_of(tmp_path)

    assert_refused(call_cli(*arguments), word)

    assert contents_of(tmp_path) == before


def test_cleaning_leaves_files_of_somebodys(tmp_path):
    names = ("note.txt", f"orders-{'0' * 20}/orders.csv", ".orders-1.lock/x", "figures/a.png")
    files = [mine(tmp_path / ".cache" / name) for name in names]
    assert call_cli("clean", "--runs-dir", tmp_path, "--all").code == 0
    assert all(file.read_text("utf-8") == "years of work" for file in files)


def test_forgetting_leaves_what_is_in_no_run(tmp_path):
    files = [mine(tmp_path / name, "customer_id\n0001\n") for name in ("a.csv", "sent/b.csv")]
    mine(tmp_path / ".sent.backup" / "c.csv")
    assert call_cli("forget", "0001", "--runs-dir", tmp_path).code == 0
    assert all(file.read_text("utf-8") == "customer_id\n0001\n" for file in files)
    assert (tmp_path / ".sent.backup" / "c.csv").exists()


def test_a_book_of_somebodys_is_never_replaced(tmp_path):
    mine(tmp_path / "_build" / "html" / "index.html")
    refused = call_cli("report", "cdnow", "--runs-dir", tmp_path)
    assert_refused(refused, str(Path("_build") / "html"), "--runs-dir")
    assert set(contents_of(tmp_path)) == {"_build/html/index.html"}


def test_the_shop_of_the_readme_is_safe_from_runs_beside_it(shop, monkeypatch):
    """`segmentation run myshop/myshop.yaml --runs-dir .` once replaced the orders themselves."""
    shop.lines(ordinary_orders())
    shop.arguments()
    folder = shop.folder / "shop"
    folder.mkdir()
    for name in ("orders.csv", "shop.sql", "shop.yaml"):
        shutil.move(shop.folder / name, folder / name)
    monkeypatch.chdir(shop.folder)
    before = contents_of(shop.folder)
    assert_refused(call_cli("run", "shop/shop.yaml", "--runs-dir", "."), "--name", "shop")
    assert contents_of(shop.folder) == before


def test_the_demonstration_is_written_again_but_not_over_changes(tmp_path):
    assert call_cli("demo", "--output", tmp_path).code == 0
    assert call_cli("demo", "--output", tmp_path).code == 0
    changed = tmp_path / "sku_detail.csv"
    changed.write_text(changed.read_text("utf-8") + "mine\n", "utf-8")
    assert_refused(call_cli("demo", "--output", tmp_path), "sku_detail.csv", "--replace")
    assert changed.read_text("utf-8").endswith("mine\n")
    assert call_cli("demo", "--output", tmp_path, "--replace").code == 0
    assert not changed.read_text("utf-8").endswith("mine\n")


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A finished folder with its mark."""
    folder = tmp_path / "run"
    mine(folder / "manifest.json", "{}")
    mine(folder / "model" / "model.json", "[1]")
    mark_folder(folder, RUN)
    return folder


def add_link(folder: Path) -> None:
    (folder / "link.csv").symlink_to(folder / "manifest.json")


def replace_by_link(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / "kept.json")
    (folder / "manifest.json").symlink_to(folder.parent / "kept.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: mine(folder / "notes.txt"),
        lambda folder: mine(folder / "model" / ".hidden"),
        lambda folder: mine(folder / "sent" / "list.csv"),
        lambda folder: (folder / "sent").mkdir(),
        lambda folder: mine(folder / "model" / "model.json", "[2]"),
        lambda folder: os.mkfifo(folder / "pipe"),
        add_link,
        replace_by_link,
    ],
    ids=["added", "hidden", "folder", "empty-folder", "edited", "pipe", "link", "replaced-by-link"],
)
def test_a_folder_with_anything_of_a_persons_is_not_replaced(marked, change):
    assert is_own(marked, RUN)
    change(marked)
    assert not is_own(marked, RUN)
    before = sorted(path.name for path in marked.rglob("*"))
    with pytest.raises(OutputError, match="added or changed"), new_folder(marked, RUN, "x"):
        pytest.fail("the block must not begin")
    assert sorted(path.name for path in marked.rglob("*")) == before


def test_what_is_added_while_a_command_works_is_not_lost(marked):
    with pytest.raises(OutputError, match=r"notes\.txt"), new_folder(marked, RUN, "x") as working:
        mine(working / "manifest.json", "new")
        mine(marked / "notes.txt")
    assert (marked / "notes.txt").read_text() == "years of work"
    assert (marked / "manifest.json").read_text() == "{}"
    assert sorted(path.name for path in marked.parent.iterdir()) == ["run"]


def test_a_folder_of_another_kind_is_not_replaced(marked):
    with pytest.raises(OutputError, match="no reduced model that this program made"):
        refuse_foreign(marked, "reduced model", "x")


def test_an_empty_folder_may_be_filled_and_a_whole_one_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    for text in ("first", "second"):
        with new_folder(tmp_path / "out", RUN, "x") as working:
            mine(working / "manifest.json", text)
        assert (tmp_path / "out" / "manifest.json").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "run"}', '{"kind": "run", "files": 3}'])
def test_a_damaged_mark_is_none(marked, text):
    (marked / MARK).write_text(text)
    assert not is_own(marked, RUN)


def test_a_file_without_its_checksum_is_known_by_name(marked):
    assert foreign_in(marked, {"manifest.json": None, "model/model.json": None}) == []
    assert foreign_in(marked, {"manifest.json": None}) == ["model", "model/model.json"]
