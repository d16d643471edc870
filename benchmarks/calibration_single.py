"""One method on one stored problem, in the process that `calibration_runs.run` starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.calibration_methods import METHODS
from benchmarks.calibration_runs import load, measure


def main() -> None:
    """Measure the method on the problem and print the row as JSON."""
    folder, method = sys.argv[1:]
    print(json.dumps(measure(load(Path(folder)), METHODS[method])))
