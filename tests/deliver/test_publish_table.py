"""`segmentation publish`: a table that is exactly the run, put in place whole, in a real MariaDB."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import time
from decimal import Decimal

import pandas as pd
import pytest
from conftest import ROOT, assert_refused, call_cli

pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture
def crm(mariadb_server):
    """An empty database, and the arguments that publish into it."""
    mariadb_server.new_database("crm")
    return mariadb_server, ["--mysql", "segments", "--location", mariadb_server.location("crm")]


def tables_in(server) -> set[str]:
    return {row[0] for row in server.execute("SHOW TABLES", database="crm")}


def checksum(server, table: str = "segments"):
    return server.execute(f"CHECKSUM TABLE {table}", database="crm")


def test_the_table_has_the_segments_with_run_and_day(crm, cdnow_run):
    server, arguments = crm

    done = call_cli("publish", cdnow_run, *arguments)

    assert done.code == 0, done.said
    assert "127.0.0.1" not in done.out
    ((count, runs, days),) = server.execute(
        "SELECT COUNT(*), COUNT(DISTINCT run_id), COUNT(DISTINCT as_of) FROM segments",
        database="crm",
    )
    assert (count, runs, days) == (23_570, 1, 1)
    ((run, day),) = server.execute("SELECT run_id, as_of FROM segments LIMIT 1", database="crm")
    assert run.startswith("cdnow-1998-06-30-") and run in done.out
    assert day == dt.date(1998, 6, 30)


def test_publishing_again_gives_the_same_table(crm, marketplace_run, tmp_path):
    server, arguments = crm
    assert call_cli("publish", marketplace_run, *arguments).code == 0
    first = checksum(server)
    moved = shutil.copytree(marketplace_run, tmp_path / "moved")

    assert call_cli("publish", moved, *arguments).code == 0

    assert checksum(server) == first
    assert tables_in(server) == {"segments"}


def test_the_privileges_of_the_readme_are_enough(crm, marketplace_run, monkeypatch):
    server, arguments = crm
    readme = (ROOT / "README.md").read_text("utf-8")
    (granted,) = re.findall(r"Its user needs ([A-Z, ]+) and DROP there", readme)
    server.execute(
        "CREATE OR REPLACE USER crm@'%' IDENTIFIED BY 'word'",
        f"GRANT {granted}, DROP ON crm.* TO crm@'%'",
    )
    monkeypatch.setenv("MYSQL_USER", "crm")
    monkeypatch.setenv("MYSQL_PASSWORD", "word")

    for _ in range(2):
        done = call_cli("publish", marketplace_run, *arguments)
        assert done.code == 0, done.said
    assert tables_in(server) == {"segments"}


def test_synthetic_data_says_so_in_the_database(crm, marketplace_run, cdnow_run):
    server, arguments = crm
    comments = []
    for folder in (marketplace_run, cdnow_run):
        assert call_cli("publish", folder, *arguments).code == 0
        status = "SELECT table_comment FROM information_schema.tables WHERE table_schema = 'crm'"
        comments += [row[0] for row in server.execute(status)]
    assert ["SYNTHETIC" in comment for comment in comments] == [True, False]


@pytest.mark.parametrize(
    ("mine", "told", "remedy"),
    [
        ("TABLE segments (mine INT)", [], "--replace"),
        ("VIEW segments AS SELECT 1 AS mine", ["--replace"], "rename it"),
    ],
    ids=["table", "view-even-when-told"],
)
def test_what_somebody_else_made_is_refused(crm, marketplace_run, mine, told, remedy):
    server, arguments = crm
    server.execute(f"CREATE {mine}", database="crm")

    assert_refused(call_cli("publish", marketplace_run, *arguments, *told), "segments", remedy)

    assert server.execute("SHOW COLUMNS FROM segments", database="crm")[0][0] == "mine"


def test_what_somebody_else_made_is_replaced_only_when_told(crm, marketplace_run):
    server, arguments = crm
    server.execute("CREATE TABLE segments (mine INT)", database="crm")

    assert call_cli("publish", marketplace_run, *arguments, "--replace").code == 0

    assert tables_in(server) == {"segments"}
    assert server.execute("SELECT COUNT(*) FROM segments", database="crm") == [(3_681,)]


def test_tables_of_other_commands_are_somebody_elses(crm, marketplace_run):
    server, arguments = crm
    comment = "segmentation materialize: cdnow, as of 1998-06-30"
    server.execute(f"CREATE TABLE segments (mine INT) COMMENT='{comment}'", database="crm")

    assert_refused(call_cli("publish", marketplace_run, *arguments), "--replace")


@pytest.mark.parametrize("ending", ["__new", "__old"])
@pytest.mark.parametrize("told", [[], ["--replace"]])
def test_a_table_that_only_has_the_name_of_one_in_the_making_stays(
    crm, marketplace_run, ending, told
):
    server, arguments = crm
    server.execute(f"CREATE TABLE segments{ending} (mine INT)", database="crm")

    refused = call_cli("publish", marketplace_run, *arguments, *told)

    assert_refused(refused, f"segments{ending}", "rename it")
    assert tables_in(server) == {f"segments{ending}"}


def test_a_killed_command_leaves_the_table_before_and_the_next_one_clears_up(
    crm, cdnow_run, marketplace_run
):
    server, arguments = crm
    assert call_cli("publish", marketplace_run, *arguments).code == 0
    before = checksum(server)
    command = [sys.executable, "-m", "segmentation", "publish", str(cdnow_run), *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while "segments__new" not in tables_in(server) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()

    assert checksum(server) == before
    assert tables_in(server) == {"segments", "segments__new"}, "killed too late to say anything"

    assert call_cli("publish", cdnow_run, *arguments).code == 0
    assert tables_in(server) == {"segments"}
    assert server.execute("SELECT COUNT(*) FROM segments", database="crm") == [(23_570,)]


@pytest.mark.parametrize("table", ["", "a b", "a`b", "x;DROP TABLE y", "crm.segments", "x" * 60])
def test_a_name_that_can_be_no_table_is_refused(marketplace_run, table):
    assert_refused(call_cli("publish", marketplace_run, "--mysql", table), "--mysql", "59")


def test_without_a_database_the_place_is_asked_for(marketplace_run):
    assert_refused(call_cli("publish", marketplace_run, "--mysql", "x"), "--location", "mysql://")


@pytest.mark.parametrize("missing", ["params.yaml", "manifest.json", "segments.parquet"])
def test_a_folder_that_is_no_whole_run_is_refused(crm, marketplace_run, tmp_path, missing):
    server, arguments = crm
    folder = shutil.copytree(marketplace_run, tmp_path / "run")
    (folder / missing).unlink()
    arguments = arguments[:2] if missing == "params.yaml" else arguments

    assert_refused(call_cli("publish", folder, *arguments), missing)

    assert tables_in(server) == set()


def test_the_database_of_the_run_is_the_place_if_none_is_named(crm, marketplace_run, tmp_path):
    server, _ = crm
    folder = shutil.copytree(marketplace_run, tmp_path / "run")
    params = (folder / "params.yaml").read_text("utf-8").splitlines()
    params = [line for line in params if not line.startswith("location:")]
    location = json.dumps(server.location("crm"))
    (folder / "params.yaml").write_text("\n".join([*params, f"location: {location}"]), "utf-8")

    assert call_cli("publish", folder, "--mysql", "segments").code == 0

    ((spent,),) = server.execute("SELECT SUM(total_spent) FROM segments", database="crm")
    ledger = pd.read_csv(folder / "ledger.csv", dtype=str)
    assert spent == Decimal(ledger["amount"].iloc[-1])
