"""Bounds of what is read: generous for every real file, small enough for any computer.

A file beyond a bound is refused before its content takes memory or time.
"""

from __future__ import annotations

MIB = 2**20

# The bundled YAML files have up to 6 kB, 700 nodes and 5 levels.
YAML_BYTES = 1 * MIB
YAML_NODES = 20_000  # keys, values, lists and mappings; about two seconds
YAML_DEPTH = 20
NUMBER_LENGTH = 40  # characters of a number

# The largest bundled table has 2.8 MB, 39,000 rows and 10 columns.
CSV_BYTES = 64 * MIB
CSV_COLUMNS = 2_000

# The bundled boundaries have 0.8 MB.
JSON_BYTES = 64 * MIB

# Memory of the columns of a Parquet file that are read at once, estimated from its footer. 4 GiB are
# 15 million records of 67 columns, or 5 million of 200. The first edition is read by state and year, so it
# may be larger by far; a later edition is read whole, and importing it takes three times this memory.
PARQUET_BYTES = 4 * 1024 * MIB

NAME_BYTES = 255  # of one part of a path, on all common file systems
SHOWN = 10  # faults or names that a message lists
WORDS = 300  # characters of a foreign message or value that a message repeats
