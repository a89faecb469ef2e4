"""How a command ends where its streams are closed or a disk is full: one sentence, no traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ordinary_orders

from segmentation import cli
from segmentation.book import pages as book

COMMAND = Path(sys.executable).with_name("segmentation")
SENTENCE = "segmentation: cannot write: no space left on device; free some space, or choose a "
SENTENCE += "place on another disk."


def in_shell(redirected: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", COMMAND, *arguments]
    return subprocess.run(map(str, command), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("redirected", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("profile", "code"), [("cdnow", 0), ("nope", 2)])
def test_closed_stream_changes_no_exit_code(redirected, profile, code):
    done = in_shell(redirected, "params", profile)

    assert done.returncode == code
    assert bool(done.stdout) == (code == 0 and ">&-" not in redirected.replace("2>&-", ""))
    assert "Traceback" not in done.stderr
    assert ("unknown profile" in done.stderr) == (code == 2 and "2>&-" not in redirected)


def test_run_without_standard_error_writes_the_same(shop, ordinary_run):
    arguments = shop.lines(ordinary_orders()).arguments()
    done = in_shell("2>&- >&-", *arguments)

    assert done.returncode == 0
    for name in ("profile.csv", "segments.parquet"):
        assert (shop.result / name).read_bytes() == (ordinary_run / name).read_bytes()


def test_full_standard_output_is_one_sentence():
    done = in_shell(">/dev/full", "params")

    assert (done.returncode, done.stderr.strip()) == (2, SENTENCE)


def ending_of(command, capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.run_command(command)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_full_disk_under_jupyter_book_is_one_sentence(tmp_path, capsys):
    (tmp_path / "_config.yml").write_text("title: Tiny\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: page\n")
    (tmp_path / "page.md").write_text("# Tiny\n")
    target = tmp_path / "built" / "_build" / "html"
    target.mkdir(parents=True)
    (target / "page.html").symlink_to("/dev/full")

    said = ending_of(lambda: book._run_jupyter_book(tmp_path, tmp_path / "built"), capsys)

    assert said == SENTENCE


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_wherever_it_is_met_is_one_sentence(code, capsys):
    def fill() -> None:
        raise OSError(code, os.strerror(code), "/somewhere/x")

    def several() -> None:
        raise OSError([("a", "b", str(OSError(code, os.strerror(code))))])

    for command in (fill, several):
        said = ending_of(command, capsys)
        assert said.startswith("segmentation: cannot write: ") and "somewhere" not in said


def test_other_defect_is_not_taken_for_a_full_disk():
    def defect() -> None:
        raise RuntimeError("the book did not build")

    with pytest.raises(RuntimeError, match="did not build"):
        cli.run_command(defect)


def test_ctrl_c_while_a_text_is_executed_ends_as_any_other(tmp_path):
    """As where a dataclass is made; Python would end a module by the signal."""
    (tmp_path / "ended.py").write_text(
        "import sys; from segmentation import __main__, cli; from segmentation.core import endings\n"
        "cli.main = lambda: endings.run_command(lambda: exec("
        "'import os, signal; os.kill(os.getpid(), signal.SIGINT)'))\n"
        "sys.argv = ['segmentation', 'params']; __main__.main()"
    )

    command = [sys.executable, "-m", "ended"]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        # where the tests themselves run in the background, Ctrl-C is ignored and inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "segmentation: interrupted; previous outputs are unchanged.\n"
