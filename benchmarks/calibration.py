"""Calibration compared with peers on the bundled survey: error, records kept, dispersion, cost.

    python -m benchmarks.calibration                                     everything
    python -m benchmarks.calibration --problems California --methods "ours chi2" "R linear"
    python -m benchmarks.calibration --parts areas                       only small areas

Each run is a process of its own with one thread. Results go to docs/benchmarks/calibration.parquet,
where other runs keep their rows. The page and its chart are then written from all rows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import CHECKOUT
from benchmarks.calibration_areas import measured_areas
from benchmarks.calibration_methods import METHODS, applies, installed_version
from benchmarks.calibration_page import write_page
from benchmarks.calibration_problems import PROBLEMS
from benchmarks.calibration_runs import run, store

OUT = CHECKOUT / "docs" / "benchmarks"
RESULTS = OUT / "calibration.parquet"
PARTS = ["weights", "areas"]
AREAS = OUT / "calibration_areas.parquet"
LIMIT = 300  # CPU seconds per run


def measured(problem: str, methods: list[str], limit: int) -> Iterator[dict[str, Any]]:
    """Run methods on a problem; yield one row each."""
    built = PROBLEMS[problem]()
    targets, records = built.constraints.matrix.shape
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store(built, folder)
        for method in methods:
            package = METHODS[method].package
            installed = installed_version(package)
            row = {
                "problem": problem, "targets": targets, "records": records, "method": method,
                "kind": METHODS[method].kind, "package": package, "version": installed,
            }  # fmt: skip
            row |= (
                run("benchmarks.calibration_single", [name, method], limit)
                if installed
                else {"outcome": "not installed"}
            )
            print(row, flush=True)
            yield row


def keep(row: dict[str, Any]) -> None:
    """Add a row to the stored results; it replaces an older one of the same problem and method."""
    results = pl.DataFrame([row])
    if RESULTS.exists():
        kept = pl.read_parquet(RESULTS).join(results, on=["problem", "method"], how="anti")
        results = pl.concat([kept, results], how="diagonal_relaxed")
    problems = {name: i for i, name in enumerate(PROBLEMS)}
    methods = {name: i for i, name in enumerate(METHODS)}
    results.sort(
        pl.col("problem").replace_strict(problems, default=len(problems)),
        pl.col("method").replace_strict(methods, default=len(methods)),
        maintain_order=True,
    ).write_parquet(RESULTS)


def stored(path: Path) -> pl.DataFrame | None:
    """Return the rows stored in a file, or None if it does not exist."""
    return pl.read_parquet(path) if path.exists() else None


def main() -> None:
    """Run the chosen methods and problems; write their results, and the page of all results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--problems", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--limit", type=int, default=LIMIT, help="CPU seconds per run")
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    if "weights" in arguments.parts:
        for problem in arguments.problems:
            methods = [method for method in arguments.methods if applies(problem, method)]
            for row in measured(problem, methods, arguments.limit):
                keep(row)
    if "areas" in arguments.parts:
        pl.DataFrame(measured_areas(arguments.limit), infer_schema_length=None).write_parquet(
            AREAS
        )
    print(write_page(stored(RESULTS), stored(AREAS), OUT))


if __name__ == "__main__":
    main()
