"""A part of a video file, from one key frame to another."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from fractions import Fraction

import av

from stream_client.sources.feed import FeedFrame


@dataclass(frozen=True, slots=True)
class Span:
    """The frames from ``begin`` to before ``end``, ``None``: to the last one; in µs of the file's time line.

    ``zero`` is the container's timestamp of time 0, in µs. A key frame is at ``begin``.
    """

    zero: int
    begin: int = 0
    end: int | None = None

    def seek(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        """Go to a key frame at or before :attr:`begin`; to the start of a file that can be searched badly."""
        if self.begin == 0:
            return
        wanted = self.zero + self.begin
        tick = 1_000_000 * (stream.time_base or Fraction(1))
        target = -(-wanted // tick)  # rounded up: a timestamp rounded down would be before its own frame
        container.seek(target, stream=stream)
        first = next((packet.pts for packet in container.demux(stream) if packet.pts is not None), None)
        if first is None or first * tick > wanted + tick:
            container.seek(0)
        else:
            container.seek(target, stream=stream)

    def cut(self, frames: Iterable[FeedFrame]) -> Generator[FeedFrame, None, None]:
        """What is in the span; ``frames`` are in the order of their times."""
        for frame in frames:
            assert frame.time is not None
            if self.end is not None and frame.time >= self.end:
                return
            if frame.time >= self.begin:
                yield frame
