"""Faults of files and disks that any command may meet, each as one message."""

from __future__ import annotations

from microplex_pipeline.cli.places import dagster_home, near


def said_of(error: Exception) -> str | None:
    """Return what to tell of a warehouse or history that cannot be used, None of any other error."""
    # loaded here: help and wrong words are answered without them
    from sqlalchemy.exc import DatabaseError

    from microplex_pipeline.warehouse.faults import WarehouseUnreadable

    if isinstance(error, WarehouseUnreadable):
        return str(error)
    if isinstance(error, DatabaseError):
        return (
            f"Dagster's history in {near(dagster_home())} cannot be read or written: {error.orig}. "
            "Free space if its disk is full, then run this again; the warehouse's tables are whole"
        )
    return None
