"""Fitted models as rows, one per partition, in JSON and safetensors (never pickle)."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.synthesis import FittedModel
from microplex_pipeline.warehouse.faults import NotStored
from microplex_pipeline.warehouse.partition import NATION, Partition
from microplex_pipeline.warehouse.slices import Table

MODEL_COLUMNS = {
    "state": "state, postal code; US for the nation",
    "year": "calendar year of the amounts",
    "kind": "part of the synthesizer: transformer, zero_model, flow, prior or national_compositions",
    "architecture": "names, sizes, categories (JSON)",
    "weights": "fitted parameters (safetensors)",
}


def row_of_model(model: FittedModel, partition: Partition) -> pl.DataFrame:
    """Return the row that stores a model; the model of a partition without a state is the nation's."""
    architecture, weights = model.to_data()
    return pl.DataFrame(
        {
            "state": [partition.state or NATION],
            "year": pl.Series([partition.year], dtype=pl.Int32),
            "kind": [model.kind],
            "architecture": [architecture],
            "weights": pl.Series([weights], dtype=pl.Binary),
        }
    )


def model_of_row(rows: pl.DataFrame, kind: type[FittedModel], table: Table) -> FittedModel:
    """Return the model in a partition's only row, which must be of the given kind.

    Raises
    ------
    NotStored
        If there is not exactly one row, or the row is damaged or of another kind.
    """
    if rows.height != 1:
        raise NotStored(f"{table}: expected one model, found {rows.height}")
    row = rows.row(0, named=True)
    try:
        return kind.from_data(row["architecture"], row["weights"])
    except ValueError as error:
        partition = Partition(None if row["state"] == NATION else row["state"], row["year"])
        command = "backfill --force" if partition.state is None else f"build {partition}"
        raise NotStored(
            f"{table} of {partition}: {error}. Materialize {table.name} of {partition} again, or run "
            f"microplex {command}"
        ) from error
