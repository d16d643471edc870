"""The IO manager: which client and handlers make the warehouse."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from dagster._core.storage.db_io_manager import DbIOManager

from microplex_pipeline.warehouse.client import LockedClient
from microplex_pipeline.warehouse.frames import FrameHandler
from microplex_pipeline.warehouse.models import ModelHandler


class Warehouse(DbIOManager):
    """DuckDB file with a schema per asset group, a table per asset, a slice per partition.

    A write replaces exactly its partition in one transaction, or leaves the old one as it was. No
    configurable resource: the UI would show the machine's path, and let a run's config change it.

    Parameters
    ----------
    database : the file.
    """

    def __init__(self, database: str | Path) -> None:
        super().__init__(
            db_client=LockedClient(Path(database)),
            database="",  # of tables' names; a DuckDB file has one
            type_handlers=[FrameHandler(), ModelHandler()],
            default_load_type=pl.DataFrame,
            io_manager_name="Warehouse",
        )
