"""Runs random histories of a project, and looks for anything wrong that is called current.

    python -m benchmarks.current [SEQUENCES]    300 by default, in about forty minutes

See `benchmarks.current_machine` for what a history consists of. Prints how often each thing was done, and
how many partitions that were called current were compared; stops at the first that is wrong, with the history
that led to it.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.current_machine import Current

STEPS = 10


def main() -> None:
    sequences = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    logging.disable(logging.CRITICAL)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        Current.prepare(Path(folder))
        run_state_machine_as_test(
            Current,
            settings=settings(
                max_examples=sequences,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                print_blob=False,
                phases=[Phase.generate],  # a failing history is short enough to be read as it is
            ),
        )
    print("| what | times |\n| --- | --- |")
    for what, times in sorted(Current.counts.items()):
        print(f"| {what} | {times:,} |")
    print(
        f"\nup to {sequences} histories of up to {STEPS} steps in {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
