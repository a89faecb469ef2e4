"""Scoring in a database gives every customer the segment that the model gives."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import math
import sqlite3
import struct
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from conftest import assert_refused, call_cli
from mariadb import MariaDbServer
from postgres import PostgresServer
from sqlglot import exp

from segmentation.customers.preparation import yeo_johnson
from segmentation.deliver.scoring_sql import DIALECTS, number, scoring_select, scoring_sql
from segmentation.segments.distances import centre_distances
from segmentation.segments.model import SegmentModel, load_model

BORDERLINE = 1e-9
PARSED_ONLY = ("bigquery", "databricks", "redshift", "snowflake", "spark", "trino")
HOSTILE_NAMES = (
    """O'Brien's "best" \\ customers; -- '' \\' /* */""",
    "Größte 😀\tKunden\nzwei <b>Zeilen</b>",
    "=1+1 {{x}} %s :name ? ${y}",
)
DUCKDB_TYPES = {"customer_id": "VARCHAR", "segment_type": "VARCHAR"}


def answers(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    """Answer of a database, by customer; the statement promises no order."""
    table = pd.DataFrame(rows, columns=["customer_id", "segment_type", "cluster", "segment"])
    assert table["customer_id"].is_unique
    return table.set_index("customer_id").sort_index()


def by_duckdb(sql: str, features: pd.DataFrame) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.register("features", features)
        return answers(connection.execute(sql).fetchall())


def by_sqlite(sql: str, features: pd.DataFrame) -> pd.DataFrame:
    connection = sqlite3.connect(":memory:")
    try:
        features.to_sql("features", connection, index=False)
        return answers(connection.execute(sql).fetchall())
    finally:
        connection.close()


def by_mariadb(sql: str, features: pd.DataFrame, server: MariaDbServer) -> pd.DataFrame:
    columns = dict.fromkeys(features.columns, "DOUBLE") | {
        "customer_id": "VARCHAR(200)",
        "segment_type": "VARCHAR(20)",
    }
    table = exp.Schema(
        this=exp.to_table("features"),
        expressions=[
            exp.ColumnDef(this=exp.to_identifier(name), kind=exp.DataType.build(columns[name]))
            for name in features.columns
        ],
    )
    create = exp.Create(this=table, kind="TABLE").sql(dialect="mysql")
    places = exp.Tuple(expressions=[exp.Placeholder() for _ in features.columns])
    insert = exp.insert(exp.Values(expressions=[places]), "features").sql(dialect="mysql")
    rows = features.astype(object).where(features.notna(), None).to_numpy().tolist()
    server.new_database("scoring", create)
    with contextlib.closing(server.connect("scoring")) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'TRADITIONAL'")
        cursor.executemany(insert.replace("?", "%s"), rows)
        cursor.execute(sql)
        assert cursor.column_names == ("customer_id", "segment_type", "cluster", "segment")
        return answers(cursor.fetchall())


def by_postgres(sql: str, features: pd.DataFrame, server: PostgresServer) -> pd.DataFrame:
    """Loaded and read as CSV by psql; what is missing is empty there."""
    columns = dict.fromkeys(features.columns, "DOUBLE PRECISION") | {
        "customer_id": "TEXT",
        "segment_type": "TEXT",
    }
    defined = ", ".join(f"{name} {columns[name]}" for name in features.columns)
    with tempfile.TemporaryDirectory() as folder:
        given, query = Path(folder, "features.csv"), Path(folder, "query.sql")
        features.to_csv(given, index=False)
        query.write_text(sql, encoding="utf-8")
        script = (
            f"DROP TABLE IF EXISTS features; CREATE TABLE features ({defined});\n"
            f"\\copy features FROM '{given}' WITH (FORMAT csv, HEADER)\n"
            f"\\pset format csv\n\\i {query}\n;"
        )
        printed = server.psql(script)
    header, *rows = csv.reader(io.StringIO(printed, newline=""))
    assert header == ["customer_id", "segment_type", "cluster", "segment"]
    return answers([(a, b or None, int(c) if c else None, d or None) for a, b, c, d in rows])


@pytest.fixture(params=["duckdb", "sqlite", "mariadb", "postgres"])
def database(request: pytest.FixtureRequest):
    """(dialect, run): each engine that runs the statement for real."""
    if request.param == "duckdb":
        return "duckdb", by_duckdb
    if request.param == "sqlite":
        return "sqlite", by_sqlite
    if request.param == "postgres":
        postgres = request.getfixturevalue("postgres_server")
        return "postgres", lambda sql, features: by_postgres(sql, features, postgres)
    server = request.getfixturevalue("mariadb_server")
    return "mariadb", lambda sql, features: by_mariadb(sql, features, server)


def squared_distances(model: SegmentModel, customers: pd.DataFrame) -> pd.DataFrame:
    """Squared distances to the nearest and second nearest centre, by customer."""
    parts = []
    for kind, group in model.groups.items():
        members = customers[customers["segment_type"] == kind]
        values = members[list(group.preparation.features)].to_numpy(dtype=float)
        squares = np.sort(centre_distances(group.preparation.apply(values), group.centers) ** 2)
        second = squares[:, 1] if squares.shape[1] > 1 else np.full(len(members), np.inf)
        table = pd.DataFrame({"first": squares[:, 0], "second": second})
        parts.append(table.set_index(members["customer_id"].to_numpy()))
    return pd.concat(parts).sort_index()


def test_every_shipped_customer_gets_the_segment_of_the_run(shipped_run, database, request):
    _, folder = shipped_run
    dialect, run = database
    features = pd.read_parquet(folder / "features.parquet")
    segments = pd.read_parquet(folder / "segments.parquet").set_index("customer_id").sort_index()

    scored = run(scoring_sql(folder / "model", dialect=dialect), features)

    assert list(scored.index) == list(segments.index)
    assert list(scored["segment_type"]) == list(segments["segment_type"])
    near = squared_distances(load_model(folder / "model"), features)
    borderline = (near["second"] - near["first"] <= BORDERLINE).to_numpy()
    differing = (scored["cluster"] != segments["cluster"]).to_numpy()
    renamed = (scored["segment"] != segments["segment"]).to_numpy()
    request.node.user_properties.append(("borderline", int(borderline.sum())))
    print(
        f"{len(scored):,} customers, {borderline.sum()} within {BORDERLINE}, {differing.sum()} differ"
    )
    assert not (differing | renamed)[~borderline].any()
    assert borderline.mean() < 0.001, "so many customers on the border that the test says nothing"


# --- every preparation, with values that tests know -----------------------------------


def random_model(folder: Path, transform: str, *, winsor: bool, lambdas: tuple) -> SegmentModel:
    """The shipped CDNOW model with other constants and hostile names."""
    model = load_model(folder / "model")
    group = model.groups["normal"]
    chance = np.random.default_rng(7)
    infinite = np.full(3, np.inf)
    preparation = dataclasses.replace(
        group.preparation,
        transform=transform,
        low=np.array([3.25, 1.1, -2.5]) if winsor else -infinite,
        high=np.array([400.5, 5.3, 512.125]) if winsor else infinite,
        lambdas=np.array(lambdas),
        center=chance.normal(size=3),
        scale=chance.uniform(0.5, 2, size=3),
    )
    centers = preparation.apply(chance.uniform(-5, 500, size=(3, 3)))
    changed = dataclasses.replace(
        group, preparation=preparation, centers=centers, names=HOSTILE_NAMES
    )
    return dataclasses.replace(model, groups={"normal": changed})


def random_features() -> pd.DataFrame:
    chance = np.random.default_rng(3)
    values = chance.normal(0, 300, size=(2000, 3))
    values[:3] = [[0, 0, 0], [1e-300, -1e-300, 1e-9], [1e6, 1e6, 1e6]]
    features = pd.DataFrame(values, columns=["recency", "frequency", "total_spent"])
    return features.assign(
        customer_id=[f"{row:05d}" for row in range(len(features))], segment_type="normal"
    )


CASES = {
    "none": ("none", (1.0, 1.0, 1.0)),
    "log": ("log", (1.0, 1.0, 1.0)),
    "yeo-johnson": ("yeo-johnson", (0.3, -0.7, 2.4)),
    "yeo-johnson-at-its-limits": ("yeo-johnson", (0.0, 2.0, 1.0)),
    "yeo-johnson-near-its-limits": ("yeo-johnson", (1e-7, 2 - 1e-7, -9e-6)),
}


@pytest.mark.parametrize("winsor", [False, True], ids=["as-is", "winsor"])
@pytest.mark.parametrize("case", CASES)
def test_every_preparation_and_hostile_names_come_out_as_in_the_model(
    cdnow_run, database, case, winsor
):
    dialect, run = database
    transform, lambdas = CASES[case]
    model = random_model(cdnow_run, transform, winsor=winsor, lambdas=lambdas)
    features = random_features()

    scored = run(scoring_select(model).sql(dialect=DIALECTS[dialect]), features)

    expected = model.assign(features).set_index("customer_id").sort_index()
    near = squared_distances(model, features)
    clear = (near["second"] - near["first"] > BORDERLINE * near["second"].clip(1)).to_numpy()
    assert clear.sum() >= len(features) - 3
    assert list(scored["segment"][clear]) == list(expected["segment"][clear])
    assert list(scored["cluster"][clear]) == list(expected["cluster"][clear])
    assert set(scored["segment"]) == set(HOSTILE_NAMES)


def one_feature_model(folder: Path, centers: list[float], names: tuple[str, ...]) -> SegmentModel:
    """Spend alone, as it is, with centres where the test wants them."""
    model = load_model(folder / "model")
    group = model.groups["normal"]
    plain = dataclasses.replace(
        group.preparation,
        features=("total_spent",),
        transform="none",
        low=np.array([-np.inf]),
        high=np.array([np.inf]),
        lambdas=np.ones(1),
        center=np.zeros(1),
        scale=np.ones(1),
    )
    changed = dataclasses.replace(
        group, preparation=plain, centers=np.array(centers).reshape(-1, 1), names=names
    )
    return dataclasses.replace(model, features=("total_spent",), groups={"normal": changed})


def spent(*values: float | None, kind: str = "normal") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": [f"{row:02d}" for row in range(len(values))],
            "total_spent": pd.Series(values, dtype="float64"),
            "segment_type": kind,
        }
    )


def test_a_tie_goes_to_the_lowest_cluster(cdnow_run, database):
    dialect, run = database
    model = one_feature_model(cdnow_run, [1.0, 3.0, 5.0], ("a", "b", "c"))

    scored = run(scoring_select(model).sql(dialect=DIALECTS[dialect]), spent(2.0, 4.0, 4.5))

    assert list(scored["cluster"]) == [0, 1, 2]


def test_a_missing_value_gets_no_segment_instead_of_a_guess(cdnow_run, database):
    dialect, run = database
    model = one_feature_model(cdnow_run, [1.0, 3.0], ("a", "b"))

    scored = run(scoring_select(model).sql(dialect=DIALECTS[dialect]), spent(1.0, None))

    assert scored["segment"].isna().tolist() == [False, True]
    assert scored["cluster"].isna().tolist() == [False, True]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_gets_no_segment(cdnow_run, value):
    model = one_feature_model(cdnow_run, [1.0, 3.0], ("a", "b"))
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE features(customer_id VARCHAR, segment_type VARCHAR, total_spent DOUBLE)"
        )
        connection.execute("INSERT INTO features VALUES ('01', 'normal', ?)", [value])
        rows = connection.execute(scoring_select(model).sql(dialect="duckdb")).fetchall()
    assert rows == [("01", "normal", None, None)]


def test_customers_of_a_group_unknown_to_the_model_are_listed_without_segment(cdnow_run, database):
    dialect, run = database
    model = one_feature_model(cdnow_run, [1.0, 3.0], ("a", "b"))

    scored = run(
        scoring_select(model).sql(dialect=DIALECTS[dialect]), spent(1.0, kind="pre_register")
    )

    assert scored["segment"].isna().tolist() == [True]


@pytest.mark.parametrize("features", [(), ("total_spent",)], ids=["no-feature", "one-feature"])
def test_a_group_left_as_one_segment_is_one_segment(cdnow_run, database, features):
    dialect, run = database
    model = one_feature_model(cdnow_run, [1.0], ("All customers",))
    group = model.groups["normal"]
    if not features:
        empty = np.empty(0)
        bare = dataclasses.replace(
            group.preparation, features=(), low=empty, high=empty, lambdas=empty, center=empty,
            scale=empty,
        )  # fmt: skip
        group = dataclasses.replace(group, preparation=bare, centers=np.empty((1, 0)))
    model = dataclasses.replace(model, groups={"normal": group})

    scored = run(scoring_select(model).sql(dialect=DIALECTS[dialect]), spent(1.0, 9.0))

    assert list(scored["segment"]) == ["All customers"] * 2
    assert list(scored["cluster"]) == [0, 0]


def test_money_kept_as_decimal_is_scored_like_the_double(cdnow_run):
    """A table in a database holds DECIMAL where the Parquet file holds doubles."""
    features = pd.read_parquet(cdnow_run / "features.parquet")
    sql = scoring_sql(cdnow_run / "model", dialect="duckdb")
    with duckdb.connect() as connection:
        connection.register("given", features)
        connection.execute(
            "CREATE TABLE features AS SELECT * REPLACE (CAST(total_spent AS DECIMAL(18, 2)) AS total_spent) FROM given"
        )
        scored = answers(connection.execute(sql).fetchall())
    segments = pd.read_parquet(cdnow_run / "segments.parquet").set_index("customer_id").sort_index()
    assert list(scored["segment"]) == list(segments["segment"])


# --- constants, other dialects, the command -------------------------------------------


def test_constants_are_read_back_as_exactly_the_same_double():
    chance = np.random.default_rng(11)
    bits = chance.integers(0, 2**64, size=3000, dtype=np.uint64)
    values = [v for v in bits.view(np.float64).tolist() if math.isfinite(v)]
    values += [0.0, 1.0, 0.1, 5e-324, 1.7976931348623157e308, 100.0, 1e22]
    with duckdb.connect() as connection:
        for chunk in np.array_split(values, 30):
            written = exp.select(*[number(value) for value in chunk]).sql(dialect="duckdb")
            (row,) = connection.execute(written).fetchall()
            assert [struct.pack("d", v) for v in row] == [struct.pack("d", v) for v in chunk]


def test_mariadb_reads_the_constants_as_doubles_and_not_as_decimals(mariadb_server):
    values = [0.1, 1 / 3, 5594.731801839335, 1e-17, 2.5e17, 1.7976931348623157e308]
    select = exp.select(*[exp.alias_(number(v), f"c{i}") for i, v in enumerate(values)])
    create = exp.Create(this=exp.to_table("t"), kind="TABLE", expression=select)
    kinds = mariadb_server.new_database("kinds", create.sql(dialect="mysql"), "DESCRIBE t")
    assert {column[1] for column in kinds} == {"double"}
    (row,) = mariadb_server.execute("SELECT * FROM t", database="kinds")
    assert row == pytest.approx(values, rel=1e-15)


@pytest.mark.parametrize("dialect", PARSED_ONLY)
def test_other_dialects_parse_what_is_printed_to_the_same_statement(shipped_run, dialect):
    _, folder = shipped_run
    text = scoring_sql(folder / "model", dialect=dialect)

    (parsed,) = sqlglot.parse(text, dialect=DIALECTS[dialect])

    assert isinstance(parsed, exp.Select)
    assert parsed.named_selects == ["customer_id", "segment_type", "cluster", "segment"]
    assert parsed.sql(dialect=DIALECTS[dialect], pretty=True) + "\n" == text
    model = load_model(folder / "model")
    constants = {
        float(literal.this) for literal in parsed.find_all(exp.Literal) if literal.is_number
    }
    for group in model.groups.values():
        assert set(np.abs(group.centers).ravel().tolist()) <= constants
        assert set(np.abs(group.preparation.center).tolist()) <= constants
    named = {literal.this for literal in parsed.find_all(exp.Literal) if literal.is_string}
    assert {name for group in model.groups.values() for name in group.names} <= named


def test_every_dialect_is_run_or_parsed():
    assert {*PARSED_ONLY, "duckdb", "sqlite", "mariadb", "mysql", "postgres"} == set(DIALECTS)
    assert DIALECTS["mysql"] == DIALECTS["mariadb"]


def test_the_command_prints_the_statement_and_nothing_else(cdnow_run):
    outcome = call_cli("sql", cdnow_run / "model", "--dialect", "mysql")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == scoring_sql(cdnow_run / "model", dialect="mysql")


def test_an_unknown_dialect_is_refused_with_those_known(cdnow_run):
    assert_refused(call_cli("sql", cdnow_run / "model", "--dialect", "cobol"), "cobol", "mysql")


def test_a_folder_without_model_is_refused(tmp_path):
    assert_refused(call_cli("sql", tmp_path, "--dialect", "mysql"), "no model folder")


def test_the_series_used_near_an_exponent_of_zero_is_the_transform(cdnow_run):
    """Direct evaluation, in 50 digits, of ((1 + x)^l - 1) / l."""
    from decimal import Decimal, getcontext

    getcontext().prec = 50
    for exponent in (9.9e-6, -9.9e-6, 1e-9):
        for x in (0.5, 40.0, 1e7):
            grown = (Decimal(exponent) * (1 + Decimal(x)).ln()).exp()
            exact = float((grown - 1) / Decimal(exponent))
            model = one_feature_model(cdnow_run, [0.0], ("a",))
            group = model.groups["normal"]
            bent = dataclasses.replace(
                group.preparation, transform="yeo-johnson", lambdas=np.array([exponent])
            )
            model = dataclasses.replace(
                model, groups={"normal": dataclasses.replace(group, preparation=bent)}
            )
            select = scoring_select(model)
            scaled = exp.select("total_spent_scaled").from_("normal_prepared")
            scaled.set("with_", select.args.get("with_") or select.args["with"])
            with duckdb.connect() as connection:
                connection.register("features", spent(x))
                (row,) = connection.execute(scaled.sql(dialect="duckdb")).fetchall()
            assert row[0] == pytest.approx(exact, rel=1e-13)
            assert yeo_johnson(np.array([[x]]), np.array([exponent]))[0, 0] == pytest.approx(exact)
