"""What a shell may complete: profiles, and parameters with the values they accept."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem, split_arg_string

from segmentation.core.parameters import PROFILE_FOLDER, Parameters, choices_of


def profiles(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of the shipped profiles, and YAML files and folders from here."""
    named = sorted(path.stem for path in PROFILE_FOLDER.glob("*.yaml"))
    folder = Path(begun[: begun.rfind("/") + 1] or ".")
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [begun[: begun.rfind("/") + 1] + path.name + "/" * path.is_dir() for path in found]
    files = [path for path in paths if path.endswith((".yaml", ".yml", "/"))]
    return [CompletionItem(name) for name in named + files if name.startswith(begun)]


def parameters(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of parameters with their meanings; after a name, the words it accepts."""
    words = split_arg_string(os.environ.get("COMP_WORDS", ""))
    before = words[:-1] if begun and words[-1:] == [begun] else words
    if before[-2:-1] in (["-p"], ["--parameter"]):
        choices = choices_of(before[-1]) if before[-1] in Parameters.model_fields else []
        return [CompletionItem(word) for word in choices if word.startswith(begun)]
    return names(_, __, begun)


def names(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of parameters with their meanings."""
    return [
        CompletionItem(name, help=field.description)
        for name, field in Parameters.model_fields.items()
        if name.startswith(begun)
    ]


def profiles_and_names(
    context: click.Context, option: click.Parameter, begun: str
) -> list[CompletionItem]:
    """What `segmentation params` takes."""
    return profiles(context, option, begun) + names(context, option, begun)
