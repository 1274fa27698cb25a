"""Which decoded frames show damage. No I/O."""

import av


class Damage:
    """Follows damage from frame to frame: it lasts until the next key frame that is whole.

    A decoder hides lost packets by parts of other frames and says nothing, so the packets count: those that were lost,
    and those that the decoder or the container refuses. A stream that is entered between two key frames is damaged
    until the first one.
    """

    _DELAY = 64
    """Frames that a decoder may hold back, at most."""

    def __init__(self) -> None:
        self._stamps: dict[int, None] = {}
        self._began = False
        self._lasts = False

    def packet(self, stamp: int) -> None:
        """Parts of the packet with that timestamp are missing."""
        self._stamps[stamp] = None
        if len(self._stamps) > self._DELAY:
            del self._stamps[next(iter(self._stamps))]

    def hidden_key(self) -> None:
        """A key frame is decoded, but not shown: a recording's edit list begins after it."""
        self._began, self._lasts = True, False

    def lost(self) -> None:
        """A packet could not be decoded."""
        self._lasts = self._began

    def shows(self, frame: av.VideoFrame) -> bool:
        """Whether the next decoded frame is damaged."""
        hit = frame.is_corrupt or (frame.pts is not None and self._take(frame.pts))
        if not self._began:
            self._began = True
            self._lasts = not frame.key_frame
        if frame.key_frame:
            self._lasts = False
        self._lasts = self._lasts or hit
        return self._lasts

    def _take(self, stamp: int) -> bool:
        if stamp not in self._stamps:
            return False
        del self._stamps[stamp]
        return True
