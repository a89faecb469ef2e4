"""Names of profiles are data: a file system, a shell, a page and a template take them as text."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TinyShop, assert_refused, call_cli, ordinary_orders

from segmentation.book import pages as book
from segmentation.book.words.text import inert

COMMAND = "{{ cycler.__init__.__globals__.os.system('touch ran') }}"
ORDINARY = (
    *("my shop", "café – été", "book", "con", "generated", "runs", "R&D (2023), v1.2+x"),
    *("index", "a,b", "Ωmega", "_static", "x" * 100),
)
HOSTILE = (
    *(COMMAND, "{% x %}", "<b>x<b>", "a`b", "$(touch ran)", "$x$", "'x'", '"x"', "a;b", "a|b"),
    *("[a](b)", "a:b", "a#b", "a*b", "a\nb", "a\\b", "a\tb", "\u202ex", "~x", "a%20b", "!x"),
    *(".cache", "..x", "-x", " x", "x ", "x" * 101, "é" * 51),
)


def given(shop: TinyShop, name: str) -> Path:
    path = shop.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(shop.parameters), encoding="utf-8")
    return path


def test_run_takes_ordinary_names(shop):
    shop.lines(ordinary_orders())
    for name in ("my shop", "café – été", "book", "con"):
        done = call_cli("run", given(shop, name), "--runs-dir", shop.runs_dir)

        assert done.code == 0, done.said
        assert (shop.runs_dir / name / "segments.parquet").exists()


@pytest.mark.parametrize("command", ["run", "report"])
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_other_names_are_refused_before_anything_is_computed(shop, command, name):
    sentence = call_cli(command, given(shop, name), "--runs-dir", shop.runs_dir)

    assert_refused(sentence, "a run's name is letters", "profile")
    assert not shop.runs_dir.exists()


def test_no_two_names_share_a_folder_of_the_book():
    folders = {book.chapter_folder(name) for name in (*ORDINARY, *HOSTILE)}

    assert len(folders) == len(ORDINARY) + len(HOSTILE)
    assert all(re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", folder) for folder in folders)
    assert not folders & {"book", "runs"}


def words(text: str) -> str:
    """A text without its blanks and kinds of quotes, which a page sets as it likes."""
    return re.sub(r"\s|[“”‘’\"']", "", text)


def test_book_shows_every_name_and_runs_none(tmp_path, monkeypatch):
    """With the configuration of the book; a hostile name here has passed every other guard."""
    monkeypatch.chdir(tmp_path)
    source, names = tmp_path / "source", [*ORDINARY, *HOSTILE]
    shutil.copytree(ROOT / "book" / "_static", source / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", source / "book")
    shutil.copy(ROOT / "_config.yml", source)
    (source / "book" / "front.md").write_text(f"# Front\n\n{COMMAND}\n", "utf-8")
    pattern = [{"caption": "x", "chapters": [{"file": "cdnow/one"}]}]
    toc = {"format": "jb-book", "root": "book/front", "parts": pattern}
    made = yaml.safe_dump(
        book.table_of_contents(toc, {name: book.part_title(name) for name in names})
    )
    (source / "_toc.yml").write_text(made, "utf-8")
    for name in names:
        folder = source / book.chapter_folder(name)
        folder.mkdir()
        (folder / "one.md").write_text(f"# {inert(book.part_title(name))}\n\nText.\n", "utf-8")

    built = book._run_jupyter_book(source, tmp_path / "built")

    assert not list(tmp_path.rglob("ran"))
    for name in names:
        page = (built / book.chapter_folder(name) / "one.html").read_text("utf-8")
        heading = page.split("<h1>")[-1].split("<a class", 1)[0]
        assert words(html.unescape(heading)) == words(book.part_title(name))
