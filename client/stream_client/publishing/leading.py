"""Frames that a file encodes, in order and each one once, for the live outputs beside it."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from stream_client.publishing.handout import Handout, Waiting
from stream_client.publishing.sharing import KEY_SECONDS, RawFrame, Tap
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE

_SILENT = 1.0
"""Seconds without a frame after which a file is not waited for."""
_STALL = 1.0
"""Seconds that a stream may stand still before an output that follows repeats its last frame. One stall of a quick
stream is not worth an encoder; a longer one counts for no more in the pace."""


class Lead:
    """Between one file at a time, which encodes, and live outputs. The file never waits for them.

    One thread uses :meth:`begin` to :meth:`end`. The rest is safe from any thread.
    """

    def __init__(self) -> None:
        self.wanted = False
        """Whether the run has outputs that may follow."""
        self._changed = threading.Condition()
        self._handout = Handout(KEY_SECONDS)
        self._track: VideoTrack | None = None
        self._taken = False
        self._newest = self._ticks = -1
        self._put_at = -math.inf

    def begin(self, track: VideoTrack) -> bool:
        """Lead with frames of that track; ``False`` where nobody follows, and where another file leads."""
        with self._changed:
            if self._taken or not self.wanted:
                return False
            self._taken, self._track = True, track
            return True

    def wants_key(self, raw: RawFrame) -> bool:
        """Whether ``raw``, which is encoded next, has to be a key frame."""
        with self._changed:
            self._ticks = max(round(raw.time * CLOCK_RATE), self._ticks + 1)
            return self._handout.wants_key(time.monotonic(), self._ticks)

    def put(self, raw: RawFrame, data: bytes, *, key: bool) -> None:
        """The access unit of ``raw``, in Annex B form, with parameter sets where it is a key frame."""
        with self._changed:
            self._newest, self._put_at = raw.index, time.monotonic()
            self._handout.put(PublishedFrame(data, self._ticks, key, raw.captured, raw.index, raw.wall_clock))
            self._changed.notify_all()

    def end(self) -> None:
        """The file is done. Another one may go on."""
        with self._changed:
            self._taken = False

    def leads(self, track: VideoTrack) -> bool:
        """Whether frames of that track come."""
        with self._changed:
            return self._track == track and time.monotonic() - self._put_at < _SILENT

    def join(self, output: Waiting) -> None:
        """Another output follows."""
        with self._changed:
            self._handout.join(output)

    def leave(self, output: Waiting) -> None:
        """It follows no more. Safe twice."""
        with self._changed:
            self._handout.leave(output)

    def restart(self, output: Waiting) -> None:
        """It goes on with a key frame."""
        with self._changed:
            output.restart()

    def take(self, output: Waiting, index: int, within: float) -> tuple[list[PublishedFrame], bool]:
        """Wait for the source's frame of that number. What there is up to it, and whether it came in time."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._newest >= index, within)
            return output.take(index), came


class FollowingTap:
    """Takes what a file encodes while the file keeps up, else from an encoder that live outputs share.

    A file has each frame once, and the next one refers to it. So an output that repeats a frame is on its own, and so
    is one whose file is late: for :attr:`ALONE_SECONDS`, and then up to the file's next key frame.
    """

    ALONE_SECONDS = 2.0
    LATE = 0.5
    """Seconds that the file may take for a frame, from when it comes to the output."""

    def __init__(self, lead: Lead, track: VideoTrack, open_own: Callable[[], Tap]) -> None:
        self._lead = lead
        self._track = track
        self._open_own = open_own
        self._own: Tap | None = open_own()
        self._waiting: Waiting | None = None
        self._alone_until = -math.inf
        self._came_at, self._pace = time.monotonic(), 0.0  # of frames: when the last one came, seconds between them
        self._presented = -1

    def first(self, raw: RawFrame) -> PublishedFrame:
        """A key frame that shows ``raw``."""
        return self._alone().first(raw)

    def encode(self, raw: RawFrame) -> list[PublishedFrame]:
        """What is new for this output, now that ``raw`` has come."""
        now = time.monotonic()
        self._pace += 0.1 * (min(now - self._came_at, _STALL) - self._pace)
        self._came_at = now
        return self._in_order(self._follow(raw) or self._alone().encode(raw))

    def repeat(self, raw: RawFrame, after: float) -> list[PublishedFrame]:
        """Encode ``raw``, the last frame, again, unless another output did in the last ``after`` seconds."""
        follows, slow = self._own is None, self._pace >= after
        if follows and not slow and time.monotonic() - self._came_at < _STALL:
            return []
        if follows or slow:
            self._leave()
        return self._in_order(self._alone().repeat(raw, after))

    def restart(self) -> None:
        """Forget what waits; the next frame is a key frame."""
        if self._own is not None:
            self._own.restart()
        if self._waiting is not None:
            self._lead.restart(self._waiting)

    def abort(self) -> None:
        """Make a waiting call fail now, unless others share the encoder. One for the file takes :attr:`LATE`."""
        own = self._own
        if own is not None:
            own.abort()

    def close(self) -> None:
        """Take nothing more."""
        self._leave()
        self._close_own()

    def _follow(self, raw: RawFrame) -> list[PublishedFrame]:
        """What the file has for this output; empty where it needs an encoder of its own."""
        if time.monotonic() < self._alone_until or not self._lead.leads(self._track):
            return []
        if self._waiting is None:
            self._waiting = Waiting()
            self._lead.join(self._waiting)
        frames, came = self._lead.take(self._waiting, raw.index, self.LATE)
        if not came:
            self._leave()
            return []
        if frames:
            self._close_own()
        return frames

    def _in_order(self, frames: list[PublishedFrame]) -> list[PublishedFrame]:
        """The frames, whose times go on from the other encoder's: repetitions there may have passed those here."""
        ordered = []
        for frame in frames:
            self._presented = max(frame.time, self._presented + 1)
            ordered.append(replace(frame, time=self._presented))
        return ordered

    def _leave(self) -> None:
        self._alone_until = time.monotonic() + self.ALONE_SECONDS
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._lead.leave(waiting)

    def _alone(self) -> Tap:
        if self._own is None:
            self._own = self._open_own()
            self.restart()  # what the file has, too: it refers to frames that are left out now
        return self._own

    def _close_own(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()
