"""Text of files: UTF-8, with or without a byte order mark, without control characters."""

from __future__ import annotations

import codecs
import re

from microplex_pipeline.data_files.errors import Unusable

MARKS = {  # the longer ones first: UTF-32's mark begins with UTF-16's
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def decoded(content: bytes) -> str:
    """Return the text of a file.

    Raises
    ------
    Unusable
        If it is encoded otherwise than as UTF-8, or has NUL bytes or other control characters.
    """
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    start = content[:200]
    if encoding is None and start.count(0) * 5 > len(start) * 2 > 8:
        encoding = "UTF-16"  # without a mark; every second byte of Latin letters is 0
    if encoding:
        raise Unusable(f"is encoded as {encoding}", "Save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        byte = content[fault.start] if fault.start < len(content) else 0
        raise Unusable(
            f"is not UTF-8: byte 0x{byte:02X} in line {line}", "Save it as UTF-8"
        ) from fault
    if found := CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = "NUL byte" if found[0] == "\0" else f"control character 0x{ord(found[0]):02X}"
        raise Unusable(
            f"is not valid text: {what} in line {line}", "Remove it, or restore the file"
        )
    return text
