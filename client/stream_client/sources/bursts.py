"""Whether a stream without a length comes faster than real time: a recording, or a server that fills buffers first."""

import time
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

Packet = TypeVar("Packet")


class Start(Generic[Packet]):
    """Looks at a stream's first packets, and gives them on with all others.

    ``stamp`` gives a packet's timestamp in seconds, ``None`` where it has none. What FFmpeg read while it opened the
    stream comes at once, also of a live stream. So the packets behind that count: those of the second half of
    :attr:`LOOK` seconds.
    """

    LOOK = 0.5
    LONGEST = 5.0
    """Seconds of a live stream that come at once, at most: FFmpeg reads them to find its properties."""
    FASTEST = 1.5
    """Seconds of the stream that a live one gives in a second at most."""

    def __init__(
        self,
        packets: Iterator[Packet],
        stamp: Callable[[Packet], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._packets = packets
        self._first: list[Packet] = []
        self._error: Exception | None = None
        self.faster_than_real_time = self._look(stamp, clock)

    def packets(self) -> Generator[Packet, None, None]:
        """All packets."""
        first, self._first = self._first, []
        yield from first
        if self._error is not None:
            raise self._error
        yield from self._packets

    def _look(self, stamp: Callable[[Packet], float | None], clock: Callable[[], float]) -> bool:
        began: tuple[float, float] | None = None
        half: tuple[float, float] | None = None
        for packet in self._until_error():
            now, media = clock(), stamp(packet)
            if media is None:
                return False
            began = began or (now, media)
            if media - began[1] >= self.LONGEST:
                return True
            if half is None and now - began[0] >= self.LOOK / 2:
                half = (now, media)
            elif half is not None and now - began[0] >= self.LOOK:
                return media - half[1] > self.FASTEST * (now - half[0])
        return True

    def _until_error(self) -> Iterator[Packet]:
        """The packets. An error ends them and is raised when they have been given on."""
        try:
            for packet in self._packets:
                self._first.append(packet)
                yield packet
        except Exception as error:  # noqa: BLE001 - raised by packets()
            self._error = error
