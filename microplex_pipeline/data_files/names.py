"""Names of files that a file of the data folder may give: below the folder, on any file system."""

from __future__ import annotations

from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import AfterValidator

from microplex_pipeline.data_files.errors import in_one_line
from microplex_pipeline.data_files.limits import NAME_BYTES


def storable(path: PurePath, spare: int = 0) -> None:
    """Refuse a path that no file can have.

    Parameters
    ----------
    spare : bytes to be kept free, for files beside it whose names are longer.

    Raises
    ------
    ValueError
        If a part of the path is too long, or has characters that cannot be seen.
    """
    for part in path.parts:
        if not part.isprintable():
            raise ValueError(f"the name {in_one_line(part)!r} has control characters: remove them")
        if len(part.encode()) > NAME_BYTES - spare:
            raise ValueError(
                f"the name {part[:20]}... has {len(part.encode())} bytes, which is longer than the file "
                f"system allows: give one of at most {NAME_BYTES - spare}"
            )
    if (
        len(str(path).encode()) > 3_000
    ):  # Linux allows 4,096 with the folder before it, macOS 1,024
        raise ValueError("the path is longer than the file system allows: give a shorter one")


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
            f"{in_one_line(name)!r} is not the name of a file in the data folder: give a relative path "
            "with /, without .. or wildcards"
        )
    storable(path)
    return name


FileName = Annotated[str, AfterValidator(_stays_inside)]


def user_path(path: Path, folder: Path, spare: int = 0) -> Path:
    """Return the absolute path that a user means: ~ is the home folder, relative paths are below `folder`.

    Raises
    ------
    ValueError
        If there can be no such file or folder.
    """
    storable(path, spare)
    try:
        return (folder / path.expanduser()).resolve()
    except (OSError, RuntimeError) as fault:  # a user without a home; a circle of links
        raise ValueError(f"there is no such place: {in_one_line(str(fault))}") from fault
