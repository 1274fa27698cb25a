"""Those who follow a run: each gets every further item, until the run is over."""

import threading
from typing import Generic, TypeVar

from stream_client.web.handover import Handover

Item = TypeVar("Item")


class Followers(Generic[Item]):
    """A set of hand-overs. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._following: set[Handover[Item]] = set()
        self._ended = False

    def __len__(self) -> int:
        """How many follow."""
        return len(self._following)

    def put(self, item: Item) -> None:
        """Hand an item to each of them. Never waits."""
        with self._lock:
            following = tuple(self._following)
        for follower in following:
            follower.put(item)

    def add(self, follower: Handover[Item]) -> None:
        """Hand each further item to ``follower``, which is closed after the last."""
        with self._lock:
            if not self._ended:
                self._following.add(follower)
                return
        follower.close()

    def remove(self, follower: Handover[Item]) -> None:
        """Hand it no more."""
        with self._lock:
            self._following.discard(follower)

    def end(self) -> None:
        """The run is over: they get no more, and neither does who comes later."""
        with self._lock:
            self._ended = True
            following, self._following = self._following, set()
        for follower in following:
            follower.close()
