"""Short transactions on the warehouse's file, one at a time across all threads and processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from microplex_pipeline.warehouse.faults import (
    WarehouseBusy,
    WarehouseUnreadable,
    explained,
    is_open_elsewhere,
)

FOREIGN_LOCK_WAIT = 30.0  # seconds to wait for a program outside the pipeline
QUEUE_WAIT = 600.0  # seconds to wait for other runs
QUEUE_POLL = 0.005  # seconds; a transaction takes about ten times as long


@contextmanager
def transaction(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection in a transaction that commits as a whole or not at all.

    DuckDB lets only one process at a time open a file for writing. Runs hold it for milliseconds and queue
    on a lock file; the operating system releases the lock of a run that is killed.

    Raises
    ------
    WarehouseBusy
        If another run or program holds the file for too long.
    WarehouseUnreadable
        If the file or its folder cannot be used.
    """
    lock = FileLock(f"{path}.lock", timeout=QUEUE_WAIT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=QUEUE_POLL)
    except Timeout as error:
        raise WarehouseBusy(
            f"another run has held the warehouse {path.name} for {QUEUE_WAIT:.0f} seconds: "
            "stop a run that hangs, then run this again"
        ) from error
    except OSError as error:
        raise WarehouseUnreadable(
            f"the folder of the warehouse {path.name} cannot be written to: {error.strerror}"
        ) from error
    try:
        connection = _open(path)
        try:
            connection.execute("begin")
            yield connection
            connection.execute("commit")
        except duckdb.Error as error:
            if fault := explained(path, error):
                raise fault from error
            raise
        finally:
            connection.close()  # rolls back whatever was not committed
    finally:
        lock.release()


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file; wait for a while if a program outside the pipeline has it open."""
    deadline = time.monotonic() + FOREIGN_LOCK_WAIT
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.Error as error:
            if is_open_elsewhere(error) and time.monotonic() < deadline:
                time.sleep(0.25)
            elif fault := explained(path, error):
                raise fault from error
            else:
                raise
