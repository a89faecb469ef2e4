"""`segmentation score` of a file of customers: seconds and memory as the file grows."""

from __future__ import annotations

from benchmarks.scoring import agree
from benchmarks.scoring import file_ours as ours

__all__ = ["agree", "ours"]
