"""Why FFmpeg refuses a file, where its own words do not help."""

import os
from pathlib import Path

_HEAD_BYTES = 4096
_MOST_BOXES = 1000
_BRANDS = (b"ftyp", b"wide", b"free", b"mdat")
"""What an MP4 begins with."""


def reason(path: Path) -> str:
    """Why the file at ``path`` is no video, with a remedy; empty where nothing is known."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if not size:
                return "it is empty"
            if b"<MPD" in head:
                return "MPEG-DASH is not supported: name its HLS playlist (.m3u8)"
            if head[4:8] in _BRANDS and b"moov" not in _boxes(file.fileno(), size):
                return "its index (moov) is missing, since the recording was cut off or is not finished"
    except OSError:
        pass
    return ""


def _boxes(file: int, size: int) -> list[bytes]:
    """The kinds of an MP4's boxes, on the first level (ISO/IEC 14496-12, 4.2)."""
    kinds, position = list[bytes](), 0
    while position < size and len(kinds) < _MOST_BOXES:
        head = os.pread(file, 16, position)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        kinds.append(head[4:8])
        if length < 8:  # to the end of the file, or no box
            break
        position += length
    return kinds
