"""Files: names that stay in the data folder, tables and YAML read with one clear error, whole writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, TypeVar

import polars as pl
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


class Strict(BaseModel):
    """What a file declares: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Declared = TypeVar("Declared", bound=Strict)


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
    path: Path,
    columns: Sequence[str],
    dtypes: Mapping[str, Any] | None = None,
    *,
    text: bool = False,
) -> pl.DataFrame:
    """Read a CSV file that has these columns, and maybe others.

    Parameters
    ----------
    dtypes : of some columns; the others' are inferred.
    text : read all of them as text instead.

    Raises
    ------
    DataFileError
        If the file is missing, is no CSV, or lacks a column.
    """
    try:
        table = pl.read_csv(path, schema_overrides=dtypes, infer_schema=not text)
    except FileNotFoundError as error:
        raise DataFileError(f"file {path.name} is not in the data folder") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        said = str(error).replace(str(path), path.name)
        raise DataFileError(f"file {path.name} cannot be read: {said}") from error
    if missing := [c for c in columns if c not in table.columns]:
        raise DataFileError(f"file {path.name} lacks columns: {', '.join(missing)}")
    return table


def load_yaml(text: str) -> Any:
    """Return what a YAML text says.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or gives a key twice, of which only the last would count.
    """
    _refuse_twice(yaml.compose(text, Loader=yaml.SafeLoader))
    return yaml.safe_load(text)


def load_declared(
    path: str | Path, kind: type[Declared], what: str, error: type[ValueError]
) -> Declared:
    """Read what a YAML file declares.

    Parameters
    ----------
    what : the file, as messages call it.
    error : raised if the file is missing, is not YAML, or has keys or values that `kind` refuses.
    """
    try:
        return kind.model_validate(load_yaml(Path(path).read_text("utf-8")))
    except OSError as fault:
        raise error(f"{what} {Path(path).name}: {fault.strerror}") from fault
    except (UnicodeDecodeError, yaml.YAMLError, ValidationError) as fault:
        raise error(f"{what} {Path(path).name}: {fault}") from fault


def write_whole(path: Path, write: Callable[[Path], object], beside: Path | None = None) -> None:
    """Write a file under another name first, so that `path` holds all of it or stays as it was.

    Parameters
    ----------
    write : writes the file whose path it is given.
    beside : folder for the unfinished file, on the same disk; the file's own folder by default. Readers
        of a folder of Parquet files would take an unfinished one there for data.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = beside or path.parent
    unfinished = folder / f".{'_'.join(path.relative_to(folder).parts)}.part"
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _refuse_twice(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_twice(item)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"{key.value} is given twice, the second time in line {line}")
            seen.add(key.value)
            _refuse_twice(value)
