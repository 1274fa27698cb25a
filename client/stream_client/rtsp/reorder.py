"""Packets of UDP put back into the order in which they were sent. No I/O; time is an argument."""


class ReorderBuffer:
    """Holds packets back while one before them is missing, for ``delay`` seconds at most.

    What comes later than that, and what comes twice, is left out. A jump of the sequence numbers by :attr:`MOST` or
    more is a new beginning.
    """

    MOST = 512
    """Packets that are held back at most: a key frame of a high resolution has some hundred."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._next: int | None = None  # the next packet's number, not modulo 2^16
        self._waiting: dict[int, tuple[float, bytes]] = {}

    def push(self, sequence: int, packet: bytes, now: float) -> list[bytes]:
        """Take a packet with its sequence number, 0 to 65535; the packets whose turn has come."""
        if self._next is None:
            self._next = sequence
        distance = (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        ready = []
        if abs(distance) >= self.MOST:
            ready = [held for _, held in self._drain()]
            self._next, distance = sequence, 0
        if distance >= 0:
            self._waiting.setdefault(self._next + distance, (now, packet))
        return ready + self._run()

    def expired(self, now: float) -> list[bytes]:
        """The packets that have waited for long enough: what is missing before them is lost."""
        ready = []
        while self._waiting and self.deadline() <= now:
            self._next = min(self._waiting)
            ready += self._run()
        return ready

    def deadline(self) -> float:
        """When :meth:`expired` has something to do."""
        return min((arrived for arrived, _ in self._waiting.values()), default=float("inf")) + self._delay

    def _run(self) -> list[bytes]:
        """The packets from the next one on, without a gap."""
        assert self._next is not None
        ready = []
        while (held := self._waiting.pop(self._next, None)) is not None:
            ready.append(held[1])
            self._next += 1
        return ready

    def _drain(self) -> list[tuple[float, bytes]]:
        held = [self._waiting[number] for number in sorted(self._waiting)]
        self._waiting.clear()
        return held
