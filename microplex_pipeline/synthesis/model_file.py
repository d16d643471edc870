"""The file of a fitted synthesizer: an archive of JSON and safetensors, no executable code."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.models.flow import Flow
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings
from microplex_pipeline.synthesis.models.zero_model import ZeroModel
from microplex_pipeline.synthesis.parts import Parts
from microplex_pipeline.synthesis.privacy.privacy_budget import StoredPrivacy
from microplex_pipeline.synthesis.stored_form import Listed, Stored, Text, one_line, read_json
from microplex_pipeline.synthesis.transforms.identity_kinds import StoredIdentity
from microplex_pipeline.synthesis.transforms.transformer import Transformer

FORMAT = "microplex synthesizer 4"
LARGEST_FILE = 2**31  # bytes
PARTS: tuple[type[FittedModel], ...] = (Transformer, ZeroModel, Flow)
ENTRIES = ["format.json", *(f"{p.kind}.{form}" for p in PARTS for form in ("json", "safetensors"))]

LARGEST_COUNT = 1e15
LARGEST_TAIL = 1e6

Count = Annotated[int | float, Field(ge=1, le=LARGEST_COUNT)]
Settings = Annotated[
    TrainingSettings,
    BeforeValidator(lambda given: TrainingSettings.model_validate(given, strict=True)),
]


class StoredOptions(Stored):
    """The options that a synthesizer was fitted with, for a refit."""

    seed: Annotated[int, Field(ge=-(2**63), lt=2**64)]
    atom_holders: Count
    max_knots: Count
    tail_factor: Annotated[int | float, Field(ge=1, le=LARGEST_TAIL)]
    settings: Settings
    target_vars: Annotated[Listed[Text], Field(min_length=1)]
    identities: dict[Text, StoredIdentity]
    privacy: StoredPrivacy | None


def _this_version(found: str) -> str:
    if found != FORMAT:
        raise ValueError("it was written by another version")
    return found


class StoredFormat(Stored):
    """The first entry of the file."""

    format: Annotated[str, AfterValidator(_this_version)]
    options: StoredOptions


def write_model(path: str | Path, parts: Parts, options: Mapping[str, Any]) -> None:
    """Write parts and the options they were fitted with. The same model gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:

        def write(name: str, content: str | bytes) -> None:
            # with a fixed date the same model gives the same bytes
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)

        write("format.json", json.dumps({"format": FORMAT, "options": options}))
        for part in parts:
            text, weights = part.to_data()
            write(f"{part.kind}.json", text)
            write(f"{part.kind}.safetensors", weights)
    Path(path).write_bytes(buffer.getvalue())


def read_model(path: str | Path) -> tuple[Parts, StoredOptions]:
    """Read parts and options.

    Raises
    ------
    ValueError
        If the file is not such an archive, or is damaged.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
        entries = _entries(path.read_bytes())
        options = _options(_text(entries, "format.json"))
        parts = (
            kind.from_data(
                _text(entries, f"{kind.kind}.json"), entries[f"{kind.kind}.safetensors"]
            )
            for kind in PARTS
        )
        return Parts(*parts).checked(), options  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(
            f"{path.name} is not a synthesizer file, or is damaged: {one_line(error)}"
        ) from error


def _text(entries: Mapping[str, bytes], name: str) -> str:
    try:
        return entries[name].decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text") from error


def _options(text: str) -> StoredOptions:
    try:
        return StoredFormat.model_validate(read_json(text)).options
    except ValueError as error:
        raise ValueError(f"format.json: {one_line(error)}") from error


def _entries(content: bytes) -> dict[str, bytes]:
    """Return the entries of an archive by name.

    Raises
    ------
    ValueError
        If it is no archive of exactly the entries of a synthesizer, uncompressed.
    """
    with _reading_archive():
        archive = zipfile.ZipFile(io.BytesIO(content))
    _check_entries(archive.infolist(), len(content))
    with _reading_archive():
        return {name: archive.read(name) for name in ENTRIES}


@contextmanager
def _reading_archive() -> Iterator[None]:
    """Turn what zipfile raises for bytes that are no archive into one error."""
    try:
        yield
    except (
        zipfile.BadZipFile, EOFError, OverflowError, struct.error,
        ValueError,  # a place before the beginning
        RuntimeError,  # an encrypted entry, or a feature that zipfile does not know
    ) as error:  # fmt: skip
        raise ValueError(f"the archive cannot be read: {error}") from error


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Check an archive's list of entries, before any of them is read."""
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        # `write_model` compresses nothing; uncompressed entries cannot expand to gigabytes
        raise ValueError("it has compressed entries")
    names = Counter(entry.filename for entry in entries)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ValueError(f"it has {twice[0]!r} more than once")
    if missing := [name for name in ENTRIES if name not in names]:
        raise ValueError(f"{missing[0]} is missing")
    if foreign := sorted(names.keys() - set(ENTRIES)):
        raise ValueError(f"it has {foreign[0]!r}, which does not belong to it")
    if sum(max(entry.file_size, entry.compress_size) for entry in entries) > size:
        raise ValueError("its entries are said to be larger than the file")
