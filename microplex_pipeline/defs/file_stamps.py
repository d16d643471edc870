"""Stamps of files: equal stamps mean that a file was not changed in between."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

# two changes within one tick of the file system's clock leave the same stamp: a file that has just changed
# is looked at again when the tick is over
TICK = 0.05  # seconds


class Stamp(NamedTuple):
    """What tells a file's state from any other, without reading it.

    Attributes
    ----------
    inode, size : of the file.
    modified, changed : times of the last change of its content, and of its content or attributes (ns). The
        latter is set by the operating system alone: restoring or touching a file does not set it back.
    """

    inode: int
    size: int
    modified: int
    changed: int


def stamp(path: Path) -> Stamp | None:
    """Return a file's or folder's stamp; None if it does not exist."""
    while True:
        try:
            about = path.stat()
        except FileNotFoundError:
            return None
        age = time.time() - about.st_ctime
        if not 0 <= age < TICK:
            return Stamp(about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        time.sleep(TICK - age)
