"""The file of a fitted synthesizer: an archive of JSON and safetensors, no executable code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microplex_pipeline.synthesis.flow import Flow
from microplex_pipeline.synthesis.parts import Parts
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.zero_model import ZeroModel

FORMAT = "microplex synthesizer 1"


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


def read_model(path: str | Path) -> tuple[Parts, dict[str, Any]]:
    """Read parts and options.

    Raises
    ------
    ValueError
        If the file is not such an archive, or is damaged.
    """
    name = Path(path).name
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                # `write_model` compresses nothing; uncompressed entries cannot expand to gigabytes
                raise ValueError("it has compressed entries")
            about = json.loads(archive.read("format.json"))
            if about["format"] != FORMAT:
                raise ValueError("it was written by another version")

            def part(kind: type[Any]) -> Any:
                text = archive.read(f"{kind.kind}.json").decode()
                return kind.from_data(text, archive.read(f"{kind.kind}.safetensors"))

            return Parts(part(Transformer), part(ZeroModel), part(Flow)), dict(about["options"])
    except (
        zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError, EOFError,
        RuntimeError,  # an encrypted entry, or JSON that is nested too deeply
    ) as error:  # fmt: skip
        raise damaged(name, error) from error


def damaged(name: str, error: Exception) -> ValueError:
    """Return the error for a file from which no synthesizer can be read."""
    return ValueError(f"{name} is not a synthesizer file, or is damaged: {error}")
