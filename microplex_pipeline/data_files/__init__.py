"""One door for all files that users can edit: every one of them is read here, within bounds.

`limits` says how large a file may be, `errors` how faults are told, `opening` and `text` read bytes and
letters; `yaml_text`, `declared`, `tables`, `parquet` and `json_text` the formats. `writes` writes whole
files, `inert_cells` keeps formulas out of CSV files, and `names` says which names a file may have.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microplex_pipeline.data_files.declared import Strict, load_declared, load_mapping
    from microplex_pipeline.data_files.errors import (
        DataFileError,
        Unusable,
        in_one_line,
        lacking,
        listed,
        reading,
    )
    from microplex_pipeline.data_files.inert_cells import inert, inert_texts, lists_as_texts
    from microplex_pipeline.data_files.json_text import read_json
    from microplex_pipeline.data_files.names import FileName, user_path
    from microplex_pipeline.data_files.opening import open_file
    from microplex_pipeline.data_files.parquet import (
        Types,
        parquet_types,
        read_rows,
        refuse_nested,
    )
    from microplex_pipeline.data_files.tables import first_row, read_table
    from microplex_pipeline.data_files.writes import write_together, write_whole

__all__ = [
    "DataFileError",
    "FileName",
    "Strict",
    "Types",
    "Unusable",
    "first_row",
    "in_one_line",
    "inert",
    "inert_texts",
    "lacking",
    "listed",
    "lists_as_texts",
    "load_declared",
    "load_mapping",
    "open_file",
    "parquet_types",
    "read_json",
    "read_rows",
    "read_table",
    "reading",
    "refuse_nested",
    "user_path",
    "write_together",
    "write_whole",
]

# imported when they are first used: settings of a project need no polars
_HOMES = {
    "DataFileError": "errors",
    "FileName": "names",
    "Strict": "declared",
    "Types": "parquet",
    "Unusable": "errors",
    "first_row": "tables",
    "in_one_line": "errors",
    "inert": "inert_cells",
    "inert_texts": "inert_cells",
    "lacking": "errors",
    "listed": "errors",
    "lists_as_texts": "inert_cells",
    "load_declared": "declared",
    "load_mapping": "declared",
    "open_file": "opening",
    "parquet_types": "parquet",
    "read_json": "json_text",
    "read_rows": "parquet",
    "read_table": "tables",
    "reading": "errors",
    "refuse_nested": "parquet",
    "user_path": "names",
    "write_together": "writes",
    "write_whole": "writes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
