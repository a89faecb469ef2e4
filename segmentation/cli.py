"""The `segmentation` command: one sentence and exit code 2 for a user's mistake."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import click

from segmentation import __version__
from segmentation.core import completion
from segmentation.core.command_options import (
    AnyPath,
    FilePath,
    FolderPath,
    MakeCurrent,
    NoCache,
    ParameterFile,
    RawValues,
    Replace,
    RunsDir,
    SingleParameters,
    examples,
    shown,
    values_of,
)
from segmentation.core.endings import run_command
from segmentation.core.errors import ParameterError, first_three
from segmentation.core.parameters import (
    SHIPPED_PROFILES,
    Parameters,
    describe,
    load_yaml,
    parameters_from,
    resolve,
)
from segmentation.core.run_names import plain_name
from segmentation.deliver.commands import HANDING_ON
from segmentation.deliver.place_commands import OF_PLACES
from segmentation.run import forks


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "segmentation report                              the shipped data as a book",
        "segmentation run myshop/myshop.yaml              all stages, no book",
        'eval "$(_SEGMENTATION_COMPLETE=bash_source segmentation)"',
        "                                                 completion; also zsh_source, fish_source",
    ),
)
@click.version_option(__version__, prog_name="segmentation")
def cli() -> None:
    """Customer segmentation that people trust with money."""


@cli.command(
    epilog=examples(
        "segmentation report cdnow -p n_clusters auto",
        "segmentation report myshop/myshop.yaml",
    )
)
@click.argument("profiles", nargs=-1, shell_complete=completion.profiles)
@ParameterFile
@SingleParameters
@RunsDir
@NoCache
@MakeCurrent
def report(
    profiles: tuple[str, ...],
    file: Path | None,
    pairs: tuple[tuple[str, str], ...],
    runs_dir: Path,
    no_cache: bool,
    make_current: bool,
) -> None:
    """Run the notebooks for each PROFILE (default: the shipped ones) and build the book."""
    names = [
        resolve(profile, file=file, overrides=values_of(pairs))[0]
        for profile in profiles or SHIPPED_PROFILES
    ]
    _refuse_equal_names([plain_name(name, "profile") for name in names])
    with contextlib.suppress(OSError):  # elsewhere kernels start as Jupyter starts them
        forks.begin(*forks.NEEDED_BY_KERNELS)  # while this process imports it too
    from segmentation.book.report import make_report
    from segmentation.deliver.run_folder import stages_sentence
    from segmentation.deliver.run_places import ask

    runs_dir = runs_dir.absolute()
    asked = {
        name: ask(profile, file, values_of(pairs), runs_dir=runs_dir, make_current=make_current)
        for name, profile in zip(names, profiles or SHIPPED_PROFILES, strict=True)
    }
    made = make_report(asked, runs_dir=runs_dir, reuse=not no_cache)
    for name, folder in made.runs.items():
        click.echo(f"stages of {name}: {stages_sentence(folder)}")
        click.echo(f"notebooks of {name}: {made.notebooks_sentence(name)}")
        click.echo(f"run {name}: {shown(folder)}")
    for path in made.workbooks:
        click.echo(f"workbook: {shown(path)}")
    click.echo(f"book: {shown(made.book / 'index.html')}")


@cli.command(
    epilog=examples(
        "segmentation run myshop/myshop.yaml",
        "segmentation run cdnow -f more.yaml -p k_max 6 --name trial",
    )
)
@click.argument("profile", shell_complete=completion.profiles)
@ParameterFile
@SingleParameters
@RunsDir
@NoCache
@MakeCurrent
@click.option("--name", help="Name of the run; default: the profile's name.")
def run(
    profile: str,
    file: Path | None,
    pairs: tuple[tuple[str, str], ...],
    runs_dir: Path,
    no_cache: bool,
    make_current: bool,
    name: str | None,
) -> None:
    """Run all stages of PROFILE without notebooks; print the run folder last.

    With -p or -f it is an experiment: it gets a folder of its own, and the current run stays.
    """
    profile_name, parameters = resolve(profile, file=file, overrides=values_of(pairs))
    run_name = plain_name(profile_name, "profile") if name is None else plain_name(name, "--name")
    from segmentation.deliver.make_run import make_run
    from segmentation.deliver.run_places import ask
    from segmentation.deliver.run_summary import summary

    runs_dir = runs_dir.absolute()
    asked = ask(profile, file, values_of(pairs), runs_dir=runs_dir, make_current=make_current)
    folder = make_run(
        profile_name, parameters, runs_dir=runs_dir, name=run_name, reuse=not no_cache, asked=asked
    )
    for name, said in summary(folder, profile).items():
        click.echo(f"{name}: {said}")
    click.echo(shown(folder))


@cli.command(
    epilog=examples(
        "segmentation renew myshop/myshop.yaml            every night; recipes: deploy/README.md",
        "segmentation renew myshop/myshop.yaml --mysql segments --keep-runs 30",
    )
)
@click.argument("profile", shell_complete=completion.profiles)
@ParameterFile
@SingleParameters
@RunsDir
@NoCache
@click.option("--name", help="Name of the run; default: the profile's name.")
@click.option(
    "--changes",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write the tables of `compare` to, one with the movement of each customer.",
)
@click.option("--mysql", "table", metavar="TABLE", help="Table to publish to, as `publish` does.")
@click.option("--location", help="Its mysql://host:port/database; default: the source's.")
@click.option(
    "--keep-runs",
    "keep",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    metavar="N",
    help="Earlier runs of this name to keep; older ones are removed.",
)
def renew(
    profile: str,
    file: Path | None,
    pairs: tuple[tuple[str, str], ...],
    runs_dir: Path,
    no_cache: bool,
    name: str | None,
    **settings: Any,
) -> None:
    """Run PROFILE on a schedule: run, compare with the last, publish, remove old runs.

    The new run becomes current only when all of that is done. On the same orders as last
    time nothing changes.
    """
    from segmentation.book.words import renewed_text
    from segmentation.deliver import renew as renewing
    from segmentation.deliver.run_places import ask

    runs_dir = runs_dir.absolute()
    asked = ask(profile, file, values_of(pairs), runs_dir=runs_dir, make_current=True)
    name = plain_name(asked.profile, "profile") if name is None else plain_name(name, "--name")
    done = renewing.renew(asked, runs_dir=runs_dir, name=name, reuse=not no_cache, **settings)
    click.echo(renewed_text(done), nl=False)
    click.echo(shown(done.folder))


@cli.command(
    epilog=examples(
        "segmentation init orders_export.csv              recognised by its columns",
        "segmentation init myshop/ --from woocommerce",
    )
)
@click.argument("files", nargs=-1, required=True, type=AnyPath, metavar="FILE...")
@click.option(
    "--from",
    "shop",
    type=click.Choice(["shopify", "woocommerce", "olist", "stripe", "amazon"]),
    help="System that wrote the files; without it, they are recognised by their columns.",
)
@click.option("--output", type=FolderPath, help="Folder to write to; default: beside the files.")
@Replace
def init(files: tuple[Path, ...], shop: str | None, output: Path | None, replace: bool) -> None:
    """Draft a SELECT, a profile and a README from an export: each FILE, or a folder of them.

    Every choice is explained in the files; what only the owner knows is marked.
    """
    from segmentation.deliver.first_profile import draft

    written = draft(list(files), shop, output, replace=replace)
    for path in written:
        click.echo(shown(path))
    click.echo(f"next: segmentation check {shown(written[0])}")


@cli.command(epilog=examples("segmentation check myshop/myshop.yaml"))
@click.argument("profile", shell_complete=completion.profiles)
@ParameterFile
@SingleParameters
@RunsDir
def check(
    profile: str, file: Path | None, pairs: tuple[tuple[str, str], ...], runs_dir: Path
) -> None:
    """Read PROFILE's orders without any model: what is read, casts and joins, ledger, findings.

    Then the first customers and the SQL as run. What was computed is reused by `run`.
    """
    from segmentation.deliver.check import check_text
    from segmentation.run.run import Run

    _, parameters = resolve(profile, file=file, overrides=values_of(pairs))
    run = Run(parameters, runs_dir.absolute())
    with contextlib.closing(run.snapshot):
        click.echo(check_text(run))


@cli.command(
    epilog=examples(
        "segmentation compare runs/cdnow.1a2b3c4d runs/cdnow --output moved",
    )
)
@click.argument("before", type=AnyPath, metavar="RUN_A")
@click.argument("after", type=AnyPath, metavar="RUN_B")
@click.option(
    "--output",
    type=FolderPath,
    help="Folder to write the tables to, one with the movement of each customer.",
)
@RawValues
def compare(before: Path, after: Path, output: Path | None, raw_values: bool) -> None:
    """Say who moved from RUN_A to RUN_B, in customers and money, and whether to refit."""
    from segmentation.book.words import folders_text
    from segmentation.run.compare_runs import compare_folders

    found = compare_folders(before, after, output=output, raw_values=raw_values)
    click.echo(folders_text(found), nl=False)


@cli.command()
@click.argument("model", type=AnyPath)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=int, default=8000, show_default=True, help="Port to listen on.")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes.")
@click.option("--threads", type=int, default=64, show_default=True, help="Threads per process.")
@click.option(
    "--max-in-flight",
    type=int,
    default=16,
    show_default=True,
    help="Requests a process computes at the same time; the next gets 503, Retry-After.",
)
@click.option(
    "--keys", type=FilePath, help="File of API keys, one per line; read again when it changes."
)
@click.option(
    "--public-without-keys", is_flag=True, help="Listen beyond this machine without keys."
)
@click.option("--wait-for-model", is_flag=True, help="Start even if MODEL cannot be loaded yet.")
def serve(**settings: Any) -> None:
    """Serve a run's MODEL folder (or a file with the path of one) as an HTTP API.

    SIGHUP, or a change of MODEL, replaces the model without a pause. SIGTERM answers
    what was accepted, then stops.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from segmentation.deliver.api.server import serve as serve_model
    from segmentation.deliver.api.settings import Settings

    serve_model(Settings(**settings))


@cli.command(
    epilog=examples(
        "segmentation params cdnow                        all, with the values of a profile",
        "segmentation params n_clusters                   one",
        "segmentation params myshop.yaml -p k_max 6 --json",
    )
)
@click.argument(
    "asked", nargs=-1, metavar="[PROFILE] [NAME]...", shell_complete=completion.profiles_and_names
)
@ParameterFile
@SingleParameters
@click.option("--json", "as_json", is_flag=True, help="Print name, value, unit, … as JSON.")
def params(
    asked: tuple[str, ...], file: Path | None, pairs: tuple[tuple[str, str], ...], as_json: bool
) -> None:
    """List every parameter, or each NAME: value, unit, accepted values, meaning."""
    names = [word for word in asked if word in Parameters.model_fields]
    profiles = [word for word in asked if word not in names]
    if len(profiles) > 1:
        raise ParameterError(
            f"params: {first_three(profiles)} are no parameters; give one profile and any names."
        )
    if profiles:
        parameters = resolve(profiles[0], file=file, overrides=values_of(pairs))[1]
    else:
        parameters = parameters_from((load_yaml(file) if file else {}) | values_of(pairs))
    rows = describe(parameters).to_dict("records")
    rows = [row for row in rows if not names or row["name"] in names]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        click.echo(f"{row['name']} = {row['value']}")
        click.echo(f"    {row['meaning']}")
        click.echo(f"    unit: {row['unit']}; accepted: {row['accepted']}")


for command in (*HANDING_ON, *OF_PLACES):
    cli.add_command(command)


def _refuse_equal_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(f"profile {twice[0]} is named twice; name each profile once.")


def main() -> None:
    """Run the command that was typed."""
    run_command(lambda: cli(standalone_mode=False))
