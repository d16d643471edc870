"""Compares the rows of two warehouses table by table, to the byte.

    python -m benchmarks.same_tables BEFORE.duckdb AFTER.duckdb

Prints one line per table and partition with the digest of its rows, in the order in which they are stored.
Of report pages (columns named html) the numbers that a reader sees are compared, not words and layout.
To compare two versions of the code, build the same partitions with each version on the same machine, each
into a warehouse of its own (set MICROPLEX_WAREHOUSE). Exit code 1 if any table differs or is missing.
"""

from __future__ import annotations

import hashlib
import html
import re
import sys
from pathlib import Path

import duckdb
import polars as pl

# code, marks, and the commit
UNSEEN = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>|\b[0-9a-f]{40}\b", re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# schemas without rows of partitions
SKIPPED = ("information_schema", "pg_catalog", "provenance")


def digests(warehouse: Path) -> dict[tuple[str, str], str]:
    """Return the digest of each table's rows of each state and year."""
    found = {}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() order by all"
        ).fetchall()
        for schema, table in tables:
            if schema in SKIPPED:
                continue
            rows = pl.DataFrame(connection.execute(f'from "{schema}"."{table}"').to_arrow_table())
            for (state, year), part in rows.group_by(["state", "year"], maintain_order=True):
                found[f"{schema}.{table}", f"{state} {year}"] = _digest(part)
    return found


def _digest(rows: pl.DataFrame) -> str:
    """Return a digest of column names, types and values; floats are compared by their bits."""
    digest = hashlib.sha256(repr(list(rows.schema.items())).encode())
    for column in rows:
        if column.dtype.is_float():
            column = column.reinterpret(signed=False)
        for value in column:
            if column.name == "html":
                value = " ".join(NUMBER.findall(html.unescape(UNSEEN.sub(" ", value))))
            digest.update(value if isinstance(value, bytes) else repr(value).encode())
            digest.update(b"\0")
    return digest.hexdigest()[:16]


def main(before: str, after: str) -> int:
    """Print the comparison; return the exit code."""
    first, second = digests(Path(before)), digests(Path(after))
    differing = 0
    for place in sorted({*first, *second}):
        a, b = first.get(place), second.get(place)
        differing += a != b
        message = f"same       {a}" if a == b else f"DIFFERENT  {a} {b}"
        print(f"{place[0]:40}{place[1]:10}{message}")
    print(f"{len({*first, *second}) - differing} the same, {differing} different")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
