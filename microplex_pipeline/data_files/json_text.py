"""JSON files, of bounded size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from microplex_pipeline.data_files.errors import Unusable, in_one_line
from microplex_pipeline.data_files.limits import JSON_BYTES
from microplex_pipeline.data_files.opening import content
from microplex_pipeline.data_files.text import decoded


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    OSError, Unusable
        If the file cannot be read or is not JSON. Call it within `reading`, which names the file.
    """
    text = decoded(content(path, JSON_BYTES))
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as fault:
        raise Unusable("is not valid JSON: nested too deeply", "Restore it") from fault
    except ValueError as fault:
        raise Unusable(f"is not valid JSON: {in_one_line(str(fault))}", "Restore it") from fault


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
