"""What is wrong with the warehouse's file, told to a person."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb

FULL = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]


class WarehouseUnreadable(duckdb.IOException):
    """A file that DuckDB cannot open or read."""


def fault_of(warehouse: Path, error: duckdb.Error) -> str | None:
    """Return what is wrong with the file and what to do, None if an error has another cause."""
    said = str(error).replace(f"{warehouse.parent}{os.sep}", "")
    if any(full in said for full in FULL):
        return (
            f"no space is left for the warehouse {warehouse.name} ({said}). Its tables keep what "
            "they had: free space on its disk, then run this again"
        )
    if is_open_elsewhere(error):
        return (
            f"the warehouse {warehouse.name} is open in another program ({said}). Close it there "
            "(read-only connections block too), then run this again"
        )
    damage = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException)
    # the last one is an error without a class of its own in DuckDB 2
    if isinstance(error, (*damage, duckdb.SerializationException)) or "Corrupt database" in said:
        return (
            f"the warehouse {warehouse.name} cannot be opened or read: {said}. If it is damaged, "
            "put it aside and restore a copy, or build the partitions again"
        )
    return None


def is_open_elsewhere(error: duckdb.Error) -> bool:
    """Return whether a file could not be opened because another program has it open."""
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)
