"""One door for all files that users can edit: every one of them is read here, within bounds.

`limits` says how large a file may be, `errors` how faults are told, `opening` and `text` read bytes and
letters; `yaml_text`, `declared`, `tables`, `parquet` and `json_text` the formats. `writes` writes whole
files, `inert_cells` keeps formulas out of CSV files, and `names` says which names a file may have.
"""

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
from microplex_pipeline.data_files.parquet import Types, parquet_types, read_rows, refuse_nested
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
