"""What several commands share: options, what they mean, and how a path or table is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from segmentation.core import completion
from segmentation.core.errors import ParameterError
from segmentation.core.parameters import value_from_text

AnyPath = click.Path(path_type=Path)
FilePath = click.Path(dir_okay=False, path_type=Path)
FolderPath = click.Path(file_okay=False, path_type=Path)

RunsDir = click.option(
    "--runs-dir",
    type=FolderPath,
    default=Path("runs"),
    show_default=True,
    help="Folder that runs are written to.",
)
ParameterFile = click.option(
    "-f",
    "--file",
    "file",
    type=FilePath,
    help="YAML file of parameters that override the profile's.",
)
SingleParameters = click.option(
    "-p",
    "--parameter",
    "pairs",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    shell_complete=completion.parameters,
    help="One parameter that overrides profile and file; may be repeated.",
)

MakeCurrent = click.option(
    "--make-current",
    is_flag=True,
    help="Let a run with -p or -f become the current one of its name.",
)
Replace = click.option(
    "--replace", is_flag=True, help="Replace a file that is there, whoever made it."
)
NoCache = click.option(
    "--no-cache",
    is_flag=True,
    help="Compute every stage anew instead of reusing results of earlier runs.",
)

RawValues = click.option(
    "--raw-values",
    is_flag=True,
    help="Write texts into CSV files as they are, for a program that is no spreadsheet.",
)


def examples(*lines: str) -> str:
    """Commands to copy, at the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def aligned(rows: list[dict[str, str]]) -> str:
    """Rows as a table for a terminal."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def values_of(pairs: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Parameters given one by one, read as YAML reads them."""
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name in values:
            raise ParameterError(f"parameters: {name} is given twice; give it once.")
        values[name] = value_from_text(text)
    return values


def shown(path: Path) -> str:
    """Path relative to here where it is below, for a line that can be copied."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
