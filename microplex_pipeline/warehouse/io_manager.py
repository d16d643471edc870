"""The IO manager: which client and handlers make the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from dagster._core.storage.db_io_manager import DbIOManager, DbTypeHandler
from dagster_duckdb import DuckDBIOManager

from microplex_pipeline.warehouse.client import LockedClient
from microplex_pipeline.warehouse.frames import FrameHandler
from microplex_pipeline.warehouse.models import ModelHandler


class Warehouse(DuckDBIOManager):
    """DuckDB file with a schema per asset group, a table per asset, a slice per partition.

    A write replaces exactly its partition in one transaction, or leaves the old one as it was.
    """

    @staticmethod
    def type_handlers() -> Sequence[DbTypeHandler]:
        """Frames and fitted models."""
        return [FrameHandler(), ModelHandler()]

    @staticmethod
    def default_load_type() -> type | None:
        """Inputs without annotation are frames."""
        return pl.DataFrame

    def create_io_manager(self, context: Any) -> DbIOManager:
        """Build the manager on the locked client; the stock one has its client wired in."""
        return DbIOManager(
            db_client=LockedClient(),
            database=self.database,
            schema=self.schema_,
            type_handlers=self.type_handlers(),
            default_load_type=self.default_load_type(),
            io_manager_name="Warehouse",
        )
