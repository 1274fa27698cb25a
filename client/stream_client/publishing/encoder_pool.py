"""The encoders of a run."""

import threading
from collections.abc import Hashable
from functools import partial

from stream_client.publishing.encoder import EncoderFactory
from stream_client.publishing.leading import FollowingTap, Lead
from stream_client.publishing.shared_sound import SoundPool
from stream_client.publishing.sharing import KEY_SECONDS, LIMITED_KEY_SECONDS, SharedEncoder, SharedTap, Tap
from stream_client.publishing.wire import VideoTrack


class EncoderPool:
    """The encoders of a run's outputs. Outputs with the same size and settings share one. Safe from any thread.

    Where a file leads, outputs without a limit take what it encodes.
    """

    def __init__(self) -> None:
        self.sound = SoundPool()
        self._lock = threading.Lock()
        self._encoders: dict[Hashable, SharedEncoder] = {}
        self._leads: dict[Hashable, Lead] = {}

    def lead(self, settings: Hashable) -> Lead:
        """What a file with ``settings`` leads with."""
        with self._lock:
            return self._leads.setdefault(settings, Lead())

    def tap(self, make: EncoderFactory, settings: Hashable, track: VideoTrack, limit: int | None) -> Tap:
        """A tap of the encoder for this track and limit; ``make`` is called where no output with ``settings`` has one.

        Raises :class:`~stream_client.errors.SinkError` where the encoder cannot be made.
        """
        open_shared = partial(self._share, make, settings, track, limit)
        return open_shared() if limit is not None else FollowingTap(self.lead(settings), track, open_shared)

    def _share(self, make: EncoderFactory, settings: Hashable, track: VideoTrack, limit: int | None) -> SharedTap:
        key = (settings, track, limit)
        with self._lock:
            shared = self._encoders.get(key)
            if shared is None:
                seconds = KEY_SECONDS if limit is None else LIMITED_KEY_SECONDS
                shared = self._encoders[key] = SharedEncoder(make(track, limit), seconds)
            tap = SharedTap(shared, lambda tap: self._close(key, shared, tap))
            shared.join(tap)
            return tap

    def _close(self, key: Hashable, shared: SharedEncoder, tap: SharedTap) -> None:
        with self._lock:
            if not shared.leave(tap) and self._encoders.get(key) is shared:
                del self._encoders[key]
