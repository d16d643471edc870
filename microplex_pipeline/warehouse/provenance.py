"""What every stored partition was made from, written in the same transaction as its rows.

A row of `provenance.versions` records the code, parameters, files and parents from which a partition was
made; its digest is the partition's version. A row of `provenance.checks` records the version and limits
with which a blocking check was run, and whether it passed. Both are in the same file as the rows, so they
stay valid if the warehouse is copied, restored or used with another history of runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from microplex_pipeline.warehouse.access import READER_WAIT
from microplex_pipeline.warehouse.comments import write_comments
from microplex_pipeline.warehouse.partition import NATION, Partition
from microplex_pipeline.warehouse.reading import existing_tables, query
from microplex_pipeline.warehouse.slices import Table, exists

VERSIONS = Table("provenance", "versions")
CHECKS = Table("provenance", "checks")
COLUMNS = {
    VERSIONS: {
        "asset": ("varchar", "name of the table, without its schema"),
        "state": ("varchar", "postal code; US for national tables"),
        "year": ("integer", "calendar year of the amounts"),
        "version": ("varchar", "digest of made_from; equal versions mean equal rows"),
        "made_from": ("varchar", "code, parameters, files and parents' versions (JSON)"),
        "run": ("varchar", "id of the Dagster run that stored the partition"),
    },
    CHECKS: {
        "asset": ("varchar", "name of the table, without its schema"),
        "state": ("varchar", "postal code; US for national tables"),
        "year": ("integer", "calendar year of the amounts"),
        "check_name": ("varchar", "name of the check"),
        "asked": (
            "varchar",
            "version of the partition and limits with which the check was run (JSON)",
        ),
        "passed": ("boolean", "whether the check passed"),
    },
}
DESCRIPTIONS = {
    VERSIONS: "One row per stored partition: what it was made from.",
    CHECKS: "One row per partition and blocking check: the last result.",
}

UNVERSIONED = "none"  # version of rows without a record, or of no rows
MadeFrom = Mapping[str, Any]
Place = tuple[str, Partition]  # asset and partition


class Stored(NamedTuple):
    """What a stored partition was made from, and the run that stored it."""

    made_from: MadeFrom
    run: str

    @property
    def version(self) -> str:
        """Digest of `made_from`."""
        return version_of(self.made_from)


class CheckResult(NamedTuple):
    """The version and limits with which a check was run, and whether it passed."""

    asked: Mapping[str, Any]
    passed: bool


def version_of(made_from: MadeFrom) -> str:
    """Return a digest that is equal for equal contents."""
    return hashlib.sha256(_json(made_from).encode()).hexdigest()[:20]


def write_version(
    connection: duckdb.DuckDBPyConnection,
    asset: str,
    partition: Partition,
    stored: Stored | None,
) -> None:
    """Replace the record of what a partition was made from.

    Parameters
    ----------
    stored : the new record; None if there is none, which leaves the partition without a version.
    """
    row = None if stored is None else [stored.version, _json(stored.made_from), stored.run]
    _replace(connection, VERSIONS, asset, partition, {}, row)


def write_check(
    connection: duckdb.DuckDBPyConnection,
    asset: str,
    partition: Partition,
    check: str,
    result: CheckResult,
) -> None:
    """Replace the stored result of a check."""
    row = [_json(result.asked), result.passed]
    _replace(connection, CHECKS, asset, partition, {"check_name": check}, row)


def read_versions(
    connection: duckdb.DuckDBPyConnection, asset: str, partitions: Iterable[Partition]
) -> dict[Partition, str]:
    """Return the version of each partition, or `UNVERSIONED`."""
    try:
        rows = connection.execute(
            f"select state, year, version from {VERSIONS} where asset = ?", [asset]
        ).fetchall()
    except duckdb.CatalogException:  # of 0.1; cheaper than to look for the table first
        rows = []
    found = {_partition(state, year): version for state, year, version in rows}
    return {partition: found.get(partition, UNVERSIONED) for partition in partitions}


def records_of(connection: duckdb.DuckDBPyConnection, partition: Partition) -> dict[Place, Stored]:
    """Return what the stored partitions of a state and year, and of the nation and year, were made from."""
    if not exists(connection, VERSIONS):
        return {}
    rows = connection.execute(
        f"select asset, state, year, made_from, run from {VERSIONS} where year = ? and state in (?, ?)",
        [partition.year, partition.state, NATION],
    ).fetchall()
    return {
        (asset, _partition(state, year)): Stored(json.loads(text), run)
        for asset, state, year, text, run in rows
    }


def stored_versions(warehouse: Path, patience: float = READER_WAIT) -> dict[Place, Stored]:
    """Return what every partition of a warehouse was made from; empty if that was never recorded."""
    if str(VERSIONS) not in existing_tables(warehouse, patience):
        return {}
    sql = f"select asset, state, year, made_from, run from {VERSIONS}"
    rows = query(warehouse, sql, patience=patience)
    return {
        (asset, _partition(state, year)): Stored(json.loads(text), run)
        for asset, state, year, text, run in rows.iter_rows()
    }


def stored_checks(
    warehouse: Path, patience: float = READER_WAIT
) -> dict[tuple[str, Partition, str], CheckResult]:
    """Return the last result of each blocking check, by asset, partition and check."""
    if str(CHECKS) not in existing_tables(warehouse, patience):
        return {}
    sql = f"select asset, state, year, check_name, asked, passed from {CHECKS}"
    rows = query(warehouse, sql, patience=patience)
    return {
        (asset, _partition(state, year), check): CheckResult(json.loads(asked), passed)
        for asset, state, year, check, asked, passed in rows.iter_rows()
    }


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    asset: str,
    partition: Partition,
    more_keys: Mapping[str, str],
    row: list[Any] | None,
) -> None:
    if not exists(connection, table):
        if row is None:
            return
        columns = ", ".join(f"{name} {dtype}" for name, (dtype, _) in COLUMNS[table].items())
        connection.execute(f"create schema if not exists {table.schema}")
        connection.execute(f"create table {table} ({columns})")
        described = {name: meaning for name, (_, meaning) in COLUMNS[table].items()}
        write_comments(connection, table, DESCRIPTIONS[table], described)
    keys: dict[str, Any] = {
        "asset": asset, "state": partition.state or NATION, "year": partition.year, **more_keys,
    }  # fmt: skip
    values = list(keys.values())
    condition = " and ".join(f"{name} = ?" for name in keys)
    connection.execute(f"delete from {table} where {condition}", values)
    if row is not None:
        places = ", ".join("?" * (len(values) + len(row)))
        connection.execute(f"insert into {table} values ({places})", [*values, *row])


def _partition(state: str, year: int) -> Partition:
    return Partition(None if state == NATION else state, year)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True)
