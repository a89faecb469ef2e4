"""One side of one case in this process: `python -m benchmarks.worker MODULE SIDE JSON`."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time


def main() -> None:
    """Load the input, time the work, print seconds, peak memory and the answer."""
    module, side, request = sys.argv[1:]
    work = getattr(importlib.import_module(f"benchmarks.{module}"), side)(**json.loads(request))
    started, used = time.perf_counter(), _processor_seconds()
    answer = work()
    seconds = time.perf_counter() - started
    processor = _processor_seconds() - used
    peak = max(resource.getrusage(who).ru_maxrss for who in _WHO) // 1024
    found = {"seconds": seconds, "processor": processor, "peak_mb": peak, "answer": answer}
    print(json.dumps(found))


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in _WHO]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
