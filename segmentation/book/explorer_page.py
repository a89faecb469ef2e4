"""The book's explorer page: segment and margin in the browser, without a server.

The page gets the numbers that assign a segment and nothing that belongs to a customer:
no core points (they are customers' rows), no smallest or largest value.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from segmentation.book.words.text import inert
from segmentation.core.columns import FEATURES
from segmentation.core.groups import group_labels
from segmentation.segments.model import GroupModel, SegmentModel
from segmentation.segments.model_checks import why_not_exported


def browser_model(model: SegmentModel) -> dict[str, Any]:
    """The part of a model that names a segment and its margin, as plain data."""
    return {
        "features": list(model.features),
        "labels": {name: FEATURES[name].axis for name in model.features},
        "kinds": {name: FEATURES[name].kind for name in model.features},
        "splitPreRegister": model.split_pre_register,
        "groups": {
            kind: _browser_group(group, model.groups) for kind, group in model.groups.items()
        },
    }


def _browser_group(group: GroupModel, kinds: Iterable[str]) -> dict[str, Any]:
    preparation = group.preparation
    return {
        "label": group_labels(kinds)[group.segment_type],
        "features": list(preparation.features),
        "transform": preparation.transform,
        "low": [value if abs(value) < float("inf") else None for value in preparation.low.tolist()],
        "high": [
            value if abs(value) < float("inf") else None for value in preparation.high.tolist()
        ],
        "lambdas": preparation.lambdas.tolist(),
        "center": preparation.center.tolist(),
        "scale": preparation.scale.tolist(),
        "centers": group.centers.tolist(),
        "names": list(group.names),
        "sliders": {name: list(pair) for name, pair in group.reason_limits.items()},
        "medians": dict(group.medians),
    }


def explorer_section(name: str, title: str, model: SegmentModel) -> str:
    """One data set's explorer: its numbers and a place for the sliders, as raw HTML.

    Or why there is none.
    """
    if why := why_not_exported(model.info):
        return f"## {inert(title)}\n\nNo explorer: {why}.\n"
    numbers = json.dumps(browser_model(model), separators=(",", ":")).replace("<", "\\u003c")
    place = html.escape(name, quote=True)
    return (
        f"## {inert(title)}\n\n"
        "```{raw} html\n"
        f'<section class="explorer" data-model="explorer-{place}" '
        f'aria-label="Segment explorer, {html.escape(title, quote=True)}">'
        "<noscript>The explorer needs JavaScript; the chapter Using the results shows other "
        "ways to assign a customer.</noscript></section>\n"
        f'<script type="application/json" id="explorer-{place}">{numbers}</script>\n'
        "```\n"
    )


def explorer_script() -> str:
    """The script of the page, loaded from the book itself."""
    return '```{raw} html\n<script src="../_static/explorer.js"></script>\n```\n'
