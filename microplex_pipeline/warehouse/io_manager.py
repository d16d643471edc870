"""The IO manager: assets as slices of the warehouse's tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from microplex_pipeline.synthesis import FittedModel
from microplex_pipeline.warehouse.access import RUN_WAIT, reading, transaction
from microplex_pipeline.warehouse.comments import write_comments
from microplex_pipeline.warehouse.faults import NotStored, WarehouseBusy, WarehouseUnreadable
from microplex_pipeline.warehouse.held_rows import Held, HeldRows, is_small
from microplex_pipeline.warehouse.models import MODEL_COLUMNS, model_of_row, row_of_model
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import (
    UNVERSIONED,
    CheckResult,
    Place,
    Stored,
    read_versions,
    records_of,
    write_check,
    write_version,
)
from microplex_pipeline.warehouse.slices import Parts, Table, missing, replace, select

RETRIES = 23  # each after an hour of waiting: others may read the warehouse for a day
RETRY_AFTER = 10  # seconds
MADE_FROM = "made_from"  # key of an output's metadata: what the partition was made from


class Warehouse(dg.IOManager):
    """DuckDB file with a schema per asset group, a table per asset, a slice per partition.

    A write replaces exactly one partition and the record of what it was made from, in one transaction; if
    it fails, the old partition stays unchanged. Polars frames and fitted models can be stored; the type
    annotation of an asset's parameter decides which of them is loaded. It is not a configurable resource:
    the UI would show the file's path, and a run's config could change it.

    Parameters
    ----------
    database : path of the DuckDB file.
    """

    def __init__(self, database: str | Path) -> None:
        self.path = Path(database)
        self._loaded: dict[str, dict[Partition, str]] = {}
        self._stored = HeldRows()
        self._loading = ExitStack()
        self._reader: duckdb.DuckDBPyConnection | None = None  # while a step loads its inputs

    def handle_output(
        self,
        context: dg.OutputContext,
        obj: pl.DataFrame | FittedModel | Parts,
    ) -> None:
        """Store an asset's partition."""
        table = _table(context)
        partition = Partition.parse(context.asset_partition_key)
        descriptions: Mapping[str, str | None]
        if isinstance(obj, FittedModel):
            model, descriptions = row_of_model(obj, partition), MODEL_COLUMNS
            parts = Parts([model])
            columns = [
                dg.TableColumn(c, str(model.schema[c]), d) for c, d in MODEL_COLUMNS.items()
            ]
            context.add_output_metadata(
                {
                    "dagster/column_schema": dg.TableSchema(columns),
                    "model_bytes": len(model["weights"][0]),
                }
            )
        else:
            parts = obj if isinstance(obj, Parts) else Parts([obj])
            descriptions = _descriptions(context.output_metadata)
        made_from = context.output_metadata.get(MADE_FROM)
        stored = Stored(made_from.data, context.run_id) if made_from else None
        with self._transaction() as connection:
            count, rows = replace(connection, table, partition, parts, keep=is_small(obj))
            write_comments(connection, table, context.asset_spec.description, descriptions)
            write_version(connection, table.name, partition, stored)
        if rows is not None:
            held = Held(rows, stored.version if stored else UNVERSIONED)
            self._stored.hold(context.run_id, table.name, partition, held)
        context.add_output_metadata(
            {"dagster/table_name": str(table), "dagster/partition_row_count": count}
        )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame | FittedModel:
        """Load the partitions that a step's partition depends on.

        Those that this run has stored are in memory. For others, the file stays open until `end_loading`,
        since a step has several inputs and opening takes longer than reading most of them.
        """
        upstream = context.upstream_output
        assert upstream is not None, "inputs of assets have an upstream asset"
        table = _table(upstream)
        partitions = [Partition.parse(key) for key in context.asset_partition_keys]
        columns = context.definition_metadata.get("columns")
        with _as_failures():
            if not self.path.exists():
                raise missing(table)
        with _as_failures():
            try:
                if held := self._stored.find(_run_of(context), table.name, partitions):
                    rows = held.rows.select(columns) if columns else held.rows.clone()
                    self._loaded[table.name] = {partitions[0]: held.version}
                else:
                    rows = self._read(table, partitions, columns)
                kind = context.dagster_type.typing_type
                if isinstance(kind, type) and issubclass(kind, FittedModel):
                    return model_of_row(rows, kind, table)
                return rows
            except BaseException:
                self._reader = None
                self._loading.__exit__(*sys.exc_info())  # may raise it in other words
                raise

    def _read(
        self, table: Table, partitions: Sequence[Partition], columns: Sequence[str] | None
    ) -> pl.DataFrame:
        if self._reader is None:
            self._reader = self._loading.enter_context(reading(self.path, RUN_WAIT))
        rows = select(self._reader, table, partitions, columns)
        self._loaded[table.name] = read_versions(self._reader, table.name, partitions)
        return rows

    def end_loading(self) -> None:
        """Close the file: a step that has its inputs keeps no writer waiting while it computes."""
        self._reader = None
        self._loading.close()

    def loaded_versions(self, asset: str) -> dict[Partition, str]:
        """Return the versions of an asset's partitions that were loaded last.

        They were read in the same transaction as the rows, so they belong to these rows even if another run
        has replaced them since.
        """
        return self._loaded[asset]

    def stored_versions(self, asset: str, partitions: Sequence[Partition]) -> dict[Partition, str]:
        """Return the versions of an asset's partitions that are stored now."""
        if not self.path.exists():
            return dict.fromkeys(partitions, UNVERSIONED)
        with self._reading() as connection:
            return read_versions(connection, asset, partitions)

    def stored_records(self, partition: Partition) -> dict[Place, Stored]:
        """Return what is recorded of a state and year's partitions, and of the nation's of that year."""
        with self._reading() as connection:
            return records_of(connection, partition)

    def store_check(
        self, asset: str, partition: Partition, check: str, result: CheckResult
    ) -> None:
        """Store a blocking check's result."""
        with self._transaction() as connection:
            write_check(connection, asset, partition, check, result)

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self.end_loading()
        with _as_failures(), reading(self.path, RUN_WAIT) as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self.end_loading()
        with _as_failures(), transaction(self.path, RUN_WAIT) as connection:
            yield connection


@contextmanager
def _as_failures() -> Iterator[None]:
    """Turn errors of the file into failures with one message; if the file is busy, try again."""
    try:
        yield
    except WarehouseBusy as error:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER) from error
    except (WarehouseUnreadable, NotStored) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _table(context: dg.OutputContext) -> Table:
    return Table(str(context.definition_metadata["schema"]), context.asset_key.path[-1])


def _run_of(context: dg.InputContext) -> str | None:
    """Return the id of the run that loads an input; None if it is loaded outside of runs."""
    try:
        return context.step_context.run_id
    except dg.DagsterInvariantViolationError:
        return None


def _descriptions(metadata: Mapping[str, Any]) -> dict[str, str | None]:
    schema = metadata.get("dagster/column_schema")
    return {c.name: c.description for c in schema.value.columns} if schema else {}
