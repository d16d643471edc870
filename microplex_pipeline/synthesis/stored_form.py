"""The declared form of stored parts: JSON of known keys and ranges, and arrays of known names and shapes.

Whatever is read is checked against it before it is used, so that a damaged or forged model is refused
where it is loaded, and in one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import safetensors
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

LARGEST_TEXT = (
    30_000_000  # characters of JSON; as objects they take up to twenty times as much memory
)
LARGEST_HEADER = (
    10_000_000  # bytes before the arrays; an array's name, shape and place take a hundred
)
LARGEST_SIZE = 10_000_000  # of anything that is counted: columns, classes, hidden units
LARGEST_WHOLE = 2**64 - 1
LONGEST_MESSAGE = 300
NUMBERS = {"F32": "<f4", "F64": "<f8"}  # the kinds of numbers that parts consist of

Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], Field(strict=False)]  # a list in JSON
Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]


class Stored(BaseModel):
    """Base of all that is stored as JSON: unknown keys, other types and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _text(value: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("it is half a character")
    return value


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_WHOLE:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError("it should be a text, a truth value or a number of at most 64 bits")


Text = Annotated[str, AfterValidator(_text)]
Scalar = Annotated[Any, AfterValidator(_scalar)]


class Expected(NamedTuple):
    """Shape and type of an array that a part must have."""

    shape: tuple[int, ...]
    dtype: type[np.floating[Any]]


def read_json(text: str) -> Any:
    """Return the content of a JSON text.

    Raises
    ------
    ValueError
        If it is not JSON, is too large or nested too deeply, has a key twice, or has a number that is
        not finite.
    """
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"it has more than {LARGEST_TEXT:,} characters of JSON")
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"{key!r} is given twice")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits} is not a finite number")
    return number


def read_arrays(weights: bytes) -> dict[str, np.ndarray]:
    """Return the arrays in safetensors bytes; they take as much memory as the bytes.

    Raises
    ------
    ValueError
        If the bytes are no safetensors, or hold numbers that are not finite or of another kind.
    """
    if int.from_bytes(weights[:8], "little") > LARGEST_HEADER:
        raise ValueError(f"its arrays have a header of more than {LARGEST_HEADER:,} bytes")
    try:
        found = safetensors.deserialize(weights)
    except safetensors.SafetensorError as error:
        raise ValueError(f"its arrays cannot be read: {error}") from error
    arrays = {}
    for name, array in found:
        if array["dtype"] not in NUMBERS:
            raise ValueError(f"{name} holds numbers of the kind {array['dtype']}")
        numbers = np.frombuffer(array["data"], NUMBERS[array["dtype"]])
        arrays[name] = numbers.reshape(array["shape"])
    if bad := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise ValueError(f"not finite: {', '.join(bad[:5])}")
    return arrays


def require_arrays(arrays: Mapping[str, np.ndarray], expected: Mapping[str, Expected]) -> None:
    """Raise ValueError if an array is missing, misshapen, of another type, or one too many."""
    if missing := sorted(expected.keys() - arrays.keys()):
        raise ValueError(f"{', '.join(missing[:5])} missing")
    if surplus := sorted(arrays.keys() - expected.keys()):
        raise ValueError(f"{', '.join(surplus[:5])} not expected")
    for name, (shape, dtype) in expected.items():
        found = arrays[name]
        if found.shape != shape or found.dtype != dtype:
            raise ValueError(
                f"{name} is misshapen: {found.shape} of {found.dtype}, not {shape} of "
                f"{np.dtype(dtype)}"
            )


def one_line(error: ValueError) -> str:
    """Return what an error says, in one line of limited length."""
    text = str(error)
    if isinstance(error, ValidationError):
        text = "; ".join(_fault(detail) for detail in error.errors(include_url=False)[:3])
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}..."


def _fault(detail: Mapping[str, Any]) -> str:
    """Return the place of a value, and what is wrong with it."""
    place = ".".join(map(str, detail["loc"]))
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key"
    elif detail["type"] == "missing":
        message = "missing"
    elif detail["type"] in ("model_type", "dict_type", "model_attributes_type"):
        message = "it should be an object"
    return f"{place}: {message}" if place else message
