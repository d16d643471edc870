"""Files of the data folder: names that stay within it, and tables read with one clear error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any

import polars as pl
from pydantic import AfterValidator


class DataFileError(ValueError):
    """A file of the data folder that is missing or cannot be used as it is."""


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if (
        name != str(path)
        or path.is_absolute()
        or PureWindowsPath(name).drive
        or {"", ".", ".."} & {*path.parts, path.name}
        or set("\\*?[]\0") & set(name)
    ):
        raise ValueError(
            f"{name!r} is no file below the data folder: give a relative path with / and without .. "
            "or wildcards"
        )
    return name


FileName = Annotated[str, AfterValidator(_stays_inside)]


def read_table(
    path: Path, columns: Sequence[str], dtypes: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """Read a CSV file that has these columns, and maybe others.

    Raises
    ------
    DataFileError
        If the file is missing, is no CSV, or lacks a column.
    """
    try:
        table = pl.read_csv(path, schema_overrides=dtypes)
    except FileNotFoundError as error:
        raise DataFileError(f"file {path.name} is not in the data folder") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        said = str(error).replace(str(path), path.name)
        raise DataFileError(f"file {path.name} cannot be read: {said}") from error
    if missing := [c for c in columns if c not in table.columns]:
        raise DataFileError(f"file {path.name} lacks columns: {', '.join(missing)}")
    return table
