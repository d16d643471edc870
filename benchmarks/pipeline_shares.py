"""Measures what the time of a state's run is spent on if it runs alone: computing, warehouse, Dagster.

    python -m benchmarks.pipeline_shares RI CA    builds these states of 2014 again, in this process

Prints one JSON object. Settings and history are taken from the environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from microplex_pipeline.execution.backfill import Task, build_partition
from microplex_pipeline.warehouse.io_manager import Warehouse
from microplex_pipeline.warehouse.partition import Partition

spent = {"computing": 0.0, "warehouse": 0.0}


def timed(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, made to add its wall time to that of a kind of work."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            spent[kind] += time.perf_counter() - start

    return call


def main() -> None:
    """Build the states given and print the seconds spent by kind of work."""
    for name in ("load_input", "handle_output"):
        setattr(Warehouse, name, timed("warehouse", getattr(Warehouse, name)))
    from microplex_pipeline.defs.assets import CHAIN

    for asset in CHAIN:  # the function that `versioned` wraps is in its closure
        wrapped = asset.op.compute_fn.decorated_fn
        cell = next(c for n, c in zip(wrapped.__code__.co_freevars, wrapped.__closure__, strict=True)
                    if n == "compute")  # fmt: skip
        cell.cell_contents = timed("computing", cell.cell_contents)
    start = time.perf_counter()
    for state in sys.argv[1:]:
        outcome = build_partition(
            Task("build_state", Partition(state, 2014), "shares", force=True)
        )
        if outcome.failure:
            sys.exit(outcome.failure)
    total = time.perf_counter() - start
    print(json.dumps({**spent, "dagster": total - sum(spent.values()), "total": total}))


if __name__ == "__main__":
    main()
