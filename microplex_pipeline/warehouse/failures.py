"""The list of failures: a CSV file beside the warehouse, for a person and a spreadsheet."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

COLUMNS = ["when", "partition", "step", "why", "run"]


def failures_file(warehouse: Path) -> Path:
    """Return where failures of a warehouse's runs are written down."""
    return warehouse.with_name("failures.csv")


def write_failure(warehouse: Path, run: str, partition: str, step: str, why: str) -> None:
    """Add one line: when (UTC), partition, step, why, run; none if the run's step has one.

    Without a step it is about the run as a whole, which needs none where it has any.
    """
    path = failures_file(warehouse)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    with FileLock(f"{path}.lock"):
        if not path.exists():
            writer.writerow(COLUMNS)
        elif any(row["run"] == run and step in ("", row["step"]) for row in _rows(path)):
            return
        when = datetime.now(UTC).isoformat(timespec="seconds")
        writer.writerow([when, partition, step, " ".join(why.split()), run])
        with path.open("a", encoding="utf-8") as file:
            file.write(line.getvalue())


def last_failures(warehouse: Path, count: int) -> list[dict[str, str]]:
    """Return the newest failures that were written down, the newest first, by column."""
    path = failures_file(warehouse)
    if not path.exists():
        return []
    with FileLock(f"{path}.lock"):
        return _rows(path)[: -count - 1 : -1]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
