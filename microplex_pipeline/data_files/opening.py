"""Opening files that users can edit: ordinary files of a bounded size, whatever their names."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from microplex_pipeline.data_files.errors import Unusable
from microplex_pipeline.data_files.limits import MIB


def open_file(path: Path) -> BufferedReader:
    """Open an ordinary file; a pipe or device is refused without waiting for it.

    Raises
    ------
    OSError, Unusable
        If it cannot be opened, or is not an ordinary file. `reading` turns both into one message.
    """
    waits_for_nothing = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would block forever
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | waits_for_nothing)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise Unusable("is a pipe or a device", "Put an ordinary file in its place")


def content(path: Path, most: int) -> bytes:
    """Return the bytes of an ordinary file.

    Parameters
    ----------
    most : largest number of bytes.

    Raises
    ------
    OSError, Unusable
        As `open_file`, or if the file is larger.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        read = file.read(most + 1)
    if len(read) > most:
        raise Unusable(
            f"has {max(size, len(read)) / MIB:,.1f} MB, more than the {most // MIB} MB that are read",
            "Check that it is the right file",
        )
    return read
