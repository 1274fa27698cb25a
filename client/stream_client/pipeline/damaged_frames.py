"""Whether a damaged frame is used. No I/O."""

import logging

from stream_client.frames import Frame
from stream_client.options import DamagePolicy

logger = logging.getLogger(__name__)


class DamagedFrames:
    """Says which frames to leave out under the policy ``skip``: the damaged ones.

    Where no whole frame has come for :attr:`LONGEST` seconds, damaged ones are better than none. This is said once.
    """

    LONGEST = 2.0

    def __init__(self, policy: DamagePolicy) -> None:
        self._policy = policy
        self._whole: float | None = None
        self._said = False

    def skips(self, frame: Frame) -> bool:
        """Whether to leave out the next frame."""
        if self._whole is None or not frame.damaged:
            self._whole = frame.captured
        if not frame.damaged or self._policy == "pass":
            return False
        if frame.captured - self._whole <= self.LONGEST:
            return True
        if not self._said:
            self._said = True
            logger.warning("no whole frame came for %g s: damaged frames are used until one comes", self.LONGEST)
        return False
