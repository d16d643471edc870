"""Storing and loading fitted models: one row per partition, JSON and safetensors, never a pickle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.storage.db_io_manager import DbTypeHandler, TableSlice

from microplex_pipeline.synthesis import FittedModel
from microplex_pipeline.warehouse.comments import write_comments
from microplex_pipeline.warehouse.frames import insert, select

NATION = "US"
MODEL_COLUMNS = {
    "state": "state, postal code; US for the nation",
    "year": "calendar year of the amounts",
    "kind": "which part of the synthesizer it is",
    "architecture": "names, sizes, categories (JSON)",
    "weights": "fitted parameters (safetensors)",
}


class ModelHandler(DbTypeHandler[FittedModel]):
    """Fitted models as rows: state, year, kind, architecture (JSON), weights (safetensors).

    The model of a year without states is the nation's.
    """

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """Every fitted part of a synthesizer; an input's annotation says which one."""
        return [FittedModel]

    def handle_output(
        self, context: Any, table_slice: TableSlice, obj: FittedModel, connection: Any
    ) -> dict[str, Any]:
        """Store the model as the partition's only row."""
        architecture, weights = obj.to_data()
        key = context.partition_key
        by_state = isinstance(key, dg.MultiPartitionKey)
        keys = key.keys_by_dimension if by_state else {"state": NATION, "year": key}
        row = pl.DataFrame(
            {
                "state": [keys["state"]],
                "year": pl.Series([int(keys["year"])], dtype=pl.Int32),
                "kind": [obj.kind],
                "architecture": [architecture],
                "weights": pl.Series([weights], dtype=pl.Binary),
            }
        )
        insert(table_slice, row, connection)
        write_comments(connection, table_slice, context.asset_spec.description, MODEL_COLUMNS)
        columns = [dg.TableColumn(c, str(row.schema[c]), d) for c, d in MODEL_COLUMNS.items()]
        return {
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/partition_row_count": 1,
            "model_bytes": len(weights),
        }

    def load_input(self, context: Any, table_slice: TableSlice, connection: Any) -> FittedModel:
        """Read the partition's model back, as the kind that the input is annotated with."""
        rows = select(table_slice, connection)
        if rows.height != 1:
            raise dg.Failure(
                f"{table_slice.schema}.{table_slice.table}: expected one model, found {rows.height}"
            )
        row = rows.row(0, named=True)
        kind = context.dagster_type.typing_type
        try:
            return kind.from_data(row["architecture"], row["weights"])
        except ValueError as error:
            nation = row["state"] == NATION
            partition = str(row["year"]) if nation else f"{row['state']}|{row['year']}"
            command = "backfill --force" if nation else f"build {row['state']} {row['year']}"
            raise dg.Failure(
                f"{table_slice.schema}.{table_slice.table} of {partition}: {error}. Materialize "
                f"{table_slice.table} of {partition} again, or run microplex {command}",
                allow_retries=False,
            ) from error
