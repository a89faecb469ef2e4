"""Structured logs: one JSON object per line, request ids, no customer values.

A log that cannot be written (disk full) never costs an answer.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any


class JsonLines(logging.Formatter):
    """One line of JSON per record, time in UTC; line breaks cannot split it."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; ``fields`` given with it become keys."""
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=True)


def configure_logs() -> None:
    """Send the API's and the server's records to standard error as JSON lines."""
    logging.raiseExceptions = False
    logging._srcfile = None  # type: ignore[attr-defined]  # documented: spares the walk up the stack
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("segmentation.deliver.api", "gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
