"""raw -> transactions -> customers -> clusters -> evidence -> actions, stage by stage.

A `Run` computes a stage of `STAGES` when a table of it is first asked for, and never
twice: results are kept in the stage cache under a key made of everything that decides them.
"""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import pandas as pd

from segmentation.core import rule_files
from segmentation.core.keys import key_of
from segmentation.core.limits import AUTO_K_RANGE
from segmentation.core.parameters import (
    PATHS,
    Parameters,
    describe,
    parameters_from_notebook,
    resolve_path,
)
from segmentation.orders import transactions as ingest
from segmentation.run.cache import StageCache, code_fingerprint, load_result, save_results
from segmentation.run.stages import STAGES
from segmentation.sources.snapshot import Snapshot
from segmentation.sources.source import shown_path

ASKED = "SEGMENTATION_ASKED"
"""Names the file in which the run of a report's notebook notes what it was asked for."""


class Run:
    """One execution with one frozen set of parameters.

    ``run["ledger"]`` gives any result by name, computing the stages it needs and no
    others.
    """

    def __init__(
        self,
        parameters: Parameters,
        runs_dir: Path,
        *,
        progress: bool = False,
        snapshot: Snapshot | None = None,
        cache: StageCache | None = None,
    ) -> None:
        self.parameters = parameters
        self.cache = cache or StageCache(runs_dir / ".cache")
        self.progress = progress
        self.reused: dict[str, bool] = {}
        self.snapshot = snapshot or Snapshot(parameters, scratch=self.cache.root)
        self.rules = rule_files.load_all(
            {name: getattr(parameters, name) for name in rule_files.SHIPPED_FILES}
        )

    @property
    def rules_fingerprint(self) -> str:
        """Fingerprint of all rule files as they were read."""
        return key_of({name: rule_files.fingerprint(r) for name, r in self.rules.items()})

    @property
    def is_sampled(self) -> bool:
        """Whether models are fitted on a sample, and all other customers stay away."""
        return self.parameters.fit_on != "all"

    @property
    def source(self) -> ingest.Source:
        """The source's SELECT and the files found for it."""
        return self.snapshot.source

    @property
    def input_hashes(self) -> dict[str, str]:
        """SHA-256 of every raw table, by file name or table."""
        return {name: entry["sha256"] for name, entry in self.snapshot.inputs.items()}

    def key(self, stage: str) -> str:
        """Key of a stage: its parameters, its inputs, the stages before it, the code."""
        definition = STAGES[stage]
        plain = self.parameters.as_plain()
        values = {name: plain[name] for name in definition.uses}
        if stage == "orders":
            values |= {
                "source": self.source.name,
                "sql": self.source.sql,
                "inputs": self.input_hashes,
                "synthetic": self.source.is_synthetic,
            }
            if self.source.forgotten:
                values["forgotten"] = self.source.forgotten.fingerprint
        if stage == "tuning":
            values["scan_to"] = self.scan_to
        for name in {"naming_rules", "plays"} & set(values):
            values[name] = rule_files.fingerprint(self.rules[name])  # a file may change
        return key_of(
            stage, values, [self.key(name) for name in self.needs(stage)], code_fingerprint()
        )

    def needs(self, stage: str) -> tuple[str, ...]:
        """Stages before a stage; the rule for k only where the profile asks it."""
        asks_rule = stage == "segments" and self.parameters.n_clusters == "auto"
        return (*STAGES[stage].needs, *(("structure",) if asks_rule else ()))

    def with_parameters(self, **changed: Any) -> Run:
        """A run on the same cache and snapshot with some parameters changed."""
        return Run(
            self.parameters.model_copy(update=changed),
            self.cache.root.parent,
            progress=self.progress,
            snapshot=self.snapshot,
            cache=self.cache,
        )

    @property
    def scan_to(self) -> int:
        """Largest k that is fitted: ``auto`` always looks at its own range too."""
        parameters = self.parameters
        least = AUTO_K_RANGE[1] if parameters.n_clusters == "auto" else 2
        return max(parameters.k_max, least)

    def stage(self, name: str) -> Path:
        """Folder of a stage's results, computed first where needed."""
        definition, key = STAGES[name], self.key(name)
        _note_asked(key)
        if (found := self.cache.find(name, key)) is not None:
            self.reused.setdefault(name, True)
            return found
        for needed in self.needs(name):
            self.stage(needed)
        computed = []

        def compute(folder: Path) -> None:
            computed.append(True)
            started = time.perf_counter()
            results = definition.compute(self)
            save_results(folder, results)
            usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            cost = {
                "seconds": round(time.perf_counter() - started, 3),
                "peak_memory_mb": usage // 1024,
            }
            (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")

        folder = self.cache.get_or_compute(name, key, compute)
        self.reused.setdefault(name, not computed)
        return folder

    def parameters_table(self) -> pd.DataFrame:
        """Every parameter with its value, for a page: no path of this machine in it."""
        table = describe(self.parameters)
        for name in PATHS:
            path = shown_path(getattr(self.parameters, name))
            table.loc[table["name"] == name, "value"] = path
        return table.drop(columns="accepted")

    def __getitem__(self, result: str) -> Any:
        """Any result of any stage by its name."""
        for stage in STAGES.values():
            if result in stage.gives:
                return load_result(self.stage(stage.name), result)
        known = ", ".join(name for stage in STAGES.values() for name in stage.gives)
        raise KeyError(f"no result {result!r}; there are {known}")


def open_run(namespace: dict[str, Any]) -> Run:
    """The run that a notebook's parameters ask for; call it right after the parameters.

    Raises
    ------
    ParameterError
        If papermill injected a parameter that does not exist or is out of range.
    """
    parameters, runs_dir = parameters_from_notebook(namespace)
    run = Run(parameters, resolve_path(runs_dir))
    _note_asked(run.rules_fingerprint)
    return run


def _note_asked(key: str) -> None:
    if noted := os.environ.get(ASKED):
        with Path(noted).open("a", encoding="utf-8") as file:
            file.write(f"{key}\n")
