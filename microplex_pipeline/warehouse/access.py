"""Opening the warehouse's file: any number of readers at once, or one writer.

DuckDB lets several processes open a file for reading, or one for writing, and refuses all others at once.
Here they wait instead. A lock file beside the warehouse is the queue: a writer holds it from when it begins
to wait until it has closed the warehouse, and a reader opens the warehouse when nobody holds it. A writer
that waits for readers therefore keeps further readers out. The operating system releases the lock file and
the warehouse of a process that is killed.
"""

from __future__ import annotations

import logging
import re
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

# a reader can reach nothing but the warehouse: no other file, no network, no extension, no variable of this
# program; it cannot change these settings, and cannot take all memory or fill the disk
READ_ONLY = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "memory_limit": "4GB",
    "max_temp_directory_size": "4GB",
    "lock_configuration": "true",
}
READER_WAIT = 30.0  # seconds that a command waits before it gives up
RUN_WAIT = 3600.0  # seconds that a step of a run waits; the step is then tried again
TURN_WAIT = 10.0  # seconds after which a reader no longer waits behind a writer that itself waits
FIRST_POLL, LAST_POLL = 0.005, 0.1  # seconds; most holders need some hundredths of a second
TOLD_AFTER, TOLD_AGAIN = 2.0, 60.0  # seconds

log = logging.getLogger(__name__)


@contextmanager
def reading(path: Path, patience: float = READER_WAIT) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection that reads one state of the warehouse; other readers are not kept out.

    Parameters
    ----------
    patience : seconds to wait for writers and for other programs. After a few seconds, a warning is logged
        that says for whom.

    Raises
    ------
    FileNotFoundError
        If nothing was built yet.
    WarehouseBusy
        If the file is still being written, or open for writing in another program, after `patience` seconds.
    WarehouseUnreadable
        If the file is damaged or cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no warehouse {path.name} yet: build a state first")
    waiting = _Waiting(path, patience)
    connection = _open_to_read(path, waiting)
    waiting.end()
    try:
        yield connection
    except duckdb.Error as error:
        raise explained(path, error) or error from error
    finally:
        connection.close()


@contextmanager
def transaction(path: Path, patience: float = RUN_WAIT) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection in a transaction that commits as a whole or not at all.

    Nobody else has the file open meanwhile, so that the transaction should be short.

    Parameters
    ----------
    patience : seconds to wait for readers, other writers and other programs, with a warning as in `reading`.

    Raises
    ------
    WarehouseBusy
        If others have used the file for `patience` seconds.
    WarehouseUnreadable
        If the file or its folder cannot be used.
    """
    waiting = _Waiting(path, patience)
    turn = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not _taken(turn, TOLD_AFTER):
            waiting.go_on(_holder(path))
    except OSError as error:
        raise WarehouseUnreadable(
            f"the folder of the warehouse {path.name} cannot be written to: {error.strerror}"
        ) from error
    try:
        connection = _open_to_write(path, waiting)
        waiting.end()
        try:
            connection.execute("begin")
            yield connection
            connection.execute("commit")
        except duckdb.Error as error:
            raise explained(path, error) or error from error
        finally:
            connection.close()  # rolls back whatever was not committed
    finally:
        turn.release()


class _Waiting:
    """Waits for the file, until it has taken too long, and tells for whom and how long."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._poll = FIRST_POLL
        self._began = time.monotonic()
        self._told = self._not_yet = self._began + TOLD_AFTER - TOLD_AGAIN

    @property
    def left(self) -> float:
        """Seconds left."""
        return max(0.0, self._began + self._seconds - time.monotonic())

    def go_on(self, holder: str) -> None:
        """Sleep for a moment, or raise WarehouseBusy if it has taken too long."""
        name = self._path.name
        if not self.left:
            raise WarehouseBusy(
                f"the warehouse {name} was in use for {self._seconds:.0f} seconds by {holder}: wait until "
                "that ends, or close the warehouse there, then run this again"
            )
        now = time.monotonic()
        if now - self._told >= TOLD_AGAIN:
            log.warning("waiting for the warehouse %s, which is in use by %s", name, holder)
            self._told = now
        time.sleep(min(self._poll, self.left))
        self._poll = min(2 * self._poll, LAST_POLL)

    def end(self) -> None:
        """Tell how long it took, if somebody was told that it waits."""
        if self._told > self._not_yet:
            seconds = time.monotonic() - self._began
            log.warning("waited %.1f seconds for the warehouse %s", seconds, self._path.name)


def _open_to_read(path: Path, waiting: _Waiting) -> duckdb.DuckDBPyConnection:
    while True:
        _let_writers_pass(path, min(TURN_WAIT, waiting.left))
        try:
            return duckdb.connect(str(path), read_only=True, config=READ_ONLY)
        except duckdb.Error as error:
            holder = _holder_in(path, error)
        waiting.go_on(holder)


def _open_to_write(path: Path, waiting: _Waiting) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.Error as error:
            holder = _holder_in(path, error)
        waiting.go_on(holder)


def _let_writers_pass(path: Path, seconds: float) -> None:
    """Wait until no writer is at work or waiting, but not for long.

    Behind a writer that waits for readers, one more reader does no harm; while a writer is at work, the file
    itself cannot be opened. In a folder that one may not write to there is no queue.
    """
    turn = FileLock(f"{path}.lock")
    try:
        if _taken(turn, seconds):
            turn.release()
    except OSError:
        return


def _taken(turn: FileLock, seconds: float) -> bool:
    try:
        turn.acquire(timeout=seconds, poll_interval=FIRST_POLL)
    except Timeout:
        return False
    return True


def _holder(path: Path) -> str:
    """Return who has the file open for writing, if anybody has."""
    try:
        duckdb.connect(str(path), read_only=True, config=READ_ONLY).close()
    except duckdb.Error as error:
        return _holder_in(path, error)
    return "other builds, which are waiting themselves"


def _holder_in(path: Path, error: duckdb.Error) -> str:
    """Return who has the file open, from DuckDB's error; raise the error if that is not what is wrong."""
    if not is_open_elsewhere(error):
        raise explained(path, error) or error
    found = re.search(r"held in (?P<program>.+?) \(PID (?P<number>\d+)\)", str(error))
    if not found:
        return "another program or thread"
    number = found["number"]
    command = Path(f"/proc/{number}/cmdline")  # where the operating system tells it
    try:
        words = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        words = found["program"]
    shown = "".join(letter for letter in words if letter.isprintable()).strip()
    return f"process {number} ({shown[:100]})"
