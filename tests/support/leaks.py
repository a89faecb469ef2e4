"""What no published text may hold: tracebacks, warnings, machine paths, customer ids."""

from __future__ import annotations

import html
import re
import sys
import tempfile
from pathlib import Path

import pandas as pd
from conftest import ROOT

from segmentation.deliver.api.app import Surroundings, create_app
from segmentation.deliver.api.store import ModelStore

ABSOLUTE_PATH = re.compile(r"(?<![\w/:.<*])/[A-Za-z][\w.-]*/[\w.-]+")
WARNING = re.compile(r"\b[A-Z]\w*Warning\b|\bwarnings\.warn\b")
API_ROUTES = {
    rule.rule for rule in create_app(Surroundings(ModelStore(Path()))).url_map.iter_rules()
}
"""Look like paths and are addresses of the product."""
_TAG = re.compile(r"<[^>]*>")


def plain_text(markup: str) -> str:
    """HTML without its tags, as a reader sees it."""
    return html.unescape(_TAG.sub(" ", markup))


def ids_of(run: Path) -> set[str]:
    """Customer ids of a run that cannot be taken for an ordinary number of a page.

    Pages group their numbers (12,345) and never begin one with 0, so an id is told by a
    leading zero, a letter, or six bare digits.
    """
    ids = pd.read_parquet(run / "segments.parquet", columns=["customer_id"])["customer_id"]
    return {one for one in ids if len(one) > 5 or one.startswith("0") or not one.isdigit()}


def leaks_in(text: str, ids: set[str]) -> list[str]:
    """Every leak found in a plain text, in words."""
    paths = (hit.group() for hit in ABSOLUTE_PATH.finditer(text))
    found = [f"path {path}" for path in paths if path.rstrip(".") not in API_ROUTES]
    found += [f"warning {hit}" for hit in WARNING.findall(text)]
    here = (str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir() + "/", "site-packages")
    found += [f"path {path}" for path in here if len(path) > 2 and path in text]
    found += ["traceback"] if "Traceback (most recent call last)" in text else []
    words = set(re.findall(r"[\w.@-]+", text))
    return found + [f"customer id {one}" for one in sorted(words & ids)]
