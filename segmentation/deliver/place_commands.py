"""Commands about places: data to begin with, tables of a database, runs, who is forgotten."""

from __future__ import annotations

from pathlib import Path

import click

from segmentation.core import completion
from segmentation.core.command_options import (
    AnyPath,
    FilePath,
    FolderPath,
    ParameterFile,
    Replace,
    RunsDir,
    SingleParameters,
    aligned,
    shown,
    values_of,
)
from segmentation.core.errors import ParameterError
from segmentation.core.parameters import resolve

DEMO_DATABASE = "mysql://127.0.0.1:3306/marketplace"


@click.command()
@click.option("--output", type=FolderPath, help="Folder to write the four CSV files to.")
@click.option(
    "--mysql",
    "location",
    is_flag=False,
    flag_value=DEMO_DATABASE,
    metavar="[LOCATION]",
    help=f"Load the tables into a MySQL database instead; default: {DEMO_DATABASE}.",
)
@Replace
def demo(output: Path | None, location: str | None, replace: bool) -> None:
    """Write the demonstration marketplace (synthetic) as CSV files, or load it into MySQL."""
    if (output is None) == (location is None):
        raise ParameterError("demo: give either --output FOLDER or --mysql [LOCATION].")
    if output is not None:
        from segmentation.sources.demo_export import write_marketplace

        for path in write_marketplace(output, replace=replace):
            click.echo(shown(path))
    elif location is not None:
        from segmentation.deliver.materialize import load_marketplace

        for table in load_marketplace(location):
            click.echo(table)


@click.command()
@click.argument("dataset", type=click.Choice(["online-retail"]))
@click.option(
    "--from-file",
    type=FilePath,
    help="Import a copy you have (.xlsx, .zip, .csv, .parquet) instead of downloading.",
)
@click.option("--url", help="Address to download from; default: the archive of UCI.")
@click.option("--sha256", help="SHA-256 that the file must have besides the published totals.")
@click.option(
    "--output",
    type=FolderPath,
    help="Folder to put it in; default: data/raw_data/online_retail_original.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=30,
    show_default=True,
    help="Seconds to wait for a server that says nothing.",
)
def fetch(
    dataset: str,
    from_file: Path | None,
    url: str | None,
    sha256: str | None,
    output: Path | None,
    timeout: float,
) -> None:
    """Download DATASET, or import a copy of it, and check it against what is published."""
    from segmentation.orders import fetch as fetching

    if from_file is not None and url is not None:
        raise ParameterError("fetch: give either --from-file or --url.")
    path, said = fetching.fetch_online_retail(
        from_file=from_file,
        url=url or fetching.URL,
        folder=(output or fetching.FOLDER).absolute(),
        sha256=sha256,
        timeout=timeout,
    )
    click.echo(said)
    click.echo(shown(path))


@click.command()
@click.argument("profile", shell_complete=completion.profiles)
@ParameterFile
@SingleParameters
@RunsDir
def materialize(
    profile: str, file: Path | None, pairs: tuple[tuple[str, str], ...], runs_dir: Path
) -> None:
    """Write PROFILE's features into its database, as table customer_segmentation_data."""
    from segmentation.deliver import materialize as tables
    from segmentation.run.run import Run

    _, parameters = resolve(profile, file=file, overrides=values_of(pairs))
    click.echo(tables.materialize(Run(parameters, runs_dir.absolute(), progress=True)))


@click.command()
@click.argument("run_folder", type=AnyPath, metavar="RUN")
@click.option(
    "--mysql", "table", required=True, metavar="TABLE", help="Table to write, one row per customer."
)
@click.option(
    "--location", help="mysql://host:port/database; default: the database that the run read."
)
@click.option("--replace", is_flag=True, help="Replace TABLE even if another program made it.")
def publish(run_folder: Path, table: str, location: str | None, replace: bool) -> None:
    """Write RUN's segments into a MySQL or MariaDB database as TABLE, with run_id and as_of."""
    from segmentation.deliver import publish as tables

    done = tables.publish(run_folder, table=table, location=location, replace=replace)
    click.echo(f"{done.customers:,} customers of run {done.run_id}: table {done.place}")


@click.command()
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@click.option("--from-file", type=FilePath, help="Text file with one customer id a line.")
@click.option("--list", "is_asked", is_flag=True, help="Say how many are on the list, never who.")
@click.option("--allow", multiple=True, metavar="CUSTOMER", help="Take a customer off the list.")
@RunsDir
def forget(
    customers: tuple[str, ...],
    from_file: Path | None,
    is_asked: bool,
    allow: tuple[str, ...],
    runs_dir: Path,
) -> None:
    """Remove each CUSTOMER from runs, models, lists and cache, and leave them out from now on.

    Ids are taken as the source has them, to the last blank; put -- before one that begins
    with a dash.
    """
    from segmentation.deliver import forget as forgetting

    said = forgetting.command(
        runs_dir.absolute(), customers, from_file=from_file, is_asked=is_asked, allowed=allow
    )
    click.echo("\n".join(said))


@click.command()
@RunsDir
@click.option("--all", "everything", is_flag=True, help="Remove all remembered results.")
@click.option(
    "--keep-runs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Remove old runs too: all but the newest N of each name that are not current.",
)
def clean(runs_dir: Path, everything: bool, keep_runs: int | None) -> None:
    """Remove remembered results that were not used for long, or are too many.

    They are computed again when they are asked for. What a running process uses stays.
    """
    from segmentation.run.cache_bounds import clean_runs

    runs_dir = runs_dir.absolute()
    click.echo(str(clean_runs(runs_dir, everything=everything)))
    if keep_runs is not None:
        from segmentation.deliver.run_places import prune

        removed = prune(runs_dir, keep_runs)
        click.echo(f"removed {len(removed):,} runs" + "".join(f"\n  {name}" for name in removed))


@click.command()
@RunsDir
@click.option("--make-current", "chosen", metavar="RUN", help="Let RUN be what readers use.")
def runs(runs_dir: Path, chosen: str | None) -> None:
    """List the runs there are, or go back to one."""
    from segmentation.deliver.run_places import make_current, runs_listed

    if chosen is not None:
        click.echo(f"{shown(make_current(runs_dir.absolute(), chosen))} is {Path(chosen).name}")
        return
    rows = runs_listed(runs_dir.absolute())
    click.echo(aligned(rows) if rows else f"no runs in {shown(runs_dir)}")


OF_PLACES = (demo, fetch, materialize, publish, forget, clean, runs)
