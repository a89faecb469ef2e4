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
    started = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "answer": answer}))


if __name__ == "__main__":
    main()
