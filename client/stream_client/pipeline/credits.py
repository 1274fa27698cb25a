"""A credit allows one frame in flight. The streams of a process that use the same servers share their credits."""

import threading
import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakValueDictionary

from stream_client.pipeline.flow import Window
from stream_client.pipeline.shares import LOOK_SECONDS, Shares


class Credits(Protocol):
    """The credits of one stream. Safe from any thread."""

    @property
    def look_seconds(self) -> float | None:
        """Seconds to wait for a credit before asking again. ``None``: wait until something changes."""

    def take(self) -> bool:
        """Take a credit for a frame. ``False``: there is none now, and ``wake`` is called when there is."""

    def withdraw(self) -> None:
        """Give up waiting for a credit: there is nothing to send now."""

    def hold(self, in_flight: int) -> None:
        """Say how many frames are in flight. Credits beyond that number are free again."""

    def wake_others(self) -> None:
        """Wake the streams that may send now. Call it with no lock held."""

    def placed(self, server: str) -> None:
        """From now on frames go to this one of several servers. Only frames in flight to it count."""

    def leave(self) -> None:
        """Give every credit back, at the end. Safe to call twice."""


class OwnCredits:
    """For a stream that shares its server with no other stream. Its window alone bounds the frames in flight."""

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
    """The credits of all streams that use the same servers. Safe from any thread.

    Where there are several servers, only the streams on the same server share. Otherwise the frames that a slow server
    has not answered would stop the streams of the other servers.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shares: WeakValueDictionary[str, Shares] = WeakValueDictionary()

    def join(self, weight: float) -> "StreamCredits":
        """The credits of a new stream."""
        return StreamCredits(self._at, weight, self._lock, self._clock)

    def _at(self, server: str) -> Shares:
        """The shares of the streams on ``server``; an empty text stands for the streams that use every server."""
        return self._shares.setdefault(server, Shares())


class StreamCredits:
    """Implements :class:`Credits` for one member of shares. ``at`` gives a server's shares, which ``lock`` guards."""

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
        """Ask from time to time: other streams may have stopped answering."""
        return LOOK_SECONDS

    def on_wake(self, wake: Callable[[], object]) -> None:
        """Call ``wake``, from any thread and with no lock held, when a frame that had to wait may be sent."""
        with self._lock:
            self._member.wake = wake

    def take(self) -> bool:
        """Take a credit in turn with the other streams."""
        with self._lock:
            return self._shares.ask(self._member, self._clock())

    def withdraw(self) -> None:
        """Leave the turn to the other streams."""
        with self._lock:
            self._shares.withdraw(self._member)

    def hold(self, in_flight: int) -> None:
        """Keep this number of credits, and give the others back."""
        with self._lock:
            self._shares.hold(self._member, in_flight, self._clock())

    def wake_others(self) -> None:
        """Call what the streams that may send now gave to :meth:`on_wake`."""
        with self._lock:
            wakes = [member.wake for member in self._shares.next(self._clock())]
        for wake in wakes:
            wake()

    def placed(self, server: str) -> None:
        """Take turns with the streams on the same server from now on."""
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
        """Leave the shares for ever."""
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
        """The same window, which also tells the shares how long answers take."""
        return HeardWindow(window, self)

    def widen(self, window: Window) -> Window:
        """The same. But while other streams have frames in flight, turns bound this stream instead of the window."""
        return WidenedWindow(window, self)


class HeardWindow:
    """A window that tells the shares how long answers take.

    Implements :class:`~stream_client.pipeline.flow.Window`.
    """

    def __init__(self, window: Window, credits: StreamCredits) -> None:
        self._window = window
        self._credits = credits

    @property
    def limit(self) -> int:
        """The window's limit."""
        return self._window.limit

    def answered(self, round_trip: float, in_flight: int, now: float) -> None:
        """Tell the window and the shares."""
        self._window.answered(round_trip, in_flight, now)
        self._credits.answered(round_trip)

    def delivered(self, latency: float) -> None:
        """Tell the window."""
        self._window.delivered(latency)


class WidenedWindow(HeardWindow):
    """A window that is as wide as turns allow, while other streams have frames in flight."""

    @property
    def limit(self) -> int:
        """The window's limit, or what the stream may have beside others if that is more."""
        return max(self._window.limit, self._credits.allowance())
