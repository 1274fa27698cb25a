"""The last seconds of encoded video, in memory."""

from collections import deque

from stream_client.publishing.wire import PublishedFrame
from stream_client.rtsp.h264 import CLOCK_RATE


class Ring:
    """Keeps whole groups of pictures: from the last key frame that is ``seconds`` old or older, up to now.

    ``most_bytes`` bounds it, too: then the oldest groups go, and it reaches less far back.
    """

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._ticks = round(seconds * CLOCK_RATE)
        self._most_bytes = most_bytes
        self._groups: deque[list[PublishedFrame]] = deque()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Of all frames in it."""
        return self._bytes

    def add(self, frame: PublishedFrame) -> None:
        """The newest frame. Frames before the first key frame are left out: nothing can be decoded from them."""
        if frame.key:
            self._groups.append([])
        if not self._groups:
            return
        self._groups[-1].append(frame)
        self._bytes += len(frame.data)
        while len(self._groups) > 1 and (
            self._groups[1][0].time <= frame.time - self._ticks or self._bytes > self._most_bytes
        ):
            self._bytes -= sum(len(old.data) for old in self._groups.popleft())
        if self._bytes > self._most_bytes:  # one group alone: it cannot be cut
            self.clear()

    def since(self, ticks: int) -> list[PublishedFrame]:
        """The frames from the last key frame at or before ``ticks``, or else from the oldest one."""
        begin = 0
        for index, group in enumerate(self._groups):
            if group[0].time <= ticks:
                begin = index
        return [frame for group in list(self._groups)[begin:] for frame in group]

    def clear(self) -> None:
        """Forget everything."""
        self._groups.clear()
        self._bytes = 0
