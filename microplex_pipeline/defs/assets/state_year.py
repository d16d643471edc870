"""What every asset shares: partitions, table, owner, metadata."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.versioned import versioned
from microplex_pipeline.defs.partitions import (
    PARTITION_EXPRESSION,
    YEAR_EXPRESSION,
    state_years,
    years,
)

OWNERS = ["team:microdata"]
KEYS = {"state": "state, postal code; US for the nation", "year": "calendar year of the amounts"}


def state_year_asset(group: str, *kinds: str, **options: Any) -> Callable[..., Any]:
    """Asset partitioned by state and year, stored as the table <group>.<name>."""
    return _asset(state_years, PARTITION_EXPRESSION, group, kinds, options)


def year_asset(group: str, *kinds: str, **options: Any) -> Callable[..., Any]:
    """Asset of the nation partitioned by year, stored as the table <group>.<name>."""
    return _asset(years, YEAR_EXPRESSION, group, kinds, options)


def _asset(
    partitions: dg.PartitionsDefinition[Any],
    expression: str | Mapping[str, str],
    group: str,
    kinds: tuple[str, ...],
    options: Mapping[str, Any],
) -> Callable[..., Any]:
    asset = dg.asset(
        partitions_def=partitions,
        group_name=group,
        kinds={"duckdb", *kinds},
        owners=OWNERS,
        metadata={"partition_expr": expression, "schema": group},
        **options,
    )
    return lambda compute: asset(versioned(compute))


def stored_records(
    records: pl.DataFrame, descriptions: Mapping[str, str], metadata: dict[str, Any]
) -> dg.MaterializeResult[pl.DataFrame]:
    """Return records to store, with metadata and their columns described."""
    described = {**KEYS, **descriptions}
    columns = [
        dg.TableColumn(name, str(dtype), description=described.get(name))
        for name, dtype in records.schema.items()
    ]
    legible = {k: _rounded(v) if isinstance(v, float) else v for k, v in metadata.items()}
    return dg.MaterializeResult(
        value=records, metadata={**legible, "dagster/column_schema": dg.TableSchema(columns)}
    )


def metadata_table(rows: pl.DataFrame) -> dg.TableMetadataValue:
    """Return a few rows as a table for the UI, its numbers rounded to what an eye takes in."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord({k: _rounded(v) if isinstance(v, float) else v for k, v in r.items()})
            for r in rows.to_dicts()
        ]
    )


def _rounded(value: float) -> float:
    """Four digits of a small number, a large one without its fraction."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))
