"""Decorators that give every asset its partitions, table, owner and version; helpers to return records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.versioned import versioned
from microplex_pipeline.defs.code_versions import code_version as version_of_code
from microplex_pipeline.defs.partitions import state_years, years
from microplex_pipeline.warehouse.slices import Parts

OWNERS = ["team:microdata"]
KEYS = {"state": "state, postal code; US for the nation", "year": "calendar year of the amounts"}


def state_year_asset(
    group: str,
    *kinds: str,
    code_version: str,
    reads: Sequence[str] = (),
    files: Sequence[str] = (),
    **options: Any,
) -> Callable[..., Any]:
    """Return a decorator for an asset partitioned by state and year, stored as the table <group>.<name>.

    Parameters
    ----------
    group : the asset's group, and the schema of its table.
    kinds : tags that the UI shows.
    code_version : to be raised whenever the asset's code gives other results, see `defs.code_versions`.
    reads : sections of the parameters that it reads.
    files : kinds of input files that it reads beside the survey's schema, see `defs.input_files`.
    options : further arguments of `dagster.asset`.
    """
    del code_version  # `version_of_code` reads it from the source, with the digest of the code
    return _asset(state_years, group, kinds, reads, files, options)


def year_asset(
    group: str,
    *kinds: str,
    code_version: str,
    reads: Sequence[str] = (),
    files: Sequence[str] = (),
    **options: Any,
) -> Callable[..., Any]:
    """Return a decorator for a national asset, partitioned by year and stored as the table <group>.<name>.

    Parameters
    ----------
    group, kinds, code_version, reads, files, options : as for `state_year_asset`.
    """
    del code_version
    return _asset(years, group, kinds, reads, files, options)


def _asset(
    partitions: dg.PartitionsDefinition[Any],
    group: str,
    kinds: Iterable[str],
    reads: Sequence[str],
    files: Sequence[str],
    options: Mapping[str, Any],
) -> Callable[..., Any]:
    # every asset asks the schema what the columns are; it may change between two steps of a run
    files = ["survey_schema", *files]
    deps = [*options.get("deps", ()), *(dg.AssetKey(kind) for kind in files)]

    def decorated(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        code = version_of_code(compute.__name__)
        asset = dg.asset(
            partitions_def=partitions,
            group_name=group,
            kinds={"duckdb", *kinds},
            owners=OWNERS,
            code_version=code,
            metadata={
                "schema": group,
                "reads": list(reads),
                "files": list(files),
                **source_link(compute),
            },
            **{**options, "deps": deps},
        )
        definition: dg.AssetsDefinition = asset(versioned(compute, code, reads, files))
        return definition

    return decorated


def source_link(compute: Callable[..., Any]) -> dict[str, Any]:
    """Return metadata with the file and line of a function's source, for the UI."""
    module = compute.__module__.replace(".", "/")
    line = compute.__code__.co_firstlineno
    return {"source": dg.MetadataValue.path(f"{module}.py:{line}")}


def stored_records(
    records: pl.DataFrame, descriptions: Mapping[str, str], metadata: dict[str, Any]
) -> dg.MaterializeResult[pl.DataFrame]:
    """Return records to store, with metadata and descriptions of their columns."""
    described = {**KEYS, **descriptions}
    columns = [
        dg.TableColumn(name, str(dtype), description=described.get(name))
        for name, dtype in records.schema.items()
    ]
    legible = {k: _rounded(v) if isinstance(v, float) else v for k, v in metadata.items()}
    return dg.MaterializeResult(
        value=records, metadata={**legible, "dagster/column_schema": dg.TableSchema(columns)}
    )


def stored_stream(
    frames: Iterable[pl.DataFrame], descriptions: Mapping[str, str], metadata: dict[str, Any]
) -> dg.MaterializeResult[Parts]:
    """Return records that are stored part by part, as they are computed.

    Parameters
    ----------
    frames : with the columns state, year and those described, computed when they are asked for.
    """
    columns = [
        dg.TableColumn(name, description=text) for name, text in {**KEYS, **descriptions}.items()
    ]
    legible = {k: _rounded(v) if isinstance(v, float) else v for k, v in metadata.items()}
    return dg.MaterializeResult(
        value=Parts(frames), metadata={**legible, "dagster/column_schema": dg.TableSchema(columns)}
    )


def metadata_table(rows: pl.DataFrame) -> dg.TableMetadataValue:
    """Return a few rows, or none, as a table for the UI, with numbers rounded to be readable."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord({k: _rounded(v) if isinstance(v, float) else v for k, v in r.items()})
            for r in rows.to_dicts()
        ],
        # Dagster finds the types itself, but not if there are no rows
        schema=dg.TableSchema(
            [dg.TableColumn(name, _type_shown(dtype)) for name, dtype in rows.schema.items()]
        ),
    )


def _type_shown(dtype: pl.DataType) -> str:
    """Return a type by the name by which Dagster's UI aligns columns."""
    if dtype.is_numeric():
        return "int" if dtype.is_integer() else "float"
    return "bool" if dtype == pl.Boolean else "string"


def _rounded(value: float) -> float:
    """Round a number below 1000 to four significant digits, a larger one to a whole number."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))
