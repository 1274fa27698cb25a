"""Where a video file can be cut: its key frames, read from its packets without decoding them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import av.error
from av.format import Flags

from stream_client.sources.pixel_bound import DECODER_OPTIONS
from stream_client.sources.recording import rounded
from stream_client.sources.timeline import Continuity
from stream_client.util.container import UNLISTED, has_flag, video_of

_LOOK = 16
"""Frames whose times have to rise: else packets have times that are not those of frames."""


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """``times`` of a file's key frames, and its ``end``, in µs of its time line; ``zero`` as in :class:`.Span`."""

    zero: int
    times: Sequence[int]
    end: int


def key_frames(path: str | Path) -> KeyFrames | None:
    """The key frames of a file.

    ``None`` where it has to be read from its start: its timestamps are missing, begin anew, repeat or stand in
    decoding order, as they may in a transport stream or an AVI, or it cannot be read at all.
    """
    try:
        with av.open(f"file:{path}", options=DECODER_OPTIONS | UNLISTED) as container:
            stream = video_of(container)
            if stream is None or has_flag(container.format, Flags.ts_discont):
                return None
            shown = [frame.pts for frame in islice(container.decode(stream), _LOOK)]
            first = shown[0] if shown else None
            if first is None or any(a is None or b is None or b <= a for a, b in pairwise(shown)):
                return None
            container.seek(0)
            return _read(container, stream, first)
    except (OSError, av.error.FFmpegError):
        return None


def _read(container: av.container.InputContainer, stream: av.VideoStream, first: int) -> KeyFrames | None:
    base = stream.time_base or Fraction(1)
    unit, scale = 1_000_000 * base.numerator, base.denominator
    continuity = Continuity(jumps=False)
    zero, keys, stamps = rounded(first, unit, scale), [], []
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None:
            return None
        if packet.dts is not None:
            duration = (packet.duration or 0) * unit // scale
            if continuity.shift(0, packet.dts * unit // scale, duration, video=True):
                return None
        stamps.append(packet.pts)
        if packet.is_keyframe and packet.pts >= first:
            keys.append(rounded(packet.pts, unit, scale) - zero)
    stamps.sort()
    if not keys or keys[0] or any(later == earlier for earlier, later in pairwise(stamps)):
        return None
    return KeyFrames(zero, keys, rounded(stamps[-1], unit, scale) - zero)
