"""Which colour a segment has: by name, the same in every chapter of a run."""

from __future__ import annotations

import pandas as pd

from segmentation.style import segment_colours


def colours_of(profile: pd.DataFrame) -> dict[str, str]:
    """Colour of every segment of a run, ranked by mean spend over all its groups."""
    spent = profile.assign(_total=profile["revenue"].astype(float)).groupby("segment")
    mean = spent["_total"].sum() / spent["customers"].sum()
    ranked = sorted(mean.index, key=lambda name: (mean[name], name))
    return segment_colours(ranked)
