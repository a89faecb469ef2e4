"""`make publish`, the workflow for GitHub Pages and the script of continuous integration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A Publisher"), ("EMAIL", "publisher@example.org"))
}
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=CLEAN | IDENTITY,
        capture_output=True,
        text=True,
        timeout=60,
    )


def git(*arguments: object, cwd: Path) -> str:
    done = run("git", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """An empty bare repository, as a hosting service has it."""
    path = tmp_path / "origin.git"
    git("init", "--quiet", "--bare", path, cwd=tmp_path)
    return path


@pytest.fixture
def checkout(tmp_path: Path, origin: Path) -> Path:
    """A checkout in the middle of work: a changed, a staged and an untracked file."""
    path = tmp_path / "checkout"
    git("init", "--quiet", "--initial-branch", "main", path, cwd=tmp_path)
    git("remote", "add", "origin", origin, cwd=path)
    for name in ("Makefile", ".gitignore"):
        shutil.copy(ROOT / name, path / name)
    for name in ("changed.txt", "staged.txt"):
        (path / name).write_text("before\n", "utf-8")
    git("add", "--all", cwd=path)
    git("commit", "--quiet", "--message", "Work", cwd=path)
    for name in ("changed.txt", "staged.txt", "untracked.txt"):
        (path / name).write_text("after\n", "utf-8")
    git("add", "staged.txt", cwd=path)
    return path


def build(checkout: Path, *names: str) -> None:
    """Files of a book; `.gitignore` has words against some of them."""
    shutil.rmtree(checkout / "_build", ignore_errors=True)
    for name in names:
        file = checkout / "_build" / "html" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"page {name}\n", "utf-8")


def state(checkout: Path) -> dict[str, object]:
    return {
        "status": git("status", "--porcelain", cwd=checkout),
        "index": git("ls-files", "--stage", cwd=checkout),
        "head": git("rev-parse", "HEAD", cwd=checkout),
        "branches": git("branch", "--all", cwd=checkout),
        "files": {p.name: p.read_text("utf-8") for p in checkout.glob("*.txt")},
        "stray": sorted(p.name for p in checkout.iterdir()),
    }


def published(origin: Path) -> list[str]:
    return git("ls-tree", "-r", "--name-only", "gh-pages", cwd=origin).split()


def test_publish_puts_every_file_of_the_book_on_gh_pages(checkout, origin):
    build(checkout, "index.html", "cdnow/04_choosing_k.html", "_static/report.css", "runs/a.html")

    done = run("make", "publish", cwd=checkout)

    assert done.returncode == 0, done.stderr
    wanted = [".nojekyll", "_static/report.css", "cdnow/04_choosing_k.html"]
    assert published(origin) == [*wanted, "index.html", "runs/a.html"]
    assert git("show", "gh-pages:index.html", cwd=origin) == "page index.html\n"


def test_publish_leaves_working_tree_index_and_branches_alone(checkout):
    build(checkout, "index.html")
    before = state(checkout)

    done = run("make", "publish", cwd=checkout)

    assert done.returncode == 0, done.stderr
    assert before["status"] == " M changed.txt\nM  staged.txt\n?? untracked.txt\n"
    after = state(checkout)
    assert after.pop("branches").replace("  remotes/origin/gh-pages\n", "") == before.pop(
        "branches"
    )
    assert after == before


def test_publishing_again_replaces_the_book_and_keeps_no_history_of_it(checkout, origin):
    build(checkout, "index.html", "old.html")
    run("make", "publish", cwd=checkout)
    build(checkout, "index.html", "new.html")

    done = run("make", "publish", cwd=checkout)

    assert done.returncode == 0, done.stderr
    assert published(origin) == [".nojekyll", "index.html", "new.html"]
    assert git("rev-list", "--count", "gh-pages", cwd=origin).strip() == "1"


def test_publish_pushes_nothing_but_the_book(checkout, origin):
    build(checkout, "index.html")

    run("make", "publish", cwd=checkout)

    assert git("branch", "--format=%(refname:short)", cwd=origin).split() == ["gh-pages"]


def test_publish_before_the_book_is_built_says_so_and_pushes_nothing(checkout, origin):
    done = run("make", "publish", cwd=checkout)

    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "make report first"
    assert git("branch", cwd=origin) == ""


@pytest.fixture(scope="module")
def workflow() -> dict:
    # BaseLoader: YAML 1.1 would read the key `on` as true
    text = (ROOT / ".github" / "workflows" / "pages.yml").read_text("utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_workflow_runs_on_main_with_the_rights_that_pages_needs_and_no_more(workflow):
    assert workflow["on"]["push"]["branches"] == ["main"]
    assert workflow["permissions"] == {"contents": "read"}
    deploy = workflow["jobs"]["deploy"]
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert deploy["needs"] == "build"
    assert deploy["environment"]["name"] == "github-pages"


def test_workflow_calls_the_commands_of_the_readme(workflow):
    commands = [step["run"] for step in steps(workflow) if "run" in step]

    first_screen = README.split("## Start here")[0]
    assert commands == ["make report"]
    assert re.search(r"^make report\b", first_screen, re.MULTILINE)
    assert ".github/workflows/pages.yml" in README


def test_workflow_publishes_the_folder_that_the_report_writes(workflow):
    (upload,) = [s for s in steps(workflow) if "upload-pages-artifact" in s.get("uses", "")]
    (python,) = [s for s in steps(workflow) if "setup-python" in s.get("uses", "")]

    assert upload["with"]["path"] == "_build/html"
    assert python["with"]["python-version"] in {f"3.{minor}" for minor in range(11, 16)}


def test_every_action_is_pinned_by_its_commit():
    lines = [
        line.strip()
        for path in sorted((ROOT / ".github" / "workflows").iterdir())
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]

    assert len(lines) == 6
    for line in lines:  # a tag can be moved to other code; the version is for people
        assert re.fullmatch(r"- uses: actions/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


def test_ci_runs_the_two_commands_of_the_readme_and_the_checks():
    script = (ROOT / ".ci" / "run").read_text("utf-8")

    assert re.findall(r"^(?:log=.*|make [a-z]+)", script, re.MULTILINE)[:1] == ["make report"]
    assert re.findall(r"\bmake [a-z-]+", script) == [
        "make report", "make check", "make setup",
    ]  # fmt: skip
    assert "export CI=true" in script
    assert run("bash", "-n", ".ci/run", cwd=ROOT).returncode == 0
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


MAKE = """#!/bin/sh
echo "make $1 with CI=$CI$NO_SKIPS"
[ "$1" = test-integrations ] && echo "FAILED tests/faults.py::test_one - {long}"
[ "$1" = test ] && echo "ERROR tests/other.py::test_two"
if [ "$1" = test ]; then
  echo "==== {closing} in 4.20s (0:00:04) ===="
  echo "make: told more"
  exit {code}
fi
"""

PYTHON = """#!/bin/sh
case "$2" in
  *print*) echo {version} ;;
  venv) mkdir -p "$4/bin" && ln -s /bin/{runs} "$4/bin/segmentation" ;;
esac
"""


@pytest.mark.parametrize(("closing", "code"), [("3 passed", 0), ("1 failed, 2 passed", 2), ("", 1)])
def test_ci_names_what_failed_and_then_prints_the_closing_line_and_ends_as_it_did(
    tmp_path, closing, code
):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    programs = {"make": MAKE.format(closing=closing, code=code, long="x" * 300)}
    programs |= dict.fromkeys(
        ("chromium", "soffice", "curl", "node", "nginx", "openssl", "systemd-analyze",
         "../.venv/bin/uv"),
        "#!/bin/sh\n",
    )  # fmt: skip
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "check_python.sh", tmp_path / "tools")
    programs |= {f"python3.{minor}": "#!/bin/sh\nexit 1\n" for minor in (11, 12, 13, 15)}
    found = {"python3": "3.11", "python3.14": "3.14"} | {
        f"../pyenv/versions/{version}/bin/python3": version[:4]
        for version in ("3.12.1", "3.13.0", "3.13.9", "3.14.2")
    }
    runs = "false" if code == 1 else "true"
    programs |= {name: PYTHON.format(version=said, runs=runs) for name, said in found.items()}
    for name, text in programs.items():
        program = tmp_path / "bin" / name
        program.resolve().parent.mkdir(parents=True, exist_ok=True)
        program.resolve().write_text(text, "utf-8")
        program.resolve().chmod(0o755)
    environment = {name: value for name, value in CLEAN.items() if name != "NO_SKIPS"}
    environment |= {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    environment |= {"PYENV_ROOT": str(tmp_path / "pyenv")}

    done = subprocess.run(
        [tmp_path / ".ci" / "run"], env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == code
    lines = done.stdout.splitlines()
    if code == 1:  # another Python does not run the small shop
        assert "make check with CI=true" in lines and "make setup with CI=true" not in lines
        return
    targets = ("report", "check", "setup", "test-integrations", "test")
    assert [line for line in lines if "CI=" in line] == [
        f"make {target} with CI=true" for target in targets
    ]
    *_, test_two, test_one, last = lines
    assert test_one.startswith("FAILED tests/faults.py::test_one - x") and len(test_one) == 200
    assert test_two == "ERROR tests/other.py::test_two"
    assert last == f"==== {closing} in 4.20s (0:00:04) ===="
    # each other version once, wherever it is found; 3.11 is that of the whole run
    assert [line for line in lines if "small shop" in line] == [
        f"Python {version} runs the small shop" for version in ("3.14", "3.12", "3.13")
    ]


PASSES = "def test_one():\n    assert 1"
SKIPS = f"{PASSES}\n\n\ndef test_two():\n    pytest.skip('needs Chromium: apt-get install')"


def small_suite(tmp_path: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_small.py").write_text(f"import pytest\n\n\n{test}\n", "utf-8")
    (tmp_path / "test_other.py").write_text(PASSES, "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no_skips", "-p", "no:cacheprovider"]
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_SKIPS")}
    return subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)],
        env=clean | {"PYTHONPATH": str(ROOT / "tests" / "support")} | environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )


def test_a_difference_of_many_values_is_cut_and_hides_no_other_failure(tmp_path):
    """Where ``CI`` says something pytest prints it whole, in minutes; `.ci/run` leaves it empty."""
    many = "def test_many():\n    assert list(range(20_000)) == list(range(1, 20_001))"

    done = small_suite(tmp_path, f"{many}\n\n\n{SKIPS}", CI="", NO_SKIPS="true")

    assert done.returncode == 1
    assert len(done.stdout) < 20_000
    assert "skipped, which fails" in done.stdout


@pytest.mark.parametrize("kind", ["test", "module", "mark"])
def test_skipped_test_fails_continuous_integration_and_is_named(tmp_path, kind):
    written = {
        "test": SKIPS,
        "module": f"pytest.importorskip('no_such_module_there')\n\n\n{PASSES}",
        "mark": f"@pytest.mark.skip(reason='not here')\n{PASSES}",
    }[kind]

    done = small_suite(tmp_path, written, CI="true")

    assert done.returncode == 1
    assert "skipped, which fails where CI is set" in done.stdout
    reason = {"test": "needs Chromium", "module": "no_such_module_there", "mark": "not here"}[kind]
    assert re.search(rf"^test_small\.py.*{reason}", done.stdout, re.MULTILINE)
    assert re.search(r"1 skipped.* in [\d.]+s", done.stdout.strip().splitlines()[-1])


def test_skipped_test_is_no_failure_on_a_machine_of_a_user(tmp_path):
    done = small_suite(tmp_path, SKIPS)

    assert done.returncode == 0
    assert "fails where CI is set" not in done.stdout


def test_suite_without_skips_passes_continuous_integration(tmp_path):
    assert small_suite(tmp_path, PASSES, CI="true").returncode == 0
