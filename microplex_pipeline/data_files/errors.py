"""One form of error for all files: "<file> <what is wrong>. <What to do>", in one line without folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from microplex_pipeline.data_files.limits import SHOWN, WORDS

Item = TypeVar("Item")


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


def lacking(columns: Sequence[str]) -> Unusable:
    """Return the fault of a file that lacks columns."""
    return Unusable(f"lacks columns: {listed(columns, str, ', ')}", "Add them")


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
    except _faults_of_polars() as fault:
        message = in_one_line(str(fault), path)
        raise error(
            f"{label} is damaged or truncated: {message}. Restore it or copy it again"
        ) from fault


def _faults_of_polars() -> tuple[type[BaseException], ...]:
    import polars as pl  # only where something failed: settings are read without it

    return pl.exceptions.PolarsError, pl.exceptions.PanicException


def listed(items: Sequence[Item], words: Callable[[Item], str], separator: str = "; ") -> str:
    """Return items in words, as one line; of very many, the first ones and the number of the others."""
    shown = [in_one_line(words(item)) for item in items[:SHOWN]]
    more = [f"and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return separator.join([*shown, *more])


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
