"""The published book: hand-written pages, executed notebooks and generated pages."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from segmentation.book import plots
from segmentation.book import words as insights
from segmentation.book.behind import KIND, bundle, of_groups
from segmentation.book.brief import brief_page, write_brief
from segmentation.book.data_files import link_to, put_beside, quiet
from segmentation.book.drawings import Drawings, set_aside
from segmentation.book.explorer_page import explorer_script, explorer_section
from segmentation.book.finished_pages import finish_pages
from segmentation.book.page_checks import check_pages
from segmentation.book.reading import for_readers
from segmentation.book.reference_tables import data_dictionary, limit_tables, raw_html
from segmentation.book.words import scale
from segmentation.book.words.text import inert
from segmentation.core.child_process import (
    ENDS_WITH_ITS_INPUT,
    environment_of_this_package,
    python_of_this_package,
    tied_input,
)
from segmentation.core.errors import ParameterError, ReportError, first_three
from segmentation.core.parameters import NOTEBOOK_FOLDER, PATHS, PROJECT_ROOT, Parameters
from segmentation.core.progress import progress_bar
from segmentation.run.run import Run
from segmentation.segments.model import load_model

JUPYTER_BOOK = ENDS_WITH_ITS_INPUT + "from jupyter_book.cli.main import main; main()"
BOOK_FILES = ("_config.yml", "_toc.yml")
SPARK_RESULTS = PROJECT_ROOT / "benchmarks" / "spark.json"
SHARES = ("customers", "customers_share", "revenue", "revenue_share")
"""What the chart of the first page is drawn from."""
TAKEN_FOLDERS = ("book", "runs")
"""Folders of the book's own, and what `_config.yml` leaves out."""


def build_book(
    runs: dict[str, Run],
    folders: dict[str, Path],
    working: Path,
    titles: Mapping[str, str] | None = None,
) -> Path:
    """Build the book from finished runs.

    Parameters
    ----------
    runs : dict of profile to Run
    folders : dict of profile to the folder with its executed ``notebooks/`` and manifest
    working : Path
        An empty folder to build it in.
    titles : mapping of profile to title, optional
        As `part_title` takes them.

    Returns
    -------
    Path
        The folder that holds ``index.html``.

    Raises
    ------
    ReportError
        If Sphinx warns: a page that warns is not published.
    """
    source = working / "source"
    shown = {
        name: part_title(name, (titles or {}).get(name, ""), run["overview"]["synthetic"])
        for name, run in runs.items()
    }
    assemble(runs, folders, source, shown)
    built = _run_jupyter_book(source, working / "output")
    drawings = Drawings(working / "drawings")
    finish_pages(built, {chapter_folder(name): title for name, title in shown.items()}, drawings)
    check_pages(built, runs, PROJECT_ROOT)
    (built / ".nojekyll").touch()  # whoever publishes it wants every folder shown
    return built


def assemble(
    runs: dict[str, Run],
    folders: dict[str, Path],
    source: Path,
    titles: Mapping[str, str] | None = None,
) -> None:
    """Lay out the book's sources: one part per profile, generated sections filled in."""
    titles = titles or {name: part_title(name) for name in runs}
    source.mkdir(parents=True)
    shutil.copytree(PROJECT_ROOT / "book", source / "book")
    for name in BOOK_FILES:
        shutil.copy(PROJECT_ROOT / name, source / name)
    toc = yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8"))
    (source / "_toc.yml").write_text(
        yaml.safe_dump(table_of_contents(toc, titles), sort_keys=False), encoding="utf-8"
    )
    for name, folder in folders.items():
        chapters = source / chapter_folder(name)
        chapters.mkdir()
        labels: set[str] = set()
        for path in sorted((folder / "notebooks").glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            labelled = own_labels(notebook, chapters.name, path.stem, labels)
            shown = for_readers(labelled, titles[name])
            shown = set_aside(shown, source.parent / "drawings")
            nbformat.write(put_beside(shown, chapters), chapters / path.name)
    _write_generated(runs, folders, source, titles)


def table_of_contents(toc: dict[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    """The table of contents with one part per profile of this report.

    The part of the first shipped profile is the pattern for all.
    """
    pattern = next(part for part in toc["parts"] if _profile_of(part))
    shipped = _profile_of(pattern)
    made = []
    for profile, title in titles.items():
        chapters = [
            {"file": chapter["file"].replace(f"{shipped}/", f"{chapter_folder(profile)}/", 1)}
            for chapter in pattern["chapters"]
        ]
        made.append({"caption": title, "chapters": chapters})
    others = [part for part in toc["parts"] if not _profile_of(part)]
    return {**toc, "parts": made + others}


def unlisted_chapters() -> list[str]:
    """Notebooks that the book does not show, because its table of contents does not list them.

    Raises
    ------
    ParameterError
        If it lists one that is not there.
    """
    toc = yaml.safe_load((PROJECT_ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pattern = next(part for part in toc["parts"] if _profile_of(part))
    shown = [Path(chapter["file"]).name for chapter in pattern["chapters"]]
    there = sorted(path.stem for path in NOTEBOOK_FOLDER.glob("[0-9][0-9]_*.ipynb"))
    if missing := [name for name in shown if name not in there]:
        raise ParameterError(
            f"_toc.yml lists {first_three(missing)}, but notebooks/ has no such .ipynb; "
            "`make notebooks` writes it from its .py."
        )
    return [name for name in there if name not in shown]


def part_title(profile: str, title: str = "", synthetic: bool = False) -> str:
    """Heading of a profile's part of the book: the profile's own title, and what the data are.

    Examples
    --------
    >>> part_title("my_shop"), part_title("marketplace", "Marketplace", synthetic=True)
    ('my shop', 'Marketplace (synthetic)')
    """
    return (title or profile.replace("_", " ")) + (" (synthetic)" if synthetic else "")


def chapter_folder(profile: str) -> str:
    """Folder of a profile's chapters, a plain word in every address.

    Examples
    --------
    >>> chapter_folder("cdnow"), chapter_folder("my shop"), chapter_folder("book")
    ('cdnow', 'my-shop-21e02318', 'book-92719fe0')
    """
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", profile) and profile not in TAKEN_FOLDERS:
        return profile
    words = re.sub("[^A-Za-z0-9]+", "-", profile).strip("-") or "profile"
    return f"{words}-{hashlib.sha256(profile.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _profile_of(part: dict[str, Any]) -> str | None:
    first = part["chapters"][0]["file"]
    return None if first.startswith("book/") else first.split("/")[0]


def own_labels(
    notebook: nbformat.NotebookNode, profile: str, chapter: str, taken: set[str]
) -> nbformat.NotebookNode:
    """Figure labels that stay unique when profiles, or copied chapters, show the same figures."""
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure and "name" in figure:
            label = f"fig-{profile}-{figure['name'].removeprefix('fig-')}"
            if label.lower() in taken:
                label += f"-{chapter}-{len(taken)}"
            taken.add(label.lower())
            figure["name"] = label
    return notebook


def _write_generated(
    runs: dict[str, Run], folders: dict[str, Path], source: Path, titles: Mapping[str, str]
) -> None:
    sections = {
        "front_page": lambda: "\n".join(
            [
                _parts([titles[n] for n in runs]),
                *(_front(n, run, titles[n], source) for n, run in runs.items()),
            ]
        ),
        "model_cards": lambda: "\n".join(_card(titles[n], run) for n, run in runs.items()),
        "handover": lambda: "\n".join(
            _handover(n, run, folders[n], titles[n]) for n, run in runs.items()
        ),
        "reproducibility": lambda: "\n".join(
            _reproducibility(titles[n], run, folders[n]) for n, run in runs.items()
        ),
        "data_dictionary": data_dictionary,
        "limits": limit_tables,
        "crossover": lambda: scale.crossover(_measured()),
        "explorer": lambda: "\n".join(
            [
                *(_explorer(name, folder, titles[name]) for name, folder in folders.items()),
                explorer_script(),
            ]
        ),
    }
    for page in sorted((source / "book").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for name, make in sections.items():
            marker = f"<!-- generated: {name} -->"
            if marker in text:
                text = text.replace(marker, make())
        page.write_text(text, encoding="utf-8")


def _measured() -> dict[str, Any] | None:
    """Both engines on one machine, where that was measured."""
    if not SPARK_RESULTS.exists():
        return None
    found: dict[str, Any] = json.loads(SPARK_RESULTS.read_text(encoding="utf-8"))
    return found


def _parts(titles: list[str]) -> str:
    """Links to the first page of each data set, where there are several."""
    slugs = (re.sub("[^a-z0-9]+", "-", title.lower()) for title in titles)
    anchors = [re.sub("^[-0-9]+|-+$", "", slug) for slug in slugs]  # as docutils names sections
    if len(titles) < 2 or len(set(anchors)) < len(titles) or not all(anchors):
        return ""
    links = " · ".join(
        f'<a href="#{anchor}">{html.escape(title)}</a>'
        for anchor, title in zip(anchors, titles, strict=True)
    )
    return raw_html(f'<p class="front-parts">{links}</p>\n')


def _front(name: str, run: Run, title: str, source: Path) -> str:
    folder = chapter_folder(name)
    markup = insights.front_page(
        run,
        title=title,
        link=f"../{folder}",
        colours=plots.colours_of(run["profile"], run.rules["naming_rules"]),
    )
    style = (PROJECT_ROOT / "book" / "_static" / "report.css").read_text(encoding="utf-8")
    brief = write_brief(brief_page(title, markup, style), source / folder, f"brief-{folder}")
    kind = "PDF" if brief.suffix == ".pdf" else "to print; no Chromium was there to make a PDF"
    printed = f"{{download}}`One page for the meeting ({kind}) <../{folder}/{brief.name}>`"
    shares = run["profile"][["segment_type", "segment", *SHARES]]
    data = link_to(
        bundle(of_groups(shares))[KIND], source / folder, f"{folder}-first-page", f"../{folder}/"
    )
    return f"## {inert(title)}\n\n{raw_html(markup)}\n\n{data}\n\n{quiet(printed)}\n"


def _card(title: str, run: Run) -> str:
    return insights.model_card(
        title=inert(title),
        model_groups=run["chosen"],
        choice=run["dbscan_choice"],
        overview=run["overview"],
        evidence=insights.k_choice(run["k_evidence"], run["k_rule"], run["chosen"]),
        proof=_proof(run),
        margin=insights.margin_sentence(run["customers"]),
        weak=insights.weaknesses(
            chosen=run["chosen"],
            k_evidence=run["k_evidence"],
            k_rule=run["k_rule"],
            stability=run["stability"],
            sensitivity=run["sensitivity"],
            customers=run["customers"],
            holdout=run["holdout"],
            rankings=run["holdout_rankings"],
            recommendations=run["recommendations"],
            verdict=run["verdict"],
            other_dates=insights.in_brief(run["other_dates"], run["other_dates_agreement"]),
        ),
    )


def _handover(name: str, run: Run, folder: Path, title: str) -> str:
    plain, defaults = run.parameters.as_plain(), Parameters().as_plain()
    changed = {
        key: value for key, value in plain.items() if value != defaults[key] and key not in PATHS
    }
    return insights.handover(
        title=inert(title),
        name=name,
        overview=run["overview"],
        chosen=run["chosen"],
        features=list(run.parameters.features),
        manifest=json.loads((folder / "manifest.json").read_text(encoding="utf-8")),
        model_sha256=load_model(folder / "model").sha256,
        segments_sha256=hashlib.sha256((folder / "segments.parquet").read_bytes()).hexdigest(),
        changed=changed,
    )


def _explorer(name: str, folder: Path, title: str) -> str:
    return explorer_section(chapter_folder(name), title, load_model(folder / "model"))


def _proof(run: Run) -> str:
    return insights.evidence_summary(
        run["stability"],
        run["stability_whole"],
        run["holdout"],
        run["holdout_rankings"],
        list(run["chosen"]),
    )


def _reproducibility(title: str, run: Run, folder: Path) -> str:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tables = [
        insights.parameters_table(run.parameters_table()),
        insights.versions_table(manifest),
    ]
    shown = "\n\n".join(raw_html(table.markup) for table in tables)
    return f"## {inert(title)}\n\n{shown}\n"


def _run_jupyter_book(source: Path, output: Path) -> Path:
    """Run Jupyter Book with warnings as errors; its log is shown only if it fails."""
    command = ["build", str(source), "--path-output", str(output), "-W", "--keep-going", "--quiet"]
    with progress_bar(total=1, desc="book", unit="book") as bar, tied_input() as own:
        built = subprocess.run(
            [*python_of_this_package("-c"), JUPYTER_BOOK, *command],
            stdin=own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment_of_this_package()
            | {"PYTHONWARNINGS": "ignore", "SOURCE_DATE_EPOCH": "0"},
            check=False,
        )
        bar.update()
    if built.returncode != 0:
        log = built.stdout.replace(str(source), "")
        lines = [line for line in log.splitlines() if re.search("WARNING|ERROR|rror:", line)]
        lines.sort(key=lambda line: "[Errno" not in line)  # the cause before its consequences
        raise ReportError(
            "the book did not build:\n" + "\n".join(lines[:20] or log.splitlines()[-20:])
        )
    return output / "_build" / "html"
