"""The newest samples of a stream, for a training loop beside it."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from stream_client.errors import ConfigurationError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class BufferCounts:
    """Counts of samples: ``added`` = ``taken`` + ``overwritten`` + ``waiting``. Each sample is taken once."""

    added: int
    taken: int
    overwritten: int
    waiting: int


class NewestSamples(Generic[S]):
    """A ring of the newest ``capacity`` samples, in memory alone. One thread adds, another one learns from them.

    A full ring drops the oldest sample. :attr:`counts` has the number of those that nobody had taken.
    """

    def __init__(self, capacity: int = 1000) -> None:
        if capacity < 1:
            raise ConfigurationError(f"a training buffer holds at least one sample, not {capacity}")
        self._changed = threading.Condition()
        self._ring: deque[S] = deque(maxlen=capacity)
        self._waiting = 0  # number of newest samples in the ring that were not taken yet
        self._added = self._taken = self._overwritten = 0
        self._closed = False

    def add(self, sample: S) -> None:
        """Add a sample. A full buffer drops the oldest one."""
        with self._changed:
            if self._waiting == self._ring.maxlen:
                self._overwritten += 1
            else:
                self._waiting += 1
            self._ring.append(sample)
            self._added += 1
            self._changed.notify()

    def close(self) -> None:
        """End the stream. Consumers receive the remaining samples, then the end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._ring)

    def __iter__(self) -> Iterator[S]:
        """Each sample once, oldest first. Waits for more until the stream ends."""
        while (sample := self.take()) is not None:
            yield sample

    def take(self, timeout: float | None = None) -> S | None:
        """The oldest sample that was not taken yet; ``None`` at the end, or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting > 0 or self._closed, timeout)
            if self._waiting == 0:
                return None
            sample = self._ring[len(self._ring) - self._waiting]
            self._waiting -= 1
            self._taken += 1
            return sample

    def snapshot(self) -> list[S]:
        """All samples in the buffer, oldest first, whether taken or not."""
        with self._changed:
            return list(self._ring)

    def sample(self, count: int, rng: np.random.Generator) -> list[S]:
        """``count`` random samples, with replacement. Empty list while the buffer is empty."""
        kept = self.snapshot()
        return [kept[index] for index in rng.integers(len(kept), size=count)] if kept else []

    @property
    def counts(self) -> BufferCounts:
        """The counts so far."""
        with self._changed:
            return BufferCounts(self._added, self._taken, self._overwritten, self._waiting)
