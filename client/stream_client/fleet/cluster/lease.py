"""Which of a stream's placements may deliver results: the newest, as long as the cluster's head confirms that it is.

A node that was cut off, or that stood still, knows nothing of the placement that has followed. So no result goes on
unless the head was asked within the last ``LEASE_SECONDS``, and a new placement waits as long before its first one.
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
    """That of placement ``epoch``. ``current`` asks the head for the newest one. The first answer is waited for.

    The process ends as soon as there is a newer one.
    """

    def __init__(self, current: Callable[[], int], epoch: int) -> None:
        self._current = current
        self._epoch = epoch
        self._changed = threading.Condition()
        self._until = 0.0
        self._closed = threading.Event()
        self._thread = OwnedThread(self._ask, f"lease {epoch}")
        self._thread.start()

    @property
    def valid(self) -> bool:
        """Whether the head has confirmed it a moment ago."""
        return _now() < self._until

    def close(self) -> None:
        """Ask no more; what waits in :meth:`check` fails."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.expect_end()
        self._thread.join()

    def check(self, result: object) -> None:
        """Return when ``result`` may be delivered; raises :class:`.StreamClientError` when the stream has ended."""
        if self.valid:
            return
        with self._changed:
            while not self.valid:
                if self._closed.is_set():
                    raise StreamClientError("the stream was stopped while the cluster's head did not answer")
                self._changed.wait(_ASK_SECONDS)

    def _ask(self) -> None:
        while not self._closed.is_set():
            asked = _now()
            try:
                newest = self._current()
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease runs out
                logger.warning("the cluster's head does not answer: %s", error)
            else:
                if newest != self._epoch:
                    os._exit(0)  # nothing that is still in this process may get out
                with self._changed:
                    self._until = asked + LEASE_SECONDS
                    self._changed.notify_all()
            self._closed.wait(_ASK_SECONDS)


def _now() -> float:
    """Seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
