"""raw -> transactions -> customers -> clusters -> evidence -> actions, stage by stage.

A `Run` computes a stage of `STAGES` when a table of it is first asked for, and never
twice: results are kept in the stage cache under a key made of everything that decides them.
"""

from __future__ import annotations

import json
import os
import resource
import time
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segmentation.core import rule_files
from segmentation.core.keys import key_of
from segmentation.core.limits import AUTO_K_RANGE
from segmentation.core.notebook_parameters import parameters_from_notebook
from segmentation.core.parameters import (
    PATHS,
    Parameters,
    describe,
    resolve_path,
)
from segmentation.orders import transactions as ingest
from segmentation.run.cache import StageCache, code_fingerprint, load_result, save_results
from segmentation.run.stage import Stage
from segmentation.run.stages import GIVEN, GIVEN_BY, STAGES, stages_of
from segmentation.segments.own_labels import OWN_LABELS, read_labels
from segmentation.sources.snapshot import Snapshot
from segmentation.sources.source import shown_path

NOT_OF_THE_MODEL = {
    *("location", "tables", "columns", "currency", "gross_margin", "contact_cost"),
    *("call_cost", "own_features", "own_labels", "naming_rules", "plays"),
}
"""Parameters that are no part of a model, or would put a path of this machine into it.

Of an own source it has the name of the file."""
ASKED = "SEGMENTATION_ASKED"
"""Names the file in which the run of a report's notebook notes what it was asked for."""


_OPENED: list[weakref.ref[Run]] = []


class Run:
    """One execution with one frozen set of parameters.

    ``run["ledger"]`` or ``run.orders.ledger`` gives any result by name, computing the stages
    it needs and no others; ``run.orders`` says what there is.
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
        self._keys: dict[str, str] = {}
        self._asked: dict[str, dict[str, Run]] = {}
        self.snapshot = snapshot or Snapshot(parameters, scratch=self.cache.root)
        self.rules = rule_files.load_all(
            {name: getattr(parameters, name) for name in rule_files.SHIPPED_FILES}
        )
        self.own_labels = read_labels(parameters)

    # made when asked for: a run is gone, and its locks with it, when nobody refers to it
    orders = property(lambda self: Results(self, "orders"))
    customers = property(lambda self: Results(self, "customers"))
    segments = property(lambda self: Results(self, "segments"))
    evidence = property(lambda self: Results(self, "evidence"))
    actions = property(lambda self: Results(self, "actions"))

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
        if stage not in self._keys:
            definition, plain = STAGES[stage], self.parameters.as_plain()
            values = {name: plain[name] for name in definition.uses}
            given = [self._given(name)[1] for name in definition.inputs if name in GIVEN]
            before = [self.key(name) for name in self.needs(stage)]
            if definition.others:
                asked = stages_of(definition.others.results)
                before += [run.key(name) for run in self._others(stage).values() for name in asked]
            self._keys[stage] = key_of(stage, values, given, before, code_fingerprint())
        return self._keys[stage]

    def needs(self, stage: str) -> tuple[str, ...]:
        """Stages before a stage; the rule for k only where the profile asks it."""
        return stages_of(STAGES[stage].reads(self.parameters))

    def _given(self, name: str) -> tuple[Any, Any]:
        """An input that no stage gives, and what of it decides results."""
        if name == "snapshot":
            source = self.source
            forgotten = source.forgotten.fingerprint if source.forgotten else ""
            said = [source.name, source.sql, source.is_synthetic, forgotten, self.input_hashes]
            plain = self.parameters.as_plain()
            said += [source.own_sql, *(plain[n] for n in ("tables", "columns", "feature_labels"))]
            return self.snapshot, said
        if name in self.rules:
            return self.rules[name], rule_files.fingerprint(self.rules[name])  # a file may change
        if name == OWN_LABELS:
            if self.own_labels is None:
                return None, None
            gone = self.source.forgotten.hold(self.own_labels["customer_id"])
            left = self.own_labels[~np.array(gone)]
            return left, left.to_csv(index=False)
        if name == "of_the_model":
            plain = self.parameters.as_plain()
            plain["source"] = shown_path(plain["source"])
            card = {
                "parameters": {n: v for n, v in plain.items() if n not in NOT_OF_THE_MODEL},
                "inputs": self.input_hashes,
                "naming_rules": rule_files.fingerprint(self.rules["naming_rules"]),
            }
            return card, card
        if name == "scan_to":
            return self.scan_to, self.scan_to
        return self.progress, None

    def _others(self, stage: str) -> dict[str, Run]:
        """Runs with parameters changed that a stage may ask."""
        others = STAGES[stage].others
        if stage not in self._asked:
            known = self.parameters.only(STAGES[stage].uses)
            changed = others.changed(known) if others else {}
            self._asked[stage] = {
                n: self.with_parameters(**values) for n, values in changed.items()
            }
        return self._asked[stage]

    def _compute(self, stage: str) -> dict[str, Any]:
        """Results of a stage, from what it declares alone.

        Raises
        ------
        RuntimeError
            If it asks for or gives what it does not declare, or does not give what it does: a
            defect of the program.
        """
        definition = STAGES[stage]
        known: dict[str, Any] = {
            name: self._given(name)[0] if name in GIVEN else self[name]
            for name in definition.reads(self.parameters)
        }
        if definition.others:
            known["others"] = {
                name: partial(_result_of, run, definition)
                for name, run in self._others(stage).items()
            }
        results = definition.compute(parameters=self.parameters.only(definition.uses), **known)
        if differing := sorted(set(results) ^ set(definition.gives)):
            raise RuntimeError(f"stage {stage} gives or declares alone: {', '.join(differing)}.")
        return results

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
        key = self.key(name)
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
            save_results(folder, self._compute(name))
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
        if result not in GIVEN_BY:
            raise KeyError(f"no result {result!r}; there are {', '.join(GIVEN_BY)}")
        return load_result(self.stage(GIVEN_BY[result]), result)


class Results:
    """The results of one room by name: ``run.orders.ledger``; computed when asked for."""

    def __init__(self, run: Run, room: str) -> None:
        self._run = run
        self._room = room

    def __dir__(self) -> list[str]:
        return list(self._meanings())

    def __repr__(self) -> str:
        lines = (f"{name:20} {meaning}" for name, meaning in self._meanings().items())
        return "\n".join(lines)

    def __getattr__(self, name: str) -> Any:
        if name not in self._meanings():
            known = ", ".join(self._meanings())
            raise AttributeError(f"no result {name!r} of {self._room}; there are {known}")
        return self._run[name]

    def _meanings(self) -> dict[str, str]:
        stages = [stage for stage in STAGES.values() if stage.room == self._room]
        return {name: said for stage in stages for name, said in stage.gives.items()}


def _result_of(run: Run, stage: Stage, result: str) -> Any:
    if stage.others is None or result not in stage.others.results:
        raise RuntimeError(f"stage {stage.name} does not declare {result} of another run.")
    return run[result]


def open_run(namespace: dict[str, Any]) -> Run:
    """The run that a notebook's parameters ask for, and again whenever they are changed.

    From here on the steps that the notebook calls take their answers from it where they ask the
    same (`run.answers`).

    Raises
    ------
    ParameterError
        If papermill injected a parameter that does not exist, or one is out of range.
    """
    parameters, runs_dir = parameters_from_notebook(namespace)
    run = Run(parameters, resolve_path(runs_dir))
    _note_asked(run.rules_fingerprint)
    _OPENED[:] = [weakref.ref(run)]  # its locks go when nobody else refers to it
    return run


def opened_run() -> Run | None:
    """The run that was opened last, as long as somebody has it."""
    return _OPENED[0]() if _OPENED else None


def _note_asked(key: str) -> None:
    if noted := os.environ.get(ASKED):
        with Path(noted).open("a", encoding="utf-8") as file:
            file.write(f"{key}\n")
