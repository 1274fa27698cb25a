"""One time line for a recording whose timestamps begin anew, jump or are missing. No I/O."""


class Continuity:
    """Finds, by the decoding times of a recording's packets, by how much the times of each have to be shifted.

    Recordings that were joined begin anew in the middle, all streams of it together. Whichever stream has the first
    packet behind the joint continues where it was, and the shift counts for the others too, so that they stay in step.
    Streams may be interleaved across the joint: for :attr:`OVERLAP` a packet may still belong to the part before.
    With ``jumps``, as in transport streams, a gap of more than :attr:`LONGEST_GAP` is a joint as well. All times are in
    microseconds.
    """

    LONGEST_GAP = 10_000_000
    OVERLAP = 2_000_000
    BACK = 500_000
    """Audio may step back by this much: a decoder's delay, or a joint that is not exact. Video never steps back."""

    def __init__(self, *, jumps: bool) -> None:
        self._jumps = jumps
        self._shift = 0
        self._shift_before = 0
        self._joint: int | None = None
        self._last: dict[int, int] = {}
        self._next: dict[int, int] = {}

    def shift(self, stream: int, time: int, duration: int, *, video: bool) -> int:
        """The shift of the next packet of ``stream``; ``time`` is its decoding time, ``duration`` 0 where unknown."""
        shift = self._choose(stream, time, video)
        last = self._last.get(stream)
        self._last[stream] = time + shift
        if not duration and last is not None:
            duration = time + shift - last
        self._next[stream] = time + shift + duration
        return shift

    def _choose(self, stream: int, time: int, video: bool) -> int:
        expected = self._next.get(stream)
        if expected is None:
            return self._shift
        candidates = [self._shift]
        if self._joint is not None and expected < self._joint + self.OVERLAP:
            candidates.append(self._shift_before)
        continuous = [shift for shift in candidates if self._continues(stream, time + shift, video)]
        if continuous:
            return min(continuous, key=lambda shift: abs(time + shift - expected))
        self._shift_before, self._shift = self._shift, expected - time
        self._joint = expected
        return self._shift

    def _continues(self, stream: int, time: int, video: bool) -> bool:
        step = time - self._last[stream]
        if self._jumps and step > self.LONGEST_GAP:
            return False
        return step > 0 if video else step > -self.BACK


class ShownStamps:
    """Chooses the timestamp of each decoded frame: when it is shown, or when it was decoded.

    Frames come in the order in which they are shown. Where their own times step back more often than the decoding
    times, these are the better ones: the file has times of packets in place of those of frames. So do FFmpeg's own
    programs. With ``guessed`` the times shown are FFmpeg's guesses from the start.
    """

    def __init__(self, *, guessed: bool = False) -> None:
        self._faults = int(guessed)
        self._decoding_faults = 0
        self._last: int | None = None
        self._last_decoding: int | None = None

    def choose(self, shown: int | None, decoded: int | None) -> int | None:
        """The timestamp of the next frame; ``None`` where none can be trusted."""
        if decoded is None or (self._last_decoding is not None and decoded <= self._last_decoding):
            self._decoding_faults += 1
        if shown is None:
            return decoded
        if self._last is not None and shown <= self._last:
            self._faults += 1
        self._last = shown
        self._last_decoding = decoded if decoded is not None else self._last_decoding
        return shown if self._faults <= self._decoding_faults else decoded


class MediaTimes:
    """Times of a recording's frames in microseconds: from 0, strictly increasing, whatever the timestamps.

    ``period`` is the usual time between two frames. Frames without a timestamp follow the one before by
    it; so frames at the start that have none move the zero of all the others. ``zero`` is the timestamp of time 0 where
    that is known before.
    """

    def __init__(self, period: int, zero: int | None = None) -> None:
        self.zero = zero
        """The timestamp of time 0, once it is known: by the first frame with a timestamp."""
        self._period = period
        self._last: int | None = None

    def place(self, timestamp: int | None) -> int:
        """The time of the next frame."""
        following = 0 if self._last is None else self._last + self._period
        if timestamp is None:
            time = following
        else:
            if self.zero is None:
                self.zero = timestamp - following
            time = timestamp - self.zero
        if self._last is not None and time <= self._last:
            time = self._last + max(self._period // 8, 1)
        self._last = time
        return time
