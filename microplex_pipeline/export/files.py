"""Partitions of a table as files: Parquet in hive folders, others a file per state and year."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import inert_texts, lists_as_texts, write_whole
from microplex_pipeline.export.codebook import codebook, descriptions_of
from microplex_pipeline.export.stata import NotForStata, stata_names, write_stata
from microplex_pipeline.export.tax_calculator import NotForTaxCalculator, for_tax_calculator
from microplex_pipeline.warehouse.names import identifier
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import query, stored_partitions

STATE = re.compile("[A-Z]{2}")  # they and the table's name become names of files
NAME = re.compile("[a-z][a-z0-9_]*")


class CannotExport(LookupError):
    """A table or partition that is missing, or that other programs cannot use."""


def exportable(warehouse: Path, table: str) -> set[Partition]:
    """Return the states and years of a table that can be exported.

    Raises
    ------
    CannotExport
        If there is no such table, its rows are fitted models or pages, or it holds states or years that
        cannot be names of files.
    """
    columns = _columns(warehouse)
    if (kept := columns.get(table)) is None:
        frames = sorted(name for name, types in columns.items() if not _rows_are(types))
        raise CannotExport(
            f"there is no table {table!r}; there are: {', '.join(frames) or 'none'}"
        )
    if what := _rows_are(kept):
        raise CannotExport(f"the rows of {table} are {what}, which other programs cannot use")
    partitions = stored_partitions(warehouse)[table]
    for state, year in partitions:
        if not STATE.fullmatch(str(state)) or not 1000 <= year <= 9999:
            raise CannotExport(
                f"{table} holds rows of {state!r}, {year}, which is not a state and year: delete them"
            )
    return partitions


def export(
    warehouse: Path,
    folder: Path,
    table: str,
    partitions: Sequence[Partition],
    kind: str,
    labels: Mapping[str, Mapping[int, str]],
    tax_names: Mapping[str, str],
) -> Iterator[Path]:
    """Write partitions one by one and yield the path of each; the codebook comes last.

    Each file replaces that of the same partition as a whole. Parquet files leave out state and year, which
    are in the names of their folders.

    Parameters
    ----------
    folder : of all exports; files go to a folder named after the table.
    partitions : states and years that `exportable` returns.
    kind : parquet, csv, stata or taxcalc.
    labels : meanings of codes by column.
    tax_names : columns by the names that they have in Tax-Calculator's files.

    Raises
    ------
    CannotExport
        If a partition has no rows, the format cannot hold a column, or a file would be outside the folder,
        e.g. because a folder in it is a link.
    """
    schema, name = table.split(".")
    descriptions = descriptions_of(warehouse, table)
    columns = pl.Schema()
    for state, year in partitions:
        which = [state, year]
        sql = f"from {identifier(schema)}.{identifier(name)} where state = ? and year = ?"
        rows = query(warehouse, sql, which)
        if rows.is_empty():
            raise CannotExport(f"{table} has no rows of {state} {year}")
        columns = rows.schema
        if kind == "parquet":
            path = folder / name / f"year={year}" / f"state={state}" / "records.parquet"
            write_whole(_inside(folder, path), rows.drop("state", "year").write_parquet, folder)
        elif kind == "taxcalc":
            try:
                rows = for_tax_calculator(rows, tax_names)
            except NotForTaxCalculator as error:
                raise CannotExport(f"{table}, {state} {year}: {error}") from error
            columns = rows.schema
            path = folder / f"{name}_taxcalc" / f"{state}_{year}.csv"
            write_whole(_inside(folder, path), rows.write_csv)
        elif kind == "csv":
            path = folder / f"{name}_csv" / f"{state}_{year}.csv"
            write_whole(_inside(folder, path), inert_texts(lists_as_texts(rows)).write_csv)
        else:
            path = folder / f"{name}_stata" / f"{state}_{year}.dta"
            title = f"{table}, {state} {year}"
            try:
                flat = lists_as_texts(rows)
                write = partial(
                    write_stata, flat, title=title, descriptions=descriptions, labels=labels
                )
                write_whole(_inside(folder, path), write)
            except NotForStata as error:
                raise CannotExport(f"{title}: {error}") from error
        yield path
    if kind == "taxcalc":
        descriptions = {
            t: f"{c}, {descriptions[c]}" for t, c in tax_names.items() if c in descriptions
        }
        labels = {t: labels[c] for t, c in tax_names.items() if c in labels}
        name = f"{name}_taxcalc"
    book = codebook(columns, descriptions, labels)
    # beside the table's folder: readers of a folder of Parquet files want nothing else in it
    write_whole(_inside(folder, folder / f"{name}.codebook.csv"), inert_texts(book).write_csv)


def _inside(folder: Path, path: Path) -> Path:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CannotExport(
            f"{path} is outside {folder}: a folder or file in it is a link that leads elsewhere. Remove the "
            "link, or choose another folder"
        )
    return path


def cut_names(warehouse: Path, table: str) -> dict[str, str]:
    """Return the names of those columns of a table whose own are too long for Stata."""
    names = stata_names(list(_columns(warehouse)[table]))
    return {own: cut for own, cut in names.items() if own != cut}


def _columns(warehouse: Path) -> dict[str, dict[str, str]]:
    """Return the types of the columns of each table that is partitioned by state and year."""
    rows = query(
        warehouse,
        "select table_schema || '.' || table_name as name, column_name, data_type "
        "from information_schema.columns order by ordinal_position",
    )
    tables: dict[str, dict[str, str]] = {}
    for name, column, dtype in rows.iter_rows():
        tables.setdefault(name, {})[column] = dtype
    return {
        name: types
        for name, types in tables.items()
        if {"state", "year"} <= set(types) and all(map(NAME.fullmatch, name.split(".", 1)))
    }


def _rows_are(types: dict[str, str]) -> str | None:
    """Return what else than records the rows are."""
    if "BLOB" in types.values():
        return "fitted models"
    return "pages (see microplex report)" if "html" in types else None
