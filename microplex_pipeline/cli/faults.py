"""Errors of files, disks and encodings that any command may meet, each as one message."""

from __future__ import annotations

import sys

from microplex_pipeline.cli.places import dagster_home, near


def message_of(error: Exception) -> str | None:
    """Return the message about a file, warehouse, history or encoding that cannot be used, or None."""
    if isinstance(error, UnicodeEncodeError):
        return (
            f"the output has characters that {error.encoding} cannot represent: set PYTHONIOENCODING=utf-8, "
            "then run this again"
        )
    # only loaded modules can have raised their errors: importing them here would be slow
    if "microplex_pipeline.warehouse.faults" in sys.modules:
        from microplex_pipeline.warehouse.faults import WarehouseUnreadable

        if isinstance(error, WarehouseUnreadable):
            return str(error)
    if "microplex_pipeline.data_files" in sys.modules:
        from microplex_pipeline.data_files import DataFileError

        if isinstance(error, DataFileError):
            return str(error)
    if "microplex_pipeline.survey" in sys.modules:
        from microplex_pipeline.survey import SurveyError

        if isinstance(error, SurveyError):
            return str(error)
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import DatabaseError

        if isinstance(error, DatabaseError):
            return (
                f"Dagster's history in {near(dagster_home())} cannot be read or written: {error.orig}. "
                "Free space if its disk is full, then run this again; the warehouse's tables are intact"
            )
    return None
