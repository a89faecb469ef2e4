"""The model being served, and its replacement by a newer one while requests run."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segmentation.core.errors import ModelError
from segmentation.deliver.api.contract import Contract, contract_of
from segmentation.segments.model import CORE_POINTS_FILE, MODEL_FILE, SegmentModel, load_model

MAX_POINTER_BYTES = 4096
logger = logging.getLogger("segmentation.deliver.api")


@dataclass(frozen=True)
class Serving:
    """One loaded model and all that is derived from it; never changed, only replaced.

    A request takes it once and uses nothing else, so no answer mixes two models.
    """

    model: SegmentModel
    sha256: str

    @cached_property
    def contract(self) -> Contract:
        """What the model accepts."""
        return contract_of(self.model)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """Which model an answer comes from."""
        info = self.model.info
        return {
            "source": str(info.get("source", "")),
            "as_of": str(info.get("as_of", "")),
            "sha256": self.sha256,
        }

    def warm_up(self) -> None:
        """Build trees and validators before the first request needs them."""
        contract = self.contract
        for adapter in (contract.rows, contract.row, contract.table):
            adapter.rebuild(force=False)
        for group in self.model.groups.values():
            middle = [[group.medians.get(name, 0.0) for name in group.preparation.features]]
            group.assign(np.array(middle, dtype=np.float64))


class ModelStore:
    """Where the model comes from, and the one being served.

    Parameters
    ----------
    path : Path
        A ``model/`` folder, or a pointer: a text file with the path of one (relative
        to the pointer). Replacing either replaces the model served.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.current: Serving | None = None
        self.failure: str = "no model has been loaded yet"
        self.failures = 0
        self.replacements = 0
        self._seen: object = None
        self._lock = threading.Lock()

    def load(self) -> Serving:
        """Load the model now.

        Raises
        ------
        ModelError
            In one sentence; what was served before is still served.
        """
        with self._lock:
            self._seen = self._signature()
            try:
                serving = self._loaded()
            except ModelError as error:
                self.failure = str(error)
                self.failures += 1
                raise
            if self.current is not None and self.current.sha256 != serving.sha256:
                self.replacements += 1
            self.current, self.failure = serving, ""
            return serving

    def refresh(self, *, force: bool = False) -> bool:
        """Load again if the files changed; keep the old model if the new one is bad.

        Returns
        -------
        bool
            True if a model was loaded.
        """
        if not force and self._signature() == self._seen:
            return False
        before = self.current
        try:
            serving = self.load()
        except ModelError:
            logger.error("model_refused", extra={"fields": {"kept": before is not None}})
            return False
        same = before is not None and before.sha256 == serving.sha256
        logger.info("model_loaded", extra={"fields": {"sha256": serving.sha256, "same": same}})
        return True

    def folder(self) -> Path:
        """The model folder, by the pointer where there is one.

        Raises
        ------
        ModelError
            If the pointer cannot be read.
        """
        if not self.path.is_file():
            return self.path
        try:
            if self.path.stat().st_size > MAX_POINTER_BYTES:
                raise ValueError("too long")
            named = self.path.read_text(encoding="utf-8").strip()
            if not named or "\n" in named or "\x00" in named:
                raise ValueError("no path")
        except (OSError, ValueError):
            raise ModelError(
                f"{self.path}: is neither a model folder nor a file with the path of one."
            ) from None
        return self.path.parent / named

    def _loaded(self) -> Serving:
        model = load_model(self.folder(), to_export=True)
        serving = Serving(model, model.sha256)
        serving.warm_up()
        return serving

    def _signature(self) -> object:
        try:
            folder = self.folder()
        except ModelError:
            return None
        return (str(folder), *(_stamp(folder / name) for name in (MODEL_FILE, CORE_POINTS_FILE)))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
