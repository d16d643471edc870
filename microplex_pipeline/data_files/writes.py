"""Writing files so that readers see all of a file or the one that was there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


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
