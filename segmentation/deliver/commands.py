"""Commands that hand a run on: campaigns, audiences, contract, message, scores, a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from segmentation.core.command_options import (
    AnyPath,
    FilePath,
    FolderPath,
    RawValues,
    Replace,
    examples,
    shown,
)

Run = click.argument("run_folder", type=AnyPath, metavar="RUN")
Group = click.option(
    "--group", "segment_type", help="Its segment_type, where several groups have the name."
)


@click.group()
def campaign() -> None:
    """Divide a segment, size a test, and read out what a campaign changed."""


@campaign.command("split")
@Run
@click.option("--segment", required=True, help="Name of the segment to contact.")
@Group
@click.option(
    "--share",
    "treatment_share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Part of the customers to contact.",
)
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the split.")
@click.option(
    "--output",
    required=True,
    type=FilePath,
    help="CSV file to write: customer_id, arm, total_spent.",
)
@RawValues
@Replace
def campaign_split(run_folder: Path, output: Path, **asked: Any) -> None:
    """Divide a segment of RUN into customers to contact and an untouched control group."""
    from segmentation.deliver.campaign_lists import split_segment

    click.echo(split_segment(run_folder, output=output, **asked))
    click.echo(shown(output))


@campaign.command("size")
@click.option("--base", required=True, type=float, help="Response rate without contact, as 0.05.")
@click.option("--effect", required=True, type=float, help="Rise to be found, as 0.01.")
@click.option("--customers", type=int, help="Customers there are, in two equal arms.")
def campaign_size(base: float, effect: float, customers: int | None) -> None:
    """Say how many customers a test needs to find an effect."""
    from segmentation.deliver.campaign_lists import size_sentence

    click.echo(size_sentence(base=base, effect=effect, customers=customers))


@campaign.command("readout")
@click.argument("arms", type=AnyPath, metavar="ARMS")
@click.argument("results", type=AnyPath, metavar="RESULTS")
@click.option("--break-even", type=float, help="Rise of the response that pays, as 0.05.")
@click.option("--gross-margin", type=float, help="Share of revenue left, as 0.3.")
@click.option("--contact-cost", type=float, help="Cost of contacting one customer once.")
def campaign_readout(arms: Path, results: Path, **pays: float | None) -> None:
    """Say what changed, from the list ARMS and a CSV of orders afterwards, RESULTS.

    With --break-even, or --gross-margin and --contact-cost, it says whether that pays.
    """
    from segmentation.deliver.campaign_lists import read_out

    click.echo(read_out(arms, results, **pays))


@click.command(
    epilog=examples(
        'segmentation audience runs/cdnow --segment "High value" --contacts contacts.csv --for klaviyo',
        "segmentation audience runs/cdnow --list slipping --contacts contacts.csv --for csv --country GB",
    )
)
@Run
@click.option("--segment", help="Name of the segment to contact.")
@Group
@click.option(
    "--list",
    "listed",
    type=click.Choice(["call-first", "slipping"]),
    help="A list of the run instead.",
)
@click.option(
    "--contacts",
    required=True,
    type=FilePath,
    help="CSV of the shop: customer_id, email or phone, and consent (yes or no).",
)
@click.option(
    "--for",
    "platform",
    required=True,
    type=click.Choice(
        ["klaviyo", "meta", "google", "google-upload", "hubspot", "mailchimp", "csv"]
    ),
    help="Whose import file.",
)
@click.option(
    "--arms",
    type=FilePath,
    help="List of `campaign split`; default: campaign_arms.csv of the run.",
)
@click.option("--campaign-id", help="Id of the campaign; default: run and segment or list.")
@click.option("--country", help="Where numbers without + are, as DE.")
@click.option(
    "--minimum",
    type=click.IntRange(min=1),
    default=1,
    help="Refuse fewer contacts than this; the platform's own minimum holds anyway.",
)
@click.option("--carry-control", is_flag=True, help="Write the control arm too, as attribute.")
@click.option(
    "--output",
    type=AnyPath,
    help="Folder, or one .csv file; default: a folder in audiences/.",
)
@RawValues
@Replace
def audience(run_folder: Path, **asked: Any) -> None:
    """Join a list of RUN with the shop's own contacts: an import file for a platform.

    Only who consented, in neither the control arm nor the file twice. Says what became of
    each row; contacts are written to --output and nowhere else.
    """
    from segmentation.deliver.audience import write_audience

    said, paths = write_audience(run_folder, **asked)
    click.echo(said)
    for path in paths:
        click.echo(shown(path))


@click.command(
    epilog=examples(
        "segmentation contract cdnow > cdnow.odcs.yaml",
        "segmentation contract runs/cdnow > cdnow.odcs.yaml",
    )
)
@click.argument("asked", metavar="PROFILE|RUN")
def contract(asked: str) -> None:
    """Print the data contract of orders and segments: Open Data Contract Standard, YAML."""
    from segmentation.deliver.contract import contract_text

    click.echo(contract_text(asked), nl=False)


@click.command()
@Run
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "slack"]),
    default="text",
    show_default=True,
    help="Lines, all figures as JSON, or the body of a Slack message.",
)
def summary(run_folder: Path, form: str) -> None:
    """Say what RUN found in a few lines, for a message. No customer id."""
    from segmentation.deliver.run_summary import message

    click.echo(message(run_folder, form))


@click.command(
    epilog=examples(
        "segmentation score runs/cdnow/model new_customers.csv --output scored.csv",
    )
)
@click.argument("model", type=AnyPath)
@click.argument("customers", type=AnyPath, metavar="INPUT")
@click.option(
    "--output", required=True, type=FilePath, help="CSV or Parquet file to write, by its ending."
)
@RawValues
@Replace
def score(model: Path, customers: Path, output: Path, raw_values: bool, replace: bool) -> None:
    """Assign the customers in INPUT (CSV or Parquet of features) with a run's MODEL folder."""
    from segmentation.deliver.score import drift_sentences, score_file

    scored = score_file(model, customers, output, raw_values=raw_values, replace=replace)
    for line in drift_sentences(scored.drift):
        click.echo(line)
    click.echo(f"{scored.customers:,} customers assigned: {shown(output)}")


@click.command(
    epilog=examples(
        "segmentation sql runs/cdnow/model --dialect mysql > segments.sql",
    )
)
@click.argument("model", type=AnyPath)
@click.option(
    "--dialect",
    required=True,
    help="Database to write for: bigquery, databricks, duckdb, mariadb, mysql, postgres, redshift, "
    "snowflake, spark, sqlite, trino.",
)
def sql(model: Path, dialect: str) -> None:
    """Print a SELECT that assigns every row of a table `features` with a run's MODEL folder."""
    from segmentation.deliver.scoring_sql import scoring_sql

    click.echo(scoring_sql(model, dialect=dialect), nl=False)


@click.command(
    epilog=examples(
        "segmentation export runs/cdnow --mlflow segments_mlflow",
        "mlflow models serve --model-uri segments_mlflow --env-manager local",
    )
)
@Run
@click.option(
    "--mlflow",
    "output",
    required=True,
    type=FolderPath,
    help="Folder to write the model to, as code and data that MLflow loads.",
)
def export(run_folder: Path, output: Path) -> None:
    """Write RUN's model for a platform that serves MLflow models."""
    from segmentation.deliver.mlflow_model import export_mlflow

    model = export_mlflow(run_folder, output)
    click.echo(f"model {model.sha256[:12]}, {', '.join(model.features)}: {shown(output)}")


@click.command()
@click.argument("model", type=AnyPath)
@click.option(
    "--output", required=True, type=FolderPath, help="Folder to write the reduced model to."
)
@click.option(
    "--tolerance",
    type=float,
    default=0.05,
    show_default=True,
    help="Share of eps within which an anomaly flag may differ from the full model's.",
)
def reduce(model: Path, output: Path, tolerance: float) -> None:
    """Copy a run's MODEL folder without customers' rows, for serving elsewhere."""
    from segmentation.deliver.reduce import reduce_folder

    before, after = reduce_folder(model, output, tolerance=tolerance)
    click.echo(f"{before:,} core points became {after:,} grid centres: {shown(output)}")


HANDING_ON = (campaign, audience, contract, summary, score, sql, export, reduce)
