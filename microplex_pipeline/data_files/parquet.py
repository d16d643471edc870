"""Parquet files: columns of plain values, and no more data than memory has room for.

The footer says how many rows there are and of which types, so a file that would take too much memory is
refused before its data are read. Constant columns compress a thousandfold: the size of the file says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files.errors import Unusable, in_one_line
from microplex_pipeline.data_files.limits import PARQUET_BYTES
from microplex_pipeline.data_files.opening import open_file

Types = Mapping[str, pl.DataType]
GIB = 2**30
# bytes of a value in memory, by its type in the file; a text also takes its own length
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "BYTE_ARRAY": 16}
WIDEST = 16


def parquet_types(path: Path) -> Types:
    """Return the columns of a file with their types.

    Raises
    ------
    OSError, Unusable, pl.exceptions.PolarsError
        If it is no such file. Call it within `reading`, which names the file.
    """
    open_file(path).close()  # polars would wait for a pipe
    return _scan(path).collect_schema()


def refuse_nested(types: Types, columns: Iterable[str]) -> None:
    """Raise Unusable if a column holds anything but numbers, texts, truth values or dates."""
    for name in columns:
        dtype = types[name]
        plain = dtype.is_numeric() or dtype.is_temporal()
        if not plain and not isinstance(
            dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum | pl.Null
        ):
            raise Unusable(
                f"has the column {name} of type {in_one_line(str(dtype))}",
                "Make it a column of numbers or texts, or leave it out",
            )


def read_rows(path: Path, columns: Sequence[str], where: Sequence[pl.Expr] = ()) -> pl.DataFrame:
    """Read columns of a file, of the rows that meet all conditions.

    Raises
    ------
    OSError, Unusable, pl.exceptions.PolarsError
        If the file is damaged, or these rows would take more memory than `PARQUET_BYTES`. Call it within
        `reading`, which names the file.
    """
    sizes, texts, rows = _footer(path)
    scan = _scan(path)
    if where:
        keys = {name for condition in where for name in condition.meta.root_names()}
        _refuse_if_large(rows, keys, sizes, texts)
        _decode(path, *_state(path))
        rows = scan.filter(*where).select(pl.len()).collect().item()
    _refuse_if_large(rows, columns, sizes, texts)
    _decode(path, *_state(path))
    found = (
        scan.filter(*where).select(columns).collect() if where else scan.select(columns).collect()
    )
    written = [c for c, dtype in found.schema.items() if isinstance(dtype, pl.String)]
    # a dictionary holds a long text once, however many rows repeat it; whatever is made of them does not
    size = (
        found.select(pl.sum_horizontal(pl.col(written).str.len_bytes().sum())).item()
        if written
        else 0
    )
    if size > PARQUET_BYTES:
        raise Unusable(f"has texts of {size / GIB:,.0f} GB in {', '.join(written)}", _REMEDY)
    return found


_REMEDY = "Check that it is the right file; if so, split it or leave out columns"


def _refuse_if_large(
    rows: int, columns: Iterable[str], sizes: Mapping[str, int], texts: Mapping[str, int]
) -> None:
    columns = list(columns)
    size = sum(rows * sizes.get(c, WIDEST) + texts.get(c, 0) for c in columns)
    if size > PARQUET_BYTES:
        raise Unusable(
            f"has {rows:,} rows to be read of {len(columns)} columns, which take {size / GIB:,.1f} GB of "
            f"memory, more than {PARQUET_BYTES / GIB:.0f} GB",
            _REMEDY,
        )


def _scan(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _footer(path: Path) -> tuple[dict[str, int], dict[str, int], int]:
    """Return bytes per value and uncompressed bytes of texts, by column, and the number of rows."""
    import pyarrow.parquet as pq

    with open_file(path) as file, _damage():
        footer = pq.read_metadata(file)
        groups = [footer.row_group(g) for g in range(footer.num_row_groups)]
        sizes, texts = {}, dict[str, int]()
        for c in range(footer.num_columns):
            column = footer.schema.column(c)
            sizes[column.path] = WIDTHS.get(column.physical_type, WIDEST)
            if column.physical_type == "BYTE_ARRAY":
                texts[column.path] = sum(g.column(c).total_uncompressed_size for g in groups)
        return sizes, texts, max(footer.num_rows, sum(g.num_rows for g in groups))


def _state(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns


@lru_cache
def _decode(path: Path, *state: int) -> None:
    """Decode a file once, piece by piece, with a reader that reports damage: polars may end the process."""
    import pyarrow.parquet as pq

    del state  # of the file: it is decoded again if it changes
    with open_file(path) as file, _damage():
        for _ in pq.ParquetFile(file).iter_batches():
            pass


@contextmanager
def _damage() -> Iterator[None]:
    """Turn pyarrow's errors into one message."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, IndexError) as fault:
        raise Unusable(
            f"is damaged or truncated: {in_one_line(str(fault))}", "Restore it or copy it again"
        ) from fault
