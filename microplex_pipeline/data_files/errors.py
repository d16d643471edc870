"""One form of error for all files: "<file> <what is wrong>. <What to do>", in one line without folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files.limits import WORDS


class DataFileError(ValueError):
    """A file of the data folder is missing or unusable."""


class Unusable(Exception):
    """What is wrong with a file; `reading` turns it into an error that names the file.

    Parameters
    ----------
    what : continues a sentence that begins with the file, e.g. "is empty".
    remedy : what to do.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy


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
    except Unusable as fault:
        raise error(f"{label} {fault.what}. {fault.remedy}") from fault
    except FileNotFoundError as fault:
        if path.is_symlink():
            raise error(f"{label} is a link to a file that is gone. Restore it") from fault
        raise error(f"{label} is not in the {folder}. Put it there") from fault
    except OSError as fault:
        message = fault.strerror or in_one_line(str(fault), path)
        raise error(f"{label} cannot be read: {message}. Make it readable") from fault
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as fault:
        message = in_one_line(str(fault), path)
        raise error(
            f"{label} is damaged or truncated: {message}. Restore it or copy it again"
        ) from fault


def in_one_line(text: str, path: Path | None = None) -> str:
    """Return a text that comes from a file or another package as one short line of visible characters.

    Parameters
    ----------
    path : path whose folder is left out.
    """
    if path is not None:
        text = text.replace(str(path), path.name)
    words = " ".join(text.split())
    visible = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words[: WORDS + 1])
    return visible if len(words) <= WORDS else f"{visible[:WORDS]} ..."
