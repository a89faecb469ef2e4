"""The data contract, the message and the lineage of a run say what its files hold."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import uuid
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import TinyShop, assert_refused, call_cli, ordinary_orders

from segmentation.core.columns import column_of
from segmentation.core.parameter_fields import SHIPPED_SOURCES
from segmentation.deliver.lineage import _namespace


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TinyShop:
    shop = TinyShop(tmp_path_factory.mktemp("shop"))
    shop.lines(ordinary_orders())
    labels = {"opens": {"label": "Mails opened", "unit": "mails", "format": "count"}}
    own = shop.folder / "own.sql"
    own.write_text("SELECT customer_id, COUNT(*) AS opens FROM orders GROUP BY customer_id")
    shop.parameters |= {"own_features": str(own), "feature_labels": labels, "n_clusters": 2}
    shop.parameters |= {"features": ["recency", "total_spent", "opens"], "currency": "EUR"}
    assert shop.run().code == 0
    return shop


def contract_of(asked: object) -> dict:
    done = call_cli("contract", asked)
    assert done.code == 0, done.err
    return yaml.safe_load(done.out)


def tables_of(contract: dict) -> dict[str, dict[str, dict]]:
    return {
        table["name"]: {column["name"]: column for column in table["properties"]}
        for table in contract["schema"]
    }


@pytest.mark.parametrize("source", SHIPPED_SOURCES)
def test_contract_and_documentation_are_one_definition(source):
    for table in tables_of(contract_of(source)).values():
        assert "customer_id" in table
        for name, column in table.items():
            said = column_of(name)
            assert (column["businessName"], column["description"]) == (said.label, said.meaning)
            units = [one["value"] for one in column.get("customProperties", ())]
            assert units == ([said.unit] if said.unit else [])


def test_contract_of_a_run_is_what_its_segments_table_holds(shop):
    contract = contract_of(shop.result)
    assert contract == contract_of(shop.folder / "shop.yaml")
    columns = tables_of(contract)["segments"]
    schema = pq.read_schema(shop.result / "segments.parquet")
    assert set(columns) == set(schema.names)
    assert columns["opens"]["businessName"] == "Mails opened"
    kinds = {"string": "large_string", "boolean": "bool", "number": "int64 double"}
    for field in schema:
        assert str(field.type) in kinds[columns[field.name]["logicalType"]].split()
    table = pd.read_parquet(shop.result / "segments.parquet")
    for name, column in columns.items():
        assert not (column["required"] and table[name].isna().any()), name
        assert not (column.get("unique") and table[name].duplicated().any()), name


def test_contract_lists_the_columns_that_the_select_gives(shop):
    columns = tables_of(contract_of(shop.folder / "shop.yaml"))["shop"]
    assert list(columns) == [
        *("customer_id", "order_id", "order_date", "quantity", "amount", "is_valid"),
        *("registered_date", "is_return"),
    ]
    assert not columns["is_return"]["required"]
    assert columns["amount"]["required"]


def test_contract_of_nothing_is_refused():
    assert_refused(call_cli("contract", "nothing_there"), "nothing_there")


def test_summary_says_the_run_in_each_format(shop):
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    text = call_cli("summary", shop.result).out
    assert text.startswith(f"{shop.result.resolve().name}, observed up to {manifest['as_of']}\n")
    assert f"customers: {manifest['rows']['customers']:,}" in text
    facts = json.loads(call_cli("summary", shop.result, "--format", "json").out)
    assert sum(one["customers"] for one in facts["segments"]) == facts["rows"]["customers"] == 40
    assert (facts["currency"], facts["amount"]) == ("EUR", manifest["amount"])
    slack = json.loads(call_cli("summary", shop.result, "--format", "slack").out)
    assert [block["type"] for block in slack["blocks"]] == ["header", "section"]
    body = slack["blocks"][1]["text"]["text"]
    assert f"customers: {manifest['rows']['customers']:,}" in body
    assert_refused(call_cli("summary", shop.folder), "no run's folder")


def test_a_slack_message_calls_nobody(shop, tmp_path):
    """`<!channel>` in a segment's name would wake everybody."""
    profile = shop.result / "profile.csv"
    before = profile.read_text("utf-8")
    try:
        profile.write_text(before.replace("High value", "<!channel> & " + "x" * 4_000), "utf-8")
        slack = json.loads(call_cli("summary", shop.result, "--format", "slack").out)
    finally:
        profile.write_text(before, "utf-8")
    body = slack["blocks"][1]["text"]["text"]
    assert "&lt;!channel&gt; &amp; x" in body
    assert "<" not in body
    assert len(body) == 3_000


def test_personal_data_is_in_neither(shop):
    ids = pd.read_parquet(shop.result / "segments.parquet")["customer_id"]
    for said in (call_cli("contract", shop.result).out, call_cli("summary", shop.result).out):
        assert not [one for one in ids if one in said]
    assert not Path("audiences").exists()


def test_lineage_is_an_openlineage_event_of_the_run(shop):
    text = (shop.result / "openlineage.json").read_text("utf-8")
    event = json.loads(text)
    assert event["eventType"] == "COMPLETE"
    assert dt.datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert uuid.UUID(event["run"]["runId"]).version == 5
    assert event["job"] == {"namespace": "segmentation", "name": "shop"}
    assert event["schemaURL"].endswith("/2-0-2/OpenLineage.json#/$defs/RunEvent")
    manifest = json.loads((shop.result / "manifest.json").read_text("utf-8"))
    versions = {one["name"]: one["facets"]["version"] for one in event["inputs"]}
    assert {name: one["datasetVersion"] for name, one in versions.items()} == {
        name: known["sha256"] for name, known in manifest["inputs"].items()
    }
    for one in event["outputs"]:
        schema = pq.read_schema(shop.result / Path(one["name"]).name)
        fields = one["facets"]["schema"]["fields"]
        assert [field["name"] for field in fields] == schema.names
        assert all(field["description"] for field in fields)
    facets = [f for one in (*event["inputs"], *event["outputs"]) for f in one["facets"].values()]
    for facet in [*facets, *event["run"]["facets"].values()]:
        assert facet["_producer"].startswith("urn:customer-segmentation:")
        assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")
    assert str(shop.folder) not in text  # no folder of this machine
    ids = pd.read_parquet(shop.result / "segments.parquet")["customer_id"]
    assert not [one for one in ids if f'"{one}"' in text]


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("data/raw_data/cdnow", ("file", "")),
        ("/home/me/shop", ("file", "")),
        ("mysql://db7:3306/shop?option_file=/home/me/.my.cnf", ("mysql://db7:3306", "shop.")),
        ("mysql://ann:secret@db7/shop", ("mysql://db7", "shop.")),
    ],
)
def test_lineage_names_the_database_without_user_password_or_folder(location, found):
    assert _namespace(location) == found


def test_the_manifest_has_the_command_that_makes_the_same_run_again(shop, monkeypatch):
    changed = ["-p", "n_clusters", "3", "-p", "features", '["recency", "opens"]']
    made = call_cli(*shop.arguments(), *changed, "--name", "a trial")
    assert made.code == 0, made.err
    folder = next(path for path in shop.runs_dir.glob("a trial.*"))
    before = (folder / "segments.parquet").read_bytes()
    command = json.loads((folder / "manifest.json").read_text("utf-8"))["command"]
    monkeypatch.chdir(shop.runs_dir)
    again = call_cli(*shlex.split(command)[1:])
    assert again.code == 0, again.err
    assert [path.name for path in shop.runs_dir.glob("a trial.*")] == [folder.name]
    assert again.out.strip().split("\n")[-1] == folder.name
    assert (folder / "segments.parquet").read_bytes() == before
