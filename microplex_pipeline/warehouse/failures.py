"""The list of failures: a CSV file beside the warehouse, for people and spreadsheets."""

from __future__ import annotations

import csv
import io
import logging
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from microplex_pipeline.data_files import inert

COLUMNS = ["when", "partition", "step", "why", "run"]
SHOWN = 120  # characters shown of a line that cannot be read

log = logging.getLogger(__name__)


class _Damaged(ValueError):
    """A file that is not a list of failures."""


def failures_file(warehouse: Path) -> Path:
    """Return the file that lists the failures of a warehouse's runs."""
    return warehouse.with_name("failures.csv")


def write_failure(warehouse: Path, run: str, partition: str, step: str, why: str) -> None:
    """Add one row: when (UTC), partition, step, why, run; skipped if the run's step is already listed.

    A row without a step describes the whole run; it is skipped if a step of that run is already listed. A
    file that is not a list of failures is moved aside. If the row cannot be written, a warning is logged
    instead of an error, so that the run's own failure is not hidden.
    """
    path = failures_file(warehouse)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            _write(path, [partition, step, inert(" ".join(why.split())), run])
    except OSError as error:
        log.warning("a failure could not be written to %s: %s", path.name, error.strerror)


def last_failures(warehouse: Path, count: int) -> list[dict[str, str]]:
    """Return the newest failures, the newest first, as dictionaries by column.

    If the file or some of its lines cannot be read, the first row says so; its step is "damaged".
    """
    path = failures_file(warehouse)
    if not path.exists():
        return []
    try:
        with FileLock(f"{path}.lock"):
            rows, unread = _rows(path)
    except _Damaged as error:
        return [_damage(path, str(error))]
    except OSError as error:
        return [_damage(path, f"it cannot be read: {error.strerror}")]
    newest = rows[: -count - 1 : -1]
    if not unread:
        return newest
    message = f"{len(unread)} of its lines cannot be read; the last one is {unread[-1][:SHOWN]!r}"
    return [_damage(path, message), *newest]


def _write(path: Path, values: list[str]) -> None:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    if path.exists():
        try:
            rows, _ = _rows(path)
        except _Damaged as error:
            _put_aside(path, str(error))
        else:
            _, step, _, run = values
            if any(row["run"] == run and step in ("", row["step"]) for row in rows):
                return
    if not path.exists():
        writer.writerow(COLUMNS)
    elif not path.read_bytes().endswith(b"\n"):
        line.write("\n")  # its last line was cut off
    writer.writerow([datetime.now(UTC).isoformat(timespec="seconds"), *values])
    with path.open("a", encoding="utf-8") as file:
        file.write(line.getvalue())


def _rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Return the failures, and the lines that cannot be read as failures."""
    if path.is_dir():
        raise _Damaged("it is a folder, not a file")
    try:
        # with or without the byte order mark that spreadsheets write
        text = path.read_bytes().decode("utf-8-sig")
        header, *lines = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except UnicodeDecodeError as error:
        raise _Damaged("it is not UTF-8") from error
    except (csv.Error, ValueError) as error:
        raise _Damaged(f"it is not a valid CSV file: {error}") from error
    if header != COLUMNS:
        raise _Damaged(f"its columns are not {', '.join(COLUMNS)}")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in lines if _is_failure(row)]
    return rows, [",".join(row) for row in lines if not _is_failure(row)]


def _is_failure(row: list[str]) -> bool:
    if len(row) != len(COLUMNS) or any("\n" in value for value in row):
        return False
    try:
        when = datetime.fromisoformat(row[0])
        when.astimezone()
    except (ValueError, OverflowError):
        return False
    return when.tzinfo is not None


def _put_aside(path: Path, why: str) -> None:
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(aside)
    log.warning("%s was damaged (%s): it was renamed to %s", path.name, why, aside.name)


def _damage(path: Path, why: str) -> dict[str, str]:
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return dict(zip(COLUMNS, [changed, path.name, "damaged", why, ""], strict=True))
