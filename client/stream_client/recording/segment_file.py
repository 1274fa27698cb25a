"""One file of a recording: hidden while it is written, and under its name when it is whole."""

import glob
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import av
import av.error

from stream_client.errors import SinkError

logger = logging.getLogger(__name__)


def hidden(path: Path) -> Path:
    """Where the segment of that name is while it is written."""
    return path.with_name(f".{path.name}")


def free_path(path: Path) -> Path:
    """``path``, or one like it that is not taken: clocks are put back, in autumn for instance."""
    names = (path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}") for number in count(1))
    return next(each for each in names if not each.exists() and not hidden(each).exists())


def complete(path: Path) -> int:
    """The segment is whole: give it its name. Returns its size in bytes; raises :class:`.SinkError`."""
    with _errors(path):
        os.rename(hidden(path), path)
        return path.stat().st_size


@dataclass(frozen=True, slots=True)
class Taken:
    """What could be taken of a segment that was not finished."""

    frames: int
    seconds: float
    bytes: int


def take_up(path: Path) -> Taken | None:
    """Make a whole file of what a process that was killed has left of a segment.

    ``None``: nothing could be taken, and nothing is left. Raises :class:`.SinkError`.
    """
    left = hidden(path)
    unnamed = left.with_name(f".{left.stem}")  # a file that has no frame yet, see OutputFile
    with _errors(path):
        for stray in glob.glob(f"{glob.escape(str(unnamed))}.????????{path.suffix}"):
            os.unlink(stray)
        if path.exists() and not left.exists():
            os.rename(path, left)  # it was killed when only the index was not up to date
        if not left.exists():
            return None
        frames, seconds = _measured(left)
        if not frames:
            left.unlink()
            return None
        _mend(left, unnamed.with_name(f"{unnamed.name}.00000000{path.suffix}"))
        return Taken(frames, seconds, complete(path))


def _measured(left: Path) -> tuple[int, float]:
    """The number of frames that can be read, and their length in seconds."""
    frames, seconds = 0, 0.0
    with suppress(av.error.InvalidDataError, av.error.EOFError), av.open(f"file:{left}") as source:
        for packet in _packets(source):
            if isinstance(packet.stream, av.VideoStream):
                frames += 1
                seconds = max(seconds, float((packet.pts or 0) * packet.time_base))
    return frames, seconds


def _mend(left: Path, mended: Path) -> None:
    """Write what can be read as an ordinary file, in which players can seek. On a full disk it stays as it is."""
    try:
        with av.open(f"file:{left}") as source, av.open(f"file:{mended}", "w") as target:
            streams = {each.index: target.add_stream_from_template(each) for each in source.streams}
            for packet in _packets(source):
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    except (OSError, av.error.FFmpegError) as error:
        logger.warning("%s stays in fragments: %s", left, error)
        mended.unlink(missing_ok=True)
    else:
        os.replace(mended, left)


def _packets(source: av.container.InputContainer) -> "Iterator[av.Packet[Any]]":
    """The packets up to the end of what can be read."""
    with suppress(av.error.InvalidDataError):
        for packet in source.demux():
            if packet.dts is not None:
                yield packet


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        raise SinkError(f"{path}: {error.strerror or error}", option="sinks") from error
