"""Credits: each is leave to have one frame in flight. The streams of a process that use the same servers share them."""

import threading
import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakValueDictionary

from stream_client.pipeline.flow import Window
from stream_client.pipeline.shares import LOOK_SECONDS, Shares


class Credits(Protocol):
    """Those of one stream. Safe from any thread."""

    @property
    def look_seconds(self) -> float | None:
        """How long to wait for a credit before asking again; ``None``: until something changes."""

    def take(self) -> bool:
        """Whether a frame may be sent, which then has a credit. Else ``wake`` is called when it may."""

    def withdraw(self) -> None:
        """There is nothing to send now."""

    def hold(self, in_flight: int) -> None:
        """So many frames have a credit."""

    def wake_others(self) -> None:
        """Let those go on who have got a credit meanwhile. Call it with no lock held."""

    def placed(self, server: str) -> None:
        """Frames go to this one of several servers from now on: only its own frames in flight count."""

    def leave(self) -> None:
        """Give everything back, at the end. Safe twice."""


class OwnCredits:
    """For a stream that shares with no other: its window alone decides."""

    @property
    def look_seconds(self) -> float | None:
        """No frame waits."""
        return None

    def take(self) -> bool:
        """Always."""
        return True

    def withdraw(self) -> None:
        """Nothing to do."""

    def hold(self, in_flight: int) -> None:
        """Nothing to do."""

    def wake_others(self) -> None:
        """There are none."""

    def placed(self, server: str) -> None:
        """Nothing to do."""

    def leave(self) -> None:
        """Nothing to do."""


class SharedCredits:
    """Those of all streams that use the same servers. Safe from any thread.

    Streams whose sessions live on one of several servers share with those on the same one: a slow server with all that
    it owes would else keep back the frames for the others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shares: WeakValueDictionary[str, Shares] = WeakValueDictionary()

    def join(self, weight: float) -> "StreamCredits":
        """The credits of a new stream."""
        return StreamCredits(self._at, weight, self._lock, self._clock)

    def _at(self, server: str) -> Shares:
        """Those of the streams on ``server``; empty: of those that use all."""
        return self._shares.setdefault(server, Shares())


class StreamCredits:
    """Implements :class:`Credits`: a member's view of the shares, which ``lock`` guards. ``at``: those of a server."""

    def __init__(
        self, at: Callable[[str], Shares], weight: float, lock: threading.Lock, clock: Callable[[], float]
    ) -> None:
        self._at = at
        self._lock = lock
        self._clock = clock
        self._left = False
        with lock:
            self._shares = at("")
            self._member = self._shares.join(weight)

    @property
    def look_seconds(self) -> float | None:
        """Others may have fallen silent meanwhile."""
        return LOOK_SECONDS

    def on_wake(self, wake: Callable[[], object]) -> None:
        """Call ``wake``, from any thread and with no lock held, when a frame that had to wait may be sent."""
        with self._lock:
            self._member.wake = wake

    def take(self) -> bool:
        """In turn with the other streams."""
        with self._lock:
            return self._shares.ask(self._member, self._clock())

    def withdraw(self) -> None:
        """Leave the turn to others."""
        with self._lock:
            self._shares.withdraw(self._member)

    def hold(self, in_flight: int) -> None:
        """What is held beyond is given back."""
        with self._lock:
            self._shares.hold(self._member, in_flight, self._clock())

    def wake_others(self) -> None:
        """Call what they gave to :meth:`on_wake`."""
        with self._lock:
            wakes = [member.wake for member in self._shares.next(self._clock())]
        for wake in wakes:
            wake()

    def placed(self, server: str) -> None:
        """In turn with those on the same server."""
        with self._lock:
            shares, now, before = self._at(server), self._clock(), self._member
            if shares is self._shares or self._left:
                return
            in_flight = before.in_flight
            self._shares.leave(before, now)
            self._shares, self._member = shares, shares.join(before.weight)
            self._member.wake = before.wake
            shares.hold(self._member, in_flight, now)

    def leave(self) -> None:
        """Out of turn for ever."""
        with self._lock:
            self._left = True
            self._shares.leave(self._member, self._clock())

    def answered(self, round_trip: float) -> None:
        """See :meth:`.Shares.answered`."""
        with self._lock:
            self._shares.answered(self._member, round_trip, self._clock())

    def allowance(self) -> int:
        """See :meth:`.Shares.allowance`."""
        with self._lock:
            return self._shares.allowance(self._member, self._clock())

    def share(self) -> float | None:
        """The stream's part of the servers' recent time, 0…1; ``None`` before the first answer to any stream."""
        with self._lock:
            return self._shares.share(self._member, self._clock())

    def heard_by(self, window: Window) -> Window:
        """The same window; answers tell what the stream's frames cost."""
        return HeardWindow(window, self)

    def widen(self, window: Window) -> Window:
        """The same, but turns decide instead of the window while other streams have frames in flight."""
        return WidenedWindow(window, self)


class HeardWindow:
    """Implements :class:`~stream_client.pipeline.flow.Window`."""

    def __init__(self, window: Window, credits: StreamCredits) -> None:
        self._window = window
        self._credits = credits

    @property
    def limit(self) -> int:
        """The window's own."""
        return self._window.limit

    def answered(self, round_trip: float, in_flight: int, now: float) -> None:
        """Both learn from it."""
        self._window.answered(round_trip, in_flight, now)
        self._credits.answered(round_trip)

    def delivered(self, latency: float) -> None:
        """For the window."""
        self._window.delivered(latency)


class WidenedWindow(HeardWindow):
    """Implements :class:`~stream_client.pipeline.flow.Window`."""

    @property
    def limit(self) -> int:
        """The window's own, or what the stream is allowed beside others."""
        return max(self._window.limit, self._credits.allowance())
