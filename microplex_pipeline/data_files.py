"""Files of the data folder: safe names, readers with one form of error, and writes of whole files.

Every reader's error reads "<file> <what is wrong>. <What to do>", without the path of the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, TypeVar

import polars as pl
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError


class Strict(BaseModel):
    """Base of everything that is declared in a file: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Declared = TypeVar("Declared", bound=Strict)


class DataFileError(ValueError):
    """A file of the data folder is missing or unusable."""


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
            f"{name!r} is not the name of a file in the data folder: give a relative path with /, "
            "without .. or wildcards"
        )
    return name


FileName = Annotated[str, AfterValidator(_stays_inside)]


@contextmanager
def reading(
    path: Path, label: str, error: type[ValueError], folder: str = "data folder"
) -> Iterator[None]:
    """Turn every failure to read a file into one error that names the file and the remedy.

    Parameters
    ----------
    label : the file, as messages call it.
    error : class of the error to raise.
    folder : where the file should be.
    """
    try:
        yield
    except FileNotFoundError as fault:
        raise error(f"{label} is not in the {folder}. Put it there") from fault
    except OSError as fault:
        message = fault.strerror or str(fault).replace(str(path), path.name)
        raise error(f"{label} cannot be read: {message}. Make it readable") from fault
    except pl.exceptions.PolarsError as fault:
        message = str(fault).replace(str(path), path.name)
        raise error(
            f"{label} is damaged or truncated: {message}. Restore it or copy it again"
        ) from fault


def read_table(
    path: Path,
    columns: Sequence[str],
    dtypes: Mapping[str, Any] | None = None,
    *,
    text: bool = False,
) -> pl.DataFrame:
    """Read a CSV file that must have the given columns and may have others.

    Parameters
    ----------
    dtypes : types of some columns; the types of the others are inferred.
    text : read all columns as text instead.

    Raises
    ------
    DataFileError
        If the file is missing, is not a CSV file, or lacks a column.
    """
    with reading(path, f"file {path.name}", DataFileError):
        table = pl.read_csv(path, schema_overrides=dtypes, infer_schema=not text)
    if missing := [c for c in columns if c not in table.columns]:
        raise DataFileError(f"file {path.name} lacks columns: {', '.join(missing)}. Add them")
    return table


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises
    ------
    yaml.YAMLError
        If the text is not valid YAML, or has a key twice: YAML would silently use the last one.
    """
    _refuse_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader))
    return yaml.safe_load(text)


def load_declared(
    path: str | Path, kind: type[Declared], what: str, error: type[ValueError]
) -> Declared:
    """Read a YAML file that declares an object.

    Parameters
    ----------
    kind : model of the object.
    what : kind of file, for messages, e.g. "survey schema".
    error : class of the error raised if the file is missing, is not valid YAML, or has keys or values
        that `kind` refuses.
    """
    path = Path(path)
    label = f"{what} {path.name}"
    try:
        with reading(path, label, error):
            return kind.model_validate(load_yaml(path.read_text("utf-8")))
    except ValidationError as fault:
        faults = "; ".join(_fault_of(detail) for detail in fault.errors())
        raise error(f"{label} is not valid: {faults}. Correct it") from fault
    except (UnicodeDecodeError, yaml.YAMLError) as fault:
        message = str(fault)
        if isinstance(fault, yaml.MarkedYAMLError) and fault.problem_mark:
            message = f"{fault.problem}, line {fault.problem_mark.line + 1}"
        raise error(f"{label} is not valid YAML: {message}. Correct it") from fault


def _fault_of(detail: Mapping[str, Any]) -> str:
    """Return the place of a key or value, and what is wrong with it."""
    place, message = ".".join(map(str, detail["loc"])), detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    if detail["type"] == "extra_forbidden":
        message = "unknown key"
    elif isinstance(value, (str, int, float)) and repr(value) not in message:
        message += f", not {value!r}"
    return f"{place}: {message}" if place else message


def write_whole(path: Path, write: Callable[[Path], object], beside: Path | None = None) -> None:
    """Write a file so that readers see either all of it or the file as it was before.

    Parameters
    ----------
    write : writes the file at the path that it is given.
    beside : folder for the unfinished file, on the same disk; by default the file's own folder. Give
        another one if a reader of the whole folder (e.g. of Parquet files) would take the unfinished
        file for data.
    """
    write_together({path: write}, beside)


def write_together(
    writes: Mapping[Path, Callable[[Path], object]], beside: Path | None = None
) -> None:
    """Write several files as in `write_whole`; none is renamed before all are written.

    Parameters
    ----------
    writes : for each path, the function that writes the file at the path that it is given.
    beside : as in `write_whole`.
    """
    unfinished = {}
    try:
        for path, write in writes.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = beside or path.parent
            unfinished[path] = folder / f".{'_'.join(path.relative_to(folder).parts)}.part"
            write(unfinished[path])
        for path, part in unfinished.items():
            part.replace(path)
    finally:
        for part in unfinished.values():
            part.unlink(missing_ok=True)


def _refuse_repeated_keys(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"{key.value} is given twice, the second time in line {line}")
            seen.add(key.value)
            _refuse_repeated_keys(value)
