"""Whether a process may deliver results: as long as the cluster's head confirms that its streams are its own.

A node that was cut off, or that stood still, knows nothing of the process that has followed on another one. So no
result goes on unless the head was asked within the last ``LEASE_SECONDS``, and nobody else has the streams of a process
before as long has passed since the head has forgotten it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from stream_client.errors import StreamClientError
from stream_client.util.owned_thread import OwnedThread

logger = logging.getLogger(__name__)

LEASE_SECONDS = 2.0
_ASK_SECONDS = 0.4


class Lease:
    """That of this process. ``held`` asks the head whether it knows it still.

    The process ends as soon as the head has forgotten it.
    """

    def __init__(self, held: Callable[[], bool]) -> None:
        self._held = held
        self._changed = threading.Condition()
        self._until = 0.0
        self._closed = threading.Event()
        self._thread = OwnedThread(self._ask, "lease")
        self._thread.start()

    @property
    def valid(self) -> bool:
        """Whether the head has confirmed it a moment ago."""
        return _now() < self._until

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()
        self._thread.expect_end()
        self._thread.join()

    def check(self, ended: threading.Event) -> None:
        """Return when a result may be delivered; raises :class:`.StreamClientError` when its stream has ``ended``."""
        if self.valid:
            return
        with self._changed:
            while not self.valid:
                if ended.is_set():
                    raise StreamClientError("the stream was stopped while the cluster's head did not answer")
                self._changed.wait(_ASK_SECONDS)

    def _ask(self) -> None:
        while not self._closed.is_set():
            asked = _now()
            try:
                held = self._held()
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease runs out
                logger.warning("the cluster's head does not answer: %s", error)
            else:
                if not held:
                    os._exit(0)  # nothing that is still in this process may get out
                with self._changed:
                    self._until = asked + LEASE_SECONDS
                    self._changed.notify_all()
            self._closed.wait(_ASK_SECONDS)


def _now() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
