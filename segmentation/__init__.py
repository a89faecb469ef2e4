"""Customer segmentation that people trust with money.

Reading order, which is the order in which data flow and rooms import: `core` (words that
every room needs), `sources`, `orders`, `customers`, `segments`, `evidence`, `actions`, `run`
(the steps of all these), `deliver`, `book`; `cli` calls them. What notebooks and analysts
call is here, loaded when it is first asked for.

>>> import segmentation
>>> segmentation.Parameters(n_clusters=4).n_clusters
4
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from segmentation.core.moved import MovedModules

sys.meta_path.insert(0, MovedModules)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from segmentation.book import plots as plots
    from segmentation.book import words as words
    from segmentation.core.parameters import Parameters as Parameters
    from segmentation.run.compare_runs import open_changes as open_changes
    from segmentation.run.order_steps import clean as clean
    from segmentation.run.order_steps import customer_features as customer_features
    from segmentation.run.order_steps import hold_out as hold_out
    from segmentation.run.order_steps import read_orders as read_orders
    from segmentation.run.run import Run as Run
    from segmentation.run.run import open_run as open_run
    from segmentation.run.steps import choose_k as choose_k
    from segmentation.run.steps import dbscan as dbscan
    from segmentation.run.steps import kmeans as kmeans
    from segmentation.run.steps import name_segments as name_segments
    from segmentation.run.steps import profile_segments as profile_segments
    from segmentation.run.steps import recommend as recommend
    from segmentation.run.steps import scale as scale
    from segmentation.run.steps import score_k as score_k
    from segmentation.run.steps import stability as stability
    from segmentation.segments.model import load_model as load_model

_WHERE = {
    "open_run": "run.run",
    "Run": "run.run",
    "Parameters": "core.parameters",
    "open_changes": "run.compare_runs",
    "load_model": "segments.model",
    **dict.fromkeys(("read_orders", "clean", "customer_features", "hold_out"), "run.order_steps"),
    **dict.fromkeys(
        (
            *("scale", "score_k", "choose_k", "kmeans", "dbscan", "name_segments"),
            *("profile_segments", "stability", "recommend"),
        ),
        "run.steps",
    ),
    "plots": "book",
    "words": "book",
}
__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = import_module(f"{__name__}.{_WHERE[name]}")
    if not hasattr(room, name):  # a module of its own, such as plots
        return import_module(f"{room.__name__}.{name}")
    return getattr(room, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
