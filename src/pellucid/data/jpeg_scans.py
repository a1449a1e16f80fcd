"""Refuses JPEG files with very many scans.

A progressive JPEG is decoded scan by scan, and each scan takes as long as the whole picture. So a small file of
thousands of scans, each of a few bytes, would take minutes. libtiff (JPEGMaxAllowedScanNumber) and djpeg of
libjpeg-turbo (-maxscans) have the same limit.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from pellucid.errors import FormatError

__all__ = ["MOST_SCANS", "require_few_scans"]

MOST_SCANS = 100
"""Most scans of a picture. Usual is 1, or about 10 if it is progressive."""
_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_PIECE = 1 << 20
_END, _START_OF_SCAN = 0xD9, 0xDA


def require_few_scans(file: BinaryIO, name: str) -> None:
    """Check the number of scans of a JPEG file. The position in the file stays the same.

    Raises:
        FormatError: there are more than `MOST_SCANS`.
    """
    position = file.tell()
    file.seek(0)
    starts, last = 0, b""
    while piece := file.read(_PIECE):  # an upper bound: previews and second pictures in the file have scans too
        starts += (last + piece).count(b"\xff\xda")
        last = piece[-1:]
    if starts > MOST_SCANS:
        file.seek(0)
        scans = _scans(file.read())
        if scans > MOST_SCANS:
            raise FormatError(
                f"{name} is a JPEG with {scans:,} scans, more than the limit of {MOST_SCANS}. Save it again as a usual "
                f"JPEG."
            )
    file.seek(position)


def _scans(content: bytes) -> int:
    """The number of scans of the first picture in a JPEG file, by its markers (ITU-T T.81, annex B)."""
    scans, position = 0, 2
    while (marker := _NEXT_MARKER.search(content, position)) is not None:
        code, position = marker[1][0], marker.end()
        if code == _END:
            break
        if code == 0x01 or 0xD0 <= code <= 0xD8:  # markers without a segment
            continue
        scans += code == _START_OF_SCAN
        position += max(2, int.from_bytes(content[position : position + 2], "big"))
    return scans
