"""Errors of the warehouse's file, each with one message that says what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb

CLOSED = [os.strerror(number) for number in (errno.EACCES, errno.EPERM, errno.EROFS)]
FULL = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]


class WarehouseUnreadable(duckdb.IOException):
    """The warehouse's file cannot be opened, read or written."""


class WarehouseBusy(WarehouseUnreadable):
    """Another process has the warehouse open; it may be available in a moment."""


class NotStored(LookupError):
    """A partition that is not stored, or rows that cannot be stored."""


def explained(warehouse: Path, error: duckdb.Error) -> WarehouseUnreadable | None:
    """Return an error that says what is wrong with the file and what to do; None if it is not at fault."""
    message = str(error).replace(f"{warehouse.parent}{os.sep}", "")
    if any(full in message for full in FULL):
        return WarehouseUnreadable(
            f"no space is left for the warehouse {warehouse.name} ({message}). Its tables are unchanged: "
            "free space on its disk, then run this again"
        )
    if any(closed in message for closed in CLOSED):
        return WarehouseUnreadable(
            f"the warehouse {warehouse.name} or its folder may not be read or written ({message}): "
            "change its permissions"
        )
    damage = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException)
    # DuckDB 2 has no class of its own for a corrupt database
    if (
        isinstance(error, (*damage, duckdb.SerializationException))
        or "Corrupt database" in message
    ):
        return WarehouseUnreadable(
            f"the warehouse {warehouse.name} cannot be opened or read: {message}. If it is damaged, "
            "move it away and restore a copy, or build the partitions again"
        )
    return None


def is_open_elsewhere(error: duckdb.Error) -> bool:
    """Return whether a file could not be opened because another process or thread has it open."""
    elsewhere = isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)
    # another thread of this process has it open for writing, or for reading
    here = isinstance(error, duckdb.ConnectionException) and "same database file" in str(error)
    return elsewhere or here
