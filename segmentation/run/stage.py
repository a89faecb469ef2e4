"""What a stage declares: what it reads, what decides it and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from segmentation.core.parameters import Parameters


@dataclass(frozen=True)
class Others:
    """Runs on the same data with parameters changed, which a stage may ask for some results.

    ``changed`` gives, by a name of its own, what is changed in each of them.
    """

    changed: Callable[[Parameters], dict[str, dict[str, Any]]]
    results: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """One step of the method.

    ``compute`` gets each of its ``inputs`` by name, and the parameters that it ``uses`` and
    no others; it returns what it ``gives``, no more and no less. Where ``others`` are
    declared, it may ask other runs. ``if_auto`` are inputs only where the profile leaves
    the number of clusters to the rule. ``room`` is where a reader looks for the results.
    """

    name: str
    room: str
    does: str
    compute: Callable[..., dict[str, Any]]
    inputs: tuple[str, ...]
    uses: tuple[str, ...]
    gives: dict[str, str]
    if_auto: tuple[str, ...] = ()
    others: Others | None = field(default=None, repr=False)

    def reads(self, parameters: Parameters) -> tuple[str, ...]:
        """Inputs under these parameters."""
        return (*self.inputs, *(self.if_auto if parameters.n_clusters == "auto" else ()))
