"""Jupyter Book, started before there is anything to build, builds once or goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from segmentation.book_press import Press

CONFIG = "title: Tiny\nexecute:\n  execute_notebooks: 'off'\n"


def is_there(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_builds_what_is_there_when_it_is_asked(tmp_path):
    with Press() as press:
        (tmp_path / "_config.yml").write_text(CONFIG)
        (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: page\n")
        (tmp_path / "page.md").write_text("# Written later\n")
        code, log = press.run("build", str(tmp_path), "--path-output", str(tmp_path), "-W")
        assert code == 0, log
        assert "Written later" in (tmp_path / "_build" / "html" / "page.html").read_text()
        assert not is_there(press._process.pid)


def test_a_build_that_fails_gives_its_code_and_log(tmp_path):
    with Press() as press:
        code, log = press.run("build", str(tmp_path / "nowhere"))
    assert code != 0
    assert "nowhere" in log


def test_it_goes_away_unused():
    with pytest.raises(KeyboardInterrupt), Press() as press:
        raise KeyboardInterrupt
    assert not is_there(press._process.pid)


def test_it_goes_away_when_nobody_is_left_to_ask():
    """Whoever started it was killed and could tell it nothing."""
    code = (
        "from segmentation.book_press import Press; import os, time\n"
        "press = Press().__enter__(); print(press._process.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    number = int(starter.stdout.readline())
    assert is_there(number)
    starter.kill()
    starter.communicate()
    for _ in range(300):
        if not is_there(number):
            break
        time.sleep(0.1)
    assert not is_there(number)
