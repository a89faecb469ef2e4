"""What a run reads its orders from: files, or one snapshot of a database."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from segmentation.core.atomic import scratch_folder
from segmentation.core.errors import ParameterError, SourceError, first_three
from segmentation.core.interruption import signals_held_back
from segmentation.core.keys import key_of
from segmentation.core.parameter_fields import NONE
from segmentation.core.parameters import Parameters
from segmentation.sources.engine import DuckDbEngine, Engine
from segmentation.sources.files import RawFiles
from segmentation.sources.forgotten import read_list
from segmentation.sources.mysql.address import is_database, parse_location
from segmentation.sources.mysql.engine import MySqlEngine
from segmentation.sources.source import Source, find_source
from segmentation.sources.spark.engine import SparkEngine
from segmentation.sources.spark.place import EXPORT, is_spark_place, parse_place

PIN = "SEGMENTATION_SNAPSHOT_"
"""How the environment variable begins by which a report's notebooks know its inputs."""
_TABLE, _SELECT = "table ", "SELECT"


class Snapshot:
    """The raw tables of a run, the same for every stage of it.

    A database has no file to hash: its tables are read once for a checksum, in the very
    transaction that the orders then come from. A result is thus reused only while the
    tables hold the same rows.

    ``scratch`` is the folder in which the embedded engine may put down what does not fit
    into memory; nothing stays there.
    """

    def __init__(self, parameters: Parameters, *, scratch: Path) -> None:
        self.scratch = scratch
        self.name, self.location = parameters.source, parameters.location
        self.is_database = parameters.engine == "mysql"
        self._wanted = parameters.engine
        self._time_zone = parameters.time_zone
        self._parameters = parameters
        self._engine: MySqlEngine | SparkEngine | None = None
        self._files = RawFiles(scratch, parameters.tables)
        self.checked: dict[str, Source] = {}
        """Sources whose tables, the same for all stages, were checked, by how they are read."""

    @cached_property
    def source(self) -> Source:
        """The source's SELECT and the files found for it.

        Raises
        ------
        ParameterError
            If the engine does not fit the location.
        """
        if self.is_database and not is_database(self.location):
            raise ParameterError(
                f"engine is mysql, but location is {self.location!r}; "
                "give mysql://host:port/database."
            )
        if is_database(self.location) and not self.is_database:
            raise ParameterError(
                f"location is a MySQL database, but engine is {self._wanted}; set engine: mysql, or "
                f"{EXPORT}."
            )
        if is_spark_place(self.location):
            parse_place(self.location)  # what no engine reads is said whatever the engine
            if self._wanted != "spark":
                raise ParameterError(
                    f"location is for Spark to read, but engine is {self._wanted}; "
                    "set engine: spark."
                )
        self._check_sample()
        if self._wanted == "spark" and self._parameters.own_features != NONE:
            raise ParameterError(
                "own_features is read by the engines duckdb and mysql; with engine: spark, give "
                "own_features: none."
            )
        return self._find_source()

    def _find_source(self) -> Source:
        # beside the cache, not inside: no cleaning up may bring anybody back
        listed = read_list(self.scratch.parent)
        given = self._parameters
        found = find_source(self.name, self.location, given.tables, own=given.own_features)
        return replace(
            found, forgotten=listed, columns=given.columns, own_names=tuple(given.feature_labels)
        )

    def _check_sample(self) -> None:
        parameters = self._parameters
        if parameters.fit_on == "all":
            return
        if parameters.engine != "spark":
            raise ParameterError(
                f"fit_on is {parameters.fit_on}, but engine is {parameters.engine}; customers stay "
                "on a cluster only: set engine: spark, or fit_on: all."
            )
        if parameters.cluster_output == "run" and parse_place(self.location).kind:
            raise ParameterError(
                "cluster_output is run, but the cluster cannot write into a folder of this machine; "
                "give a folder that it reaches, such as s3a://bucket/segments."
            )

    @cached_property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """Checksum and size of every raw table, as the manifest records them.

        Raises
        ------
        SourceError
            In a report's notebooks, if SELECT or files are not those that it began with.
        """
        files = self.source.files
        pinned = os.environ.get(self._pin)
        if pinned:
            recorded: dict[str, dict[str, Any]] = json.loads(pinned)
            names = {path.name for path in files.values()} or {
                _TABLE + n for n in self.source.tables
            }
            if recorded.pop(_SELECT) != self._select or set(recorded) != names:
                raise SourceError(
                    f"source {self.source.name}: its SELECT or its files changed since this report "
                    "began; run the report again."
                )
            return recorded
        if files:
            return {path.name: self._files.fingerprint(path) for path in files.values()}
        engine = self._connected()
        return {_TABLE + name: engine.fingerprint(name) for name in self.source.tables}

    @property
    def _pin(self) -> str:
        return PIN + key_of(self.name, self.location).upper()

    @property
    def _select(self) -> dict[str, str]:
        text = self.source.sql + self.source.own_sql
        return {"sha256": hashlib.sha256(text.encode()).hexdigest()}

    @property
    def spanning(self) -> dict[str, tuple[int, int]]:
        """Per table of a file: rows with a value that goes on over further lines, and those lines."""
        return self._files.spanning

    @property
    def hidden(self) -> dict[str, int]:
        """Per table of a workbook: rows that are read although a filter or somebody hides them."""
        return self._files.hidden

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Let the notebooks of a report read the stages of this very snapshot.

        Their kernels inherit the environment; without it each would look by itself and, if
        the shop has sold something meanwhile, report on other rows.
        """
        os.environ[self._pin] = json.dumps({_SELECT: self._select, **self.inputs})
        try:
            yield
        finally:
            os.environ.pop(self._pin, None)  # two profiles may read the same tables

    @contextlib.contextmanager
    def opened(self) -> Iterator[Engine]:
        """An engine on these tables; a database's stays open until `close`.

        Raises
        ------
        SourceError
            If files or a database have changed since the inputs were recorded, or while they
            were read.
        """
        if self._wanted != "duckdb":
            connected = self._connected()
            self._check_recorded(connected)
            yield connected
            connected.check_unchanged()
            self._check_source()
            return
        self._check_recorded()
        self.scratch.mkdir(parents=True, exist_ok=True)
        with scratch_folder(self.scratch / "orders") as folder:
            engine = DuckDbEngine(self._files, scratch=folder, time_zone=self._time_zone)
            try:
                yield engine
                engine.check_unchanged()
                self._check_source()
            finally:
                engine.close()

    def _connected(self) -> MySqlEngine | SparkEngine:
        if self._engine is None:
            source = self.source
            if self.is_database:
                self._engine = MySqlEngine(parse_location(self.location), self._time_zone)
            else:
                self._engine = SparkEngine(
                    parse_place(self.location), self._files, time_zone=self._time_zone
                )
            for table in source.tables:
                self._engine.bind(table, source.files.get(table))
        return self._engine

    def _check_recorded(self, engine: MySqlEngine | SparkEngine | None = None) -> None:
        found = {path.name: self._files.fingerprint(path) for path in self.source.files.values()}
        if engine is not None and not found:
            found = {_TABLE + name: engine.fingerprint(name) for name in self.source.tables}
        changed = [n for n, entry in self.inputs.items() if found[n]["sha256"] != entry["sha256"]]
        if changed:
            raise SourceError(
                f"{first_three(changed)}: changed since this report began and its results are no "
                "longer in the cache; run the report again."
            )

    def _check_source(self) -> None:
        if self._find_source() != self.source:
            raise SourceError(
                f"source {self.source.name}: its SELECT, the files of its location or the list of "
                "forgotten customers changed while they were read; run it again."
            )

    def close(self) -> None:
        """End the snapshot, if there is one."""
        with signals_held_back() as came:  # else Ctrl-C leaves half of the copies
            self._files.close()
        for number in came[:1]:
            signal.raise_signal(number)
        if self._engine is not None:
            self._engine.close()
            self._engine = None
