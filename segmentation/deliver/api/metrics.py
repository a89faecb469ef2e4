"""Metrics for Prometheus, counted in memory that all workers share.

A worker that dies takes no count with it: its slot is given to its successor.
"""

from __future__ import annotations

import mmap
import threading

import numpy as np

ENDPOINTS = (
    *("segments", "features", "forecast", "call_first", "model"),
    *("live", "ready", "metrics", "openapi", "other"),
)
STATUSES = (200, 304, 400, 401, 404, 405, 408, 413, 415, 422, 500, 503)
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
MAX_WORKERS = 64
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_COUNTERS = (
    ("customers_total", "Customers answered."),
    ("anomalies_total", "Customers answered who are anomalies."),
    ("extrapolated_total", "Customers answered with a value beyond every fitted one."),
    ("model_replacements_total", "Models that replaced another while serving."),
    ("model_failures_total", "Models that were refused; the one before stayed."),
)
_GAUGES = (
    ("in_flight", "Requests being answered."),
    ("model_loaded", "1 where a model is served."),
    ("keys_faulty", "1 where the file of API keys is missing or has a mistake."),
)

_PLACES = {name: n for n, (name, _) in enumerate(reversed((*_COUNTERS, *_GAUGES)), start=1)}
"""Place of each counter and gauge in a slot, from its end."""


class Metrics:
    """Counters of all workers; made before the workers fork."""

    def __init__(self) -> None:
        n_statuses, n_buckets = len(STATUSES) + 1, len(BUCKETS) + 1
        self._per_endpoint = n_statuses + n_buckets + 1
        self._width = len(ENDPOINTS) * self._per_endpoint + len(_COUNTERS) + len(_GAUGES)
        shared = mmap.mmap(-1, MAX_WORKERS * self._width * 8)
        self._slots = np.frombuffer(shared, dtype=np.float64).reshape(MAX_WORKERS, self._width)
        self._own = self._slots[0]
        self._lock = threading.Lock()

    def take_slot(self, slot: int) -> None:
        """Count into this slot from now on; called in a worker after it forked."""
        self._own = self._slots[slot % MAX_WORKERS]
        self._lock = threading.Lock()
        self._own[-len(_GAUGES) :] = 0

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        start = ENDPOINTS.index(endpoint) * self._per_endpoint
        place = STATUSES.index(status) if status in STATUSES else len(STATUSES)
        bucket = next((n for n, edge in enumerate(BUCKETS) if seconds <= edge), len(BUCKETS))
        with self._lock:
            self._own[start + place] += 1
            self._own[start + len(STATUSES) + 1 + bucket] += 1
            self._own[start + self._per_endpoint - 1] += seconds

    def count(self, name: str, value: float) -> None:
        """Add to a counter or gauge."""
        with self._lock:
            self._own[-_PLACES[name]] += value

    def put(self, name: str, value: float) -> None:
        """Set a counter or gauge of this worker."""
        with self._lock:
            self._own[-_PLACES[name]] = value

    def release_slot(self, slot: int) -> None:
        """The worker of this slot is gone, and what it was doing with it; its counts stay."""
        self._slots[slot % MAX_WORKERS][-len(_GAUGES) :] = 0

    def exposition(self) -> str:
        """All metrics in Prometheus' text format."""
        total = self._slots.sum(axis=0)
        lines = [
            "# HELP segmentation_requests_total Requests answered.",
            "# TYPE segmentation_requests_total counter",
        ]
        for endpoint, values in self._endpoints(total):
            for status, value in zip((*STATUSES, "other"), values, strict=False):
                if value:
                    labels = f'endpoint="{endpoint}",status="{status}"'
                    lines.append(f"segmentation_requests_total{{{labels}}} {value:.0f}")
        lines += [
            "# HELP segmentation_request_seconds Time from the read request to the answer.",
            "# TYPE segmentation_request_seconds histogram",
        ]
        for endpoint, values in self._endpoints(total):
            lines += _histogram(endpoint, values[len(STATUSES) + 1 : -1], float(values[-1]))
        for kind, named in (("counter", _COUNTERS), ("gauge", _GAUGES)):
            for name, words in named:
                full = f"segmentation_{name}"
                lines += [f"# HELP {full} {words}", f"# TYPE {full} {kind}"]
                values = self._slots[:, -_PLACES[name]]
                value = values.max() if words.startswith("1 ") else values.sum()
                lines.append(f"{full} {value:.0f}")
        return "\n".join(lines) + "\n"

    def _endpoints(self, total: np.ndarray) -> list[tuple[str, np.ndarray]]:
        size = self._per_endpoint
        return [
            (name, total[n * size : (n + 1) * size])
            for n, name in enumerate(ENDPOINTS)
            if total[n * size : (n + 1) * size].any()
        ]


def _histogram(endpoint: str, buckets: np.ndarray, seconds: float) -> list[str]:
    name = "segmentation_request_seconds"
    counts = buckets.cumsum()
    lines = [
        f'{name}_bucket{{endpoint="{endpoint}",le="{edge}"}} {count:.0f}'
        for edge, count in zip((*BUCKETS, "+Inf"), counts, strict=True)
    ]
    lines.append(f'{name}_sum{{endpoint="{endpoint}"}} {seconds:.6f}')
    lines.append(f'{name}_count{{endpoint="{endpoint}"}} {counts[-1]:.0f}')
    return lines
