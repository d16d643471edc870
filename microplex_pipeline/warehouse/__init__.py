"""The warehouse: a DuckDB file in which every asset is a table and every partition a slice of it."""

from microplex_pipeline.warehouse.io_manager import Warehouse

__all__ = ["Warehouse"]
