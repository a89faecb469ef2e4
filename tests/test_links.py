"""Relative links of the documents, and the checker that `make check` runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from document_links import anchors, broken_links, documents


@pytest.fixture
def document(tmp_path):
    """A document with a neighbour, a picture and a heading of its own."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.md").write_text("# Other page\n\n## Two words\n", "utf-8")
    (tmp_path / "picture one.png").write_bytes(b"")
    path = tmp_path / "README.md"

    def write(text):
        path.write_text(f"# Title\n\n{text}\n", encoding="utf-8")
        return [line.removeprefix(f"{path}:") for line in broken_links([path])]

    return write


def test_no_document_of_the_project_links_to_nowhere():
    assert broken_links(documents()) == []


def test_documents_are_readme_contributing_data_card_and_every_page_of_the_book():
    names = {path.relative_to(ROOT).as_posix() for path in documents()}

    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"} <= names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "book").glob("*.md")} <= names


@pytest.mark.parametrize(
    "text",
    [
        "[a](sub/other.md)",
        "[a](sub/other.md#two-words)",
        "[a](#title)",
        "[a](sub)",
        "![a](picture%20one.png)",
        '[a](sub/other.md "title")',
        "[![a](picture%20one.png)](sub/other.md)",
        "[a](https://example.org/none) <https://example.org>",
        "`[a](none.md)` and\n```\n[a](none.md)\n```",
    ],
)
def test_link_that_leads_somewhere_is_silent(document, text):
    assert document(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a](none.md)", ["3: none.md"]),
        ("one\n\n![a](none.png)", ["5: none.png"]),
        ("[a](sub/other.md#three-words)", ["3: sub/other.md#three-words"]),
        ("[a](#none)", ["3: #none"]),
        ("[a](none.md) and [b](gone.md)", ["3: none.md", "3: gone.md"]),
        ("[![a](none.png)](sub/other.md)", ["3: none.png"]),
    ],
)
def test_link_to_nowhere_is_named_with_its_line(document, text, said):
    assert document(text) == said


def test_heading_inside_code_is_no_anchor():
    assert anchors("# One\n```\n# Two\n```\n") == {"one"}


def test_check_fails_and_names_the_document(tmp_path):
    """The command as `make check` runs it, on a project with a broken link."""
    (tmp_path / "README.md").write_text("[a](gone.md)\n", "utf-8")
    code = (
        "import runpy, sys; from pathlib import Path; import segmentation.core.parameters as p; "
        "p.PROJECT_ROOT = Path(sys.argv[1]); "
        "runpy.run_path('tools/document_links.py', run_name='__main__')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )

    assert done.returncode == 1
    assert done.stderr == "links that lead nowhere:\nREADME.md:1: gone.md\n"


def test_make_check_runs_the_checker():
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "check"], capture_output=True, text=True, cwd=ROOT
    )

    assert "python tools/document_links.py" in done.stdout


def test_every_file_that_a_document_names_is_there():
    """Paths in code quotes, from the project's or the package's folder; `<name>` and NN are no names."""
    lost = [
        f"{path.relative_to(ROOT)}: {named}"
        for path in documents()
        if path.name != "CHANGELOG.md"
        for named in re.findall(
            r"`([\w.-]+(?:/[\w.-]+)*/[\w-]+\.(?:py|sql|sh|md))`", path.read_text()
        )
        if not re.search("NN_|myshop/", named)
        and not any((folder / named).is_file() for folder in (ROOT, ROOT / "segmentation"))
    ]
    assert lost == []
