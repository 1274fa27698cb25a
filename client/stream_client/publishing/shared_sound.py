"""Sound encoded once for all outputs that want the same of it."""

import threading
from collections import deque
from collections.abc import Callable, Hashable

from stream_client.sound.packets import SoundFeed, SoundPacket, SoundPackets
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat, SoundTrack

_MOST_WAITING = 1000
"""Packets that wait for an output: AAC of 20 s. The oldest are dropped beyond them."""


class SoundTap:
    """What one output takes of shared sound. One thread uses it."""

    def __init__(self, shared: "_SharedSound", on_close: "Callable[[SoundTap], None]") -> None:
        self._shared = shared
        self._on_close = on_close
        self._waiting: deque[SoundPacket] = deque()
        self._dropped = 0

    @property
    def format(self) -> SoundFormat:
        """How the packets are encoded."""
        return self._shared.format

    def take(self, before: float) -> list[SoundPacket]:
        """What there is before that time, in seconds of the source. Never waits for sound."""
        return self._shared.take(self, before)

    def skip(self, before: float) -> None:
        """Drop what there is before that time."""
        self._dropped += len(self.take(before))

    def forget(self, before: float) -> None:
        """Leave out what there is before that time, of which no frame is sent either. Safe from any thread."""
        self.take(before)

    def dropped(self) -> int:
        """Packets that were dropped since this was asked before."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def close(self) -> None:
        """Take nothing more. The last output ends the encoder."""
        self._on_close(self)

    def put(self, packets: list[SoundPacket]) -> None:
        """Add packets; called with the lock of the shared sound."""
        self._waiting.extend(packets)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self._dropped += 1

    def pop(self, before: float) -> list[SoundPacket]:
        """Remove what is before that time; called as :meth:`put`."""
        taken = []
        while self._waiting and self._waiting[0].time < before:
            taken.append(self._waiting.popleft())
        return taken


class _SharedSound:
    """The sound of one track by one rule, and the taps of its outputs. Safe from any thread."""

    def __init__(self, track: SoundTrack, rule: SoundRule) -> None:
        self._feed = SoundFeed(track, rule)
        self._packets = SoundPackets(self._feed, 0.0)
        self.format = self._packets.format
        self._lock = threading.Lock()
        self._taps: list[SoundTap] = []

    def join(self, tap: SoundTap) -> None:
        with self._lock:
            self._taps.append(tap)

    def leave(self, tap: SoundTap) -> bool:
        """``False``: it was the last one, and nobody listens any more."""
        with self._lock:
            if tap in self._taps:
                self._taps.remove(tap)
                if not self._taps:
                    self._feed.close()
            return bool(self._taps)

    def take(self, tap: SoundTap, before: float) -> list[SoundPacket]:
        with self._lock:
            packets = self._packets.take(before)
            for each in self._taps:
                each.put(packets)
            return tap.pop(before)


class KeptSound:
    """The sound of one output, from when frames are read: they come later, by what the model server takes for them.

    One thread uses it, but for :meth:`forget`.
    """

    def __init__(self, pool: "SoundPool", track: SoundTrack | None, rule: SoundRule | None) -> None:
        self._pool = pool
        self._track = track
        self._tap: SoundTap | None = None
        self.tap(rule)

    def tap(self, rule: SoundRule | None) -> SoundTap | None:
        """What a connection takes whose wire has that rule. It stays open for the next connection."""
        if rule is None or self._track is None:
            self.close()
            return None
        self._tap = self._tap or self._pool.tap(self._track, rule)
        return self._tap

    def forget(self, before: float) -> None:
        """Leave out what is before that time. Without a connection, that bounds what waits."""
        tap = self._tap
        if tap is not None:
            tap.forget(before)

    def close(self) -> None:
        """Take nothing more."""
        tap, self._tap = self._tap, None
        if tap is not None:
            tap.close()


class SoundPool:
    """The sound of a run's live outputs. Those that want the same share it. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: dict[Hashable, _SharedSound] = {}

    def tap(self, track: SoundTrack, rule: SoundRule) -> SoundTap:
        """A tap of the sound of ``track`` for an output with ``rule``."""
        key = (track, None if rule.carries(track) else (rule.encoder, rule.channels, rule.silence))
        with self._lock:
            shared = self._shared.get(key)
            if shared is None:
                shared = self._shared[key] = _SharedSound(track, rule)
            tap = SoundTap(shared, lambda tap: self._close(key, shared, tap))
            shared.join(tap)
            return tap

    def _close(self, key: Hashable, shared: _SharedSound, tap: SoundTap) -> None:
        with self._lock:
            if not shared.leave(tap) and self._shared.get(key) is shared:
                del self._shared[key]
