"""Makes samples of a stream's results."""

from collections.abc import Callable

from stream_client.distill.samples import PoseSample, crop_of
from stream_client.distill.streams import Stream
from stream_client.distill.teacher import Teacher
from stream_client.frames import Result, StreamInfo

_LEAST_VISIBLE = 0.25
"""The least share of a person's joints that a sample needs."""

Put = Callable[[PoseSample, bool], object]
"""Takes a sample, and whether it is held out."""


class SampleSink:
    """A sink that gives the persons of a stream to ``put``, at most ``rate`` times a second of the stream.

    The stream is ended after ``seconds`` of it; ``None``: it is taken whole.
    """

    name = "samples"

    def __init__(
        self, stream: Stream, teacher: Teacher, put: Put, *, rate: float, seconds: float | None = None
    ) -> None:
        self._stream = stream
        self._teacher = teacher
        self._put = put
        self._pause = 1e6 / rate
        self._seconds = seconds
        self._start: int | None = None
        self._next = 0.0
        self.samples = 0
        """Samples so far."""

    def open(self, info: StreamInfo) -> None:
        """Nothing is written anywhere."""

    def write(self, result: Result) -> bool:
        """Make samples of the persons in the frame, if it is time for that."""
        persons = self._teacher.persons(result)
        timestamp = result.frame.timestamp
        if self._start is None:
            self._start = timestamp
        if self._seconds is not None and timestamp - self._start >= self._seconds * 1e6:
            return False
        if timestamp < self._next:
            return True
        for person in persons:
            if person.visible.mean() >= _LEAST_VISIBLE:
                crop = crop_of(result.frame.image, person.box)
                sample = PoseSample(self._stream.name, timestamp, crop, person.joints, person.visible)
                self._put(sample, self._stream.held_out(timestamp))
                self.samples += 1
        if persons:
            # Half a frame's tolerance: 10 a second of 30 are every third, also where timestamps are rounded.
            self._next = timestamp + self._pause - min(self._pause / 4, 8_000)
        return True

    def close(self) -> None:
        """Nothing to finish."""
