"""Which colour a segment has: by name, the same in every chapter of a run."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from segmentation.core.palette import PALETTE
from segmentation.core.rule_files import with_names


def colours_of(profile: pd.DataFrame, naming_rules: dict[str, Any]) -> dict[str, str]:
    """Colour of every segment of a run, from its naming rule or from its rank.

    Parameters
    ----------
    profile : DataFrame, one row per segment
    naming_rules : dict
        As ``rule_files.load_rules`` gives them. Where two segments' rules have one colour,
        the lower in mean spend keeps it.

    Returns
    -------
    dict of name to hex colour, ascending by mean spend over all groups
        Names without a colour of their own, the highest first, take those of the palette
        that no rule has taken, then all of it again, with other markers: see
        ``style.segment_markers``.
    """
    spent = profile.assign(_total=profile["revenue"].astype(float)).groupby("segment")
    mean = spent["_total"].sum() / spent["customers"].sum()
    ranked = sorted(mean.index, key=lambda name: (mean[name], name))
    given = with_names(naming_rules)
    own: dict[str, str] = {}
    for name in ranked:
        colour = given.get(name, {}).get("colour", "").upper()
        if colour and colour not in own.values():
            own[name] = colour
    free = (colour for colour in PALETTE if colour not in own.values())
    rest = itertools.chain(free, itertools.cycle(PALETTE))
    own |= {name: next(rest) for name in reversed(ranked) if name not in own}
    return {name: own[name] for name in ranked}
