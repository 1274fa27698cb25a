"""A file's frames at their own pace."""

import time

LONGEST_PAUSE = 1.0
"""Seconds. Longer gaps in a file's times are cut to this, so that a stop does not wait for them."""


class Pacer:
    """Says how long to wait until a frame is due. For one thread."""

    def __init__(self) -> None:
        self._start: float | None = None

    def pause(self, media_time: float) -> float:
        """Seconds until the frame of ``media_time``, in seconds of the source, is due; the first one is due now."""
        now = time.monotonic()
        if self._start is None:
            self._start = now - media_time
        pause = self._start + media_time - now
        if pause > LONGEST_PAUSE:
            self._start -= pause - LONGEST_PAUSE
            pause = LONGEST_PAUSE
        return max(0.0, pause)
