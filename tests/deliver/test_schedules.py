"""The recipes of `deploy/` that renew a profile: run by the shell, judged by systemd."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, ordinary_orders

DEPLOY = ROOT / "deploy"
SCRIPT = DEPLOY / "renew.sh"
CALLS = "sh /opt/segmentation/deploy/renew.sh shop.yaml --keep-runs 12"


@pytest.fixture
def renew_sh(tmp_path):
    """The script, with our command on its path, in the folder of a tiny shop."""
    commands = tmp_path / "bin"
    commands.mkdir()
    real = Path(sys.executable)
    command = commands / "segmentation"
    command.write_text(f'#!/bin/sh\nexec {real} -m segmentation "$@"\n', encoding="utf-8")
    command.chmod(0o755)

    def call(*words: object, **settings: str) -> subprocess.CompletedProcess:
        path = f"{commands}:{os.environ['PATH']}"
        kept = {n: v for n, v in os.environ.items() if n != "WEBHOOK"}
        return subprocess.run(
            ["sh", SCRIPT, *map(str, words)],
            cwd=tmp_path,
            env=kept | {"PATH": path, "PYTHONPATH": str(ROOT)} | settings,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


@pytest.fixture
def messages():
    """A server that keeps what is posted to it: (address, messages)."""
    kept: list[dict] = []

    class Kept(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kept)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", kept
    server.shutdown()


def test_the_script_renews_tells_and_ends_as_the_command_does(shop, renew_sh, messages):
    webhook, kept = messages
    shop.lines(ordinary_orders())
    arguments = shop.arguments()[1:]
    month = {"MONTHLY": "yes", "TODAY": "2023-08-20", "WEBHOOK": webhook}

    first = renew_sh(*arguments, **month)

    assert first.returncode == 0, first.stderr + first.stdout
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    assert manifest["as_of"] == "2023-07-31"
    assert len(kept) == 1 and kept[0]
    assert webhook not in first.stdout + first.stderr

    again = renew_sh(*arguments, **month)
    assert again.returncode == 0 and "nothing has changed" in again.stdout
    assert len(kept) == 1, "word of what has not changed"

    (shop.folder / "orders.csv").unlink()
    failed = renew_sh(*arguments, **month)
    assert failed.returncode == 2
    assert "orders.csv" in kept[1]["text"] and kept[1]["text"].startswith("segmentation:")


def test_a_message_that_cannot_be_sent_fails_nothing(tmp_path, renew_sh):
    """Of the script alone; the command, which is the real one above, has no part in it."""
    (tmp_path / "bin" / "segmentation").write_text("#!/bin/sh\necho renewed\n", encoding="utf-8")
    done = renew_sh("shop.yaml", WEBHOOK="http://127.0.0.1:1/")
    assert done.returncode == 0 and "no message was sent" in done.stderr


def test_systemd_accepts_timer_and_service():
    if not shutil.which("systemd-analyze"):
        pytest.skip("apt-get install systemd")
    units = [DEPLOY / f"segmentation-renew.{kind}" for kind in ("timer", "service")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    text = units[0].read_text("utf-8")
    (when,) = [line.split("=")[1] for line in text.splitlines() if line[:10] == "OnCalendar"]
    command = ["systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-01-15", when]
    told = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TZ": "UTC"})
    assert "2026-02-01 04:15" in told.stdout and "2026-03-01 04:15" in told.stdout


def test_every_recipe_calls_the_same_script():
    cron = (DEPLOY / "segmentation-renew.cron").read_text("utf-8").splitlines()[-1]
    service = (DEPLOY / "segmentation-renew.service").read_text("utf-8")
    workflow = yaml.safe_load((DEPLOY / "github-renew.yaml").read_text("utf-8"))
    (step,) = workflow["jobs"]["renew"]["steps"]
    assert cron.endswith(CALLS) and f"ExecStart=/bin/{CALLS}" in service and CALLS in step["run"]
    assert "%" not in cron, "cron takes it for the end of a line"


@pytest.mark.parametrize("recipe", ["cron", "github"])
def test_the_line_of_cron_and_the_step_of_github_run(recipe, tmp_path):
    """In their own shell, with a script that says how it was called."""
    opt, srv = tmp_path / "opt", tmp_path / "srv"
    (opt / "deploy").mkdir(parents=True)
    srv.mkdir()
    told = 'echo "$PWD: $*"; exit 2\n'
    (opt / "deploy" / "renew.sh").write_text(told, encoding="utf-8")
    if recipe == "cron":
        line = (DEPLOY / "segmentation-renew.cron").read_text("utf-8").splitlines()[-1]
        shell, script = ["sh", "-c"], line.split(None, 6)[6]
    else:
        workflow = yaml.safe_load((DEPLOY / "github-renew.yaml").read_text("utf-8"))
        (step,) = workflow["jobs"]["renew"]["steps"]
        shell, script = [*shlex.split(step["shell"].removesuffix("{0}")), "-c"], step["run"]
    script = script.replace("/opt/segmentation", str(opt)).replace("/srv/segments", str(srv))
    done = subprocess.run(
        [*shell, script],
        cwd=srv,
        env=os.environ | {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, "a failure is a failure of the step"
    assert done.stdout == f"{srv}: shop.yaml --keep-runs 12\n"
