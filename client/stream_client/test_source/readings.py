"""From codes in the order of their arrival to loss, duplicates, order and latency. No I/O, no clock."""

from array import array
from collections import OrderedDict
from dataclasses import dataclass

from stream_client.monitoring.distribution import Distribution, distribution
from stream_client.test_source.code import FrameCode


@dataclass(frozen=True, slots=True)
class Reading:
    """A frame that came back. ``code`` is ``None`` where none could be read.

    ``position`` counts the stream's frames from 0, with those that nobody took in time.
    ``arrived`` is the wall clock in µs since 1970, ``None`` for a file, which is read at another time than
    it was written. ``timestamp`` is the stream's own time of the frame, in µs.
    """

    position: int
    code: FrameCode | None
    arrived: int | None
    timestamp: int


@dataclass(frozen=True, slots=True)
class ReadbackReport:
    """What came back.

    ``first`` and ``last`` are the lowest and the highest number. ``lost`` counts the numbers between them that
    never came, ``duplicates`` the frames whose number had come before, ``out_of_order`` those that came after
    a higher number, ``restarts`` the times that the numbers began anew at a later time. ``unread`` counts the
    frames that arrived and were not taken in time, because this machine was busy: they are lost here, and not
    on the way. ``latency`` is from
    painting to reading, in seconds. ``timing_error`` is how far the stream's own time of a frame is from its
    painted time, in seconds, both counted from the first frame: 0 where it plays at the right speed.
    """

    frames: int
    read: int
    unreadable: int
    unread: int
    first: int | None
    last: int | None
    lost: int
    duplicates: int
    out_of_order: int
    restarts: int
    latency: Distribution | None
    timing_error: Distribution | None

    @property
    def intact(self) -> bool:
        """Whether every frame between the first and the last came, once, in order and readable."""
        return bool(self.read) and not (self.lost or self.duplicates or self.out_of_order or self.unreadable)


class Tally:
    """Takes readings as they come. Memory: 16 bytes a frame, and a bounded set of missing numbers."""

    REMEMBERED = 100_000
    """Missing numbers that may still come; older ones are lost for good."""

    def __init__(self) -> None:
        self._frames = 0
        self._read = 0
        self._unread = 0
        self._next_position = 0
        self._lowest: int | None = None
        self._highest: int | None = None
        self._first: int | None = None  # of the current numbering
        self._last: FrameCode | None = None  # the highest of the current numbering
        self._missing: OrderedDict[int, None] = OrderedDict()
        self._lost_for_good = 0
        self._duplicates = 0
        self._out_of_order = 0
        self._restarts = 0
        self._origin: tuple[int, int] | None = None
        self._latencies = array("d")
        self._errors = array("d")

    def add(self, reading: Reading) -> None:
        """Take the next frame that came back."""
        self._frames += 1
        self._unread += reading.position - self._next_position
        self._next_position = reading.position + 1
        code = reading.code
        if code is None:
            return
        self._read += 1
        self._lowest = code.index if self._lowest is None else min(self._lowest, code.index)
        self._highest = code.index if self._highest is None else max(self._highest, code.index)
        if self._is_new(code):
            self._measure(code, reading)

    def report(self) -> ReadbackReport:
        """What came back so far."""
        return ReadbackReport(
            frames=self._frames,
            read=self._read,
            unreadable=self._frames - self._read,
            unread=self._unread,
            first=self._lowest,
            last=self._highest,
            lost=self._lost_for_good + len(self._missing),
            duplicates=self._duplicates,
            out_of_order=self._out_of_order,
            restarts=self._restarts,
            latency=distribution(self._latencies),
            timing_error=distribution(self._errors),
        )

    def _is_new(self, code: FrameCode) -> bool:
        """Book a number; ``False`` for one that has come before."""
        last = self._last
        if last is not None and code.index <= last.index and code.time > last.time:
            self._restarts += 1
            self._lost_for_good += len(self._missing)
            self._missing.clear()
            self._origin = last = None
        if last is None:
            self._first, self._last = code.index, code
            return True
        if code.index > last.index:
            self._miss(range(last.index + 1, code.index))
            self._last = code
            return True
        if code.index in self._missing:
            del self._missing[code.index]
            self._out_of_order += 1
            return True
        assert self._first is not None
        if code.index < self._first:
            # Came after the first one, and was painted before it.
            self._miss(range(code.index + 1, self._first))
            self._first = code.index
            self._out_of_order += 1
            return True
        self._duplicates += 1
        return False

    def _miss(self, numbers: range) -> None:
        beyond = max(0, len(numbers) - self.REMEMBERED)
        self._lost_for_good += beyond
        self._missing.update(dict.fromkeys(numbers[beyond:]))
        while len(self._missing) > self.REMEMBERED:
            self._missing.popitem(last=False)
            self._lost_for_good += 1

    def _measure(self, code: FrameCode, reading: Reading) -> None:
        if reading.arrived is not None:
            self._latencies.append((reading.arrived - code.time) / 1e6)
        if self._origin is None:
            self._origin = (code.time, reading.timestamp)
        painted, shown = self._origin
        self._errors.append(abs((reading.timestamp - shown) - (code.time - painted)) / 1e6)
