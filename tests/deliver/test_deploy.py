"""The files for deployment fit the program: options, limits, and the rules of their kind."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess

import pytest
from conftest import ROOT

from segmentation.cli import cli
from segmentation.deliver.api.contract import MAX_BODY_BYTES
from segmentation.deliver.api.server import GRACEFUL_SECONDS
from segmentation.deliver.api.worker import SILENT_SECONDS

DEPLOY = ROOT / "deploy"


def options_of(command: str) -> set[str]:
    return {option for p in cli.commands[command].params for option in p.opts if option[:2] == "--"}


def unit() -> configparser.SectionProxy:
    # not strict: SystemCallFilter stands twice, what is allowed and what of it is not
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / "segmentation-api.service", encoding="utf-8")
    assert parser.sections() == ["Unit", "Service", "Install"]
    return parser["Service"]


def test_systemd_unit_starts_the_command_with_options_it_has():
    words = shlex.split(unit()["ExecStart"])
    assert words[1] == "serve"
    assert {word for word in words if word.startswith("--")} <= options_of("serve")


def test_systemd_waits_longer_than_the_server_needs_to_end():
    assert int(unit()["TimeoutStopSec"]) > GRACEFUL_SECONDS
    assert unit()["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert unit()["User"] != "root"
    assert unit()["NoNewPrivileges"] == "yes"


def test_systemd_unit_leaves_the_service_little_to_do_harm_with():
    """As systemd itself judges it: below 2 of 10, where the network is most of what is left."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("apt-get install systemd")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    done = subprocess.run(
        [*command, DEPLOY / "segmentation-api.service"], capture_output=True, text=True, check=True
    )
    level = re.search(r"exposure level for .*: ([\d.]+)", done.stdout).group(1)
    assert float(level) < 2, done.stdout


def test_proxy_has_the_limits_of_the_server():
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    assert text.count("{") == text.count("}")
    lines = [line.strip() for line in text.splitlines()]
    statements = [line for line in lines if line and line[0] not in "#}" and not line.endswith("{")]
    assert all(statement.endswith(";") for statement in statements)
    assert f"client_max_body_size {MAX_BODY_BYTES >> 20}m;" in text
    assert f"client_body_timeout {SILENT_SECONDS}s;" in text


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = text.replace("\\\n", " ")
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(word, rest) for word, rest in found]


def test_dockerfile_has_known_instructions_only(instructions):
    known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL"}
    assert {word for word, _ in instructions} <= known | {"ENTRYPOINT", "CMD"}
    assert instructions[0][0] == "FROM"


def test_dockerfile_keeps_to_good_practice(instructions):
    """The rules of hadolint that matter here."""
    bases = [rest for word, rest in instructions if word == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+( AS \w+)?", base) for base in bases), "tag"
    users = [rest for word, rest in instructions if word == "USER"]
    assert users and users[-1].isdigit() and users[-1] != "0", "last user is not root"
    runs = " ".join(rest for word, rest in instructions if word == "RUN")
    assert "sudo" not in runs and "cd " not in runs
    for install in re.findall(r"pip install[^&]*", runs):
        assert "--no-cache-dir" in install
    assert "--require-hashes" in runs
    assert not any(word == "ADD" for word, _ in instructions)
    for word, rest in instructions:
        if word in ("ENTRYPOINT", "CMD"):
            assert rest.startswith("["), "exec form, so that signals arrive"
        if word == "COPY" and not rest.startswith("--from"):
            for path in rest.split()[:-1]:
                assert (ROOT / path).exists(), path


def test_image_is_built_from_what_is_copied_and_nothing_else(instructions):
    """`.dockerignore` lets in what COPY names: no data, runs or keys reach the build."""
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = {
        path.removeprefix("./")
        for word, rest in instructions
        if word == "COPY" and not rest.startswith("--from")
        for path in rest.split()[:-1]
    }
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    runs = " ".join(rest for word, rest in instructions if word == "RUN")
    assert "requirements-serve.txt" in copied and "requirements.txt" not in copied
    assert "--only-binary :all:" in runs and "pip uninstall --yes setuptools pip" in runs


def test_dockerfile_serves_with_options_the_command_has(instructions):
    words = " ".join(rest for word, rest in instructions if word in ("ENTRYPOINT", "CMD"))
    used = set(re.findall(r"--[a-z-]+", words))
    assert used == {"--host", "--keys"} <= options_of("serve")


def test_notes_name_options_pages_and_counters_that_exist(marketplace_run):
    from segmentation.deliver.api.app import Surroundings, create_app
    from segmentation.deliver.api.store import ModelStore

    text = (DEPLOY / "README.md").read_text("utf-8")
    app = create_app(Surroundings(ModelStore(marketplace_run / "model")))
    pages = {rule.rule for rule in app.url_map.iter_rules()}
    assert set(re.findall(r"`(/[a-z/]+)`", text)) <= pages
    exposed = app.test_client().get("/metrics").text
    for counter in re.findall(r"segmentation_[a-z_]+_total", text):
        assert counter in exposed
    assert "--max-in-flight" in set(re.findall(r"--[a-z-]+", text)) & options_of("serve")
