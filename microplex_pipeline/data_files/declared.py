"""Objects that are declared in YAML files: every key is known, every value is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from microplex_pipeline.data_files.errors import Unusable, in_one_line, listed, reading
from microplex_pipeline.data_files.limits import YAML_BYTES
from microplex_pipeline.data_files.opening import content
from microplex_pipeline.data_files.text import decoded
from microplex_pipeline.data_files.yaml_text import composed_yaml, line_of, parsed_yaml

LARGEST = 2**63 - 1  # of a whole number in polars, DuckDB and torch


class Strict(BaseModel):
    """Base of everything that is declared in a file: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _fits_into_64_bits(cls, value: Any) -> Any:
        for name in _too_large(value):
            raise ValueError(f"{name}whole numbers of more than 64 bits cannot be used")
        return value


Declared = TypeVar("Declared", bound=Strict)
Fault = TypeVar("Fault")


def load_mapping(path: Path, label: str, error: type[ValueError]) -> dict[str, Any]:
    """Read a YAML file of names and values; an empty file has none.

    Parameters
    ----------
    label : the file, as messages call it.
    error : class of the error raised if the file is missing or is not such a file.
    """
    with reading(path, label, error):
        found = parsed_yaml(decoded(content(path, YAML_BYTES)))
        if not isinstance(found, dict | None):
            kind = "a list" if isinstance(found, list) else "a single value"
            raise Unusable(f"is not valid: it is {kind}", "Give names and values, as in `seed: 1`")
        for name in found or {}:
            if not isinstance(name, str):
                raise Unusable(f"is not valid: {name!r} is not a name", "Correct it")
        return found or {}


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
        return kind.model_validate(load_mapping(path, label, error))
    except ValidationError as fault:
        root = composed_yaml(decoded(content(path, YAML_BYTES)))
        faults = listed(fault.errors(), lambda e: _fault_of(e) + _line(root, e["loc"]))
        raise error(f"{label} is not valid: {faults}. Correct it") from fault


def _too_large(value: Any, name: str = "") -> Iterator[str]:
    """Yield the name of each number beyond 64 bits in a value, as "name: "."""
    if isinstance(value, int) and abs(value) > LARGEST:
        yield name
    elif isinstance(value, Strict):
        return  # it has looked at its own
    elif isinstance(value, BaseModel):
        for field, inner in value:
            yield from _too_large(inner, f"{field}: ")
    elif isinstance(value, list):
        for inner in value:
            yield from _too_large(inner, name)
    elif isinstance(value, dict):
        for inner in (*value, *value.values()):
            yield from _too_large(inner, name)


def _line(root: yaml.Node | None, place: Sequence[str | int]) -> str:
    line = line_of(root, place)
    return f" (line {line})" if line else ""


def _fault_of(detail: Mapping[str, Any]) -> str:
    """Return the place of a key or value, and what is wrong with it."""
    place = in_one_line(".".join(map(str, detail["loc"])))
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    if detail["type"] == "extra_forbidden":
        message = "unknown key"
    elif isinstance(value, (str, int, float)) and repr(value) not in message:
        message += f", not {in_one_line(repr(value)[:100])}"
    return f"{place}: {message}" if place else message
