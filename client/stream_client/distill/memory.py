"""What a training loop draws its batches from."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stream_client.distill.samples import PoseSample
from stream_client.training.newest import NewestSamples


class Reservoir:
    """A random part of everything that was ever added, of at most ``capacity`` samples, each equally likely.

    Algorithm R: Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11 (1985).
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self._capacity = capacity
        self._rng = rng
        self.seen = 0
        """Samples that were added."""
        self.samples: list[PoseSample] = []

    def add(self, sample: PoseSample) -> None:
        """Keep it, or not."""
        self.seen += 1
        if len(self.samples) < self._capacity:
            self.samples.append(sample)
        elif (place := int(self._rng.integers(self.seen))) < self._capacity:
            self.samples[place] = sample


class Memory:
    """Mixes the newest samples with older ones, so that a student does not forget what the stream showed before.

    ``newest`` is filled by another thread. A batch is half of it and half of a reservoir of all samples so far. Each
    source has the same share of either half, so that a long video does not drown the others.
    """

    def __init__(self, newest: NewestSamples[PoseSample], capacity: int, rng: np.random.Generator) -> None:
        self._newest = newest
        self._older = Reservoir(capacity, rng)
        self._rng = rng

    def wait(self, seconds: float) -> bool:
        """Take in what is new; wait for it for at most ``seconds``. Returns whether something was there."""
        sample = self._newest.take(timeout=seconds)
        found = sample is not None
        while sample is not None:
            self._older.add(sample)
            sample = self._newest.take(timeout=0)
        return found

    def __len__(self) -> int:
        return len(self._older.samples)

    def batch(self, size: int) -> list[PoseSample]:
        """``size`` samples, with replacement; empty while there is none."""
        self.wait(0)
        older = self._older.samples
        if not older:
            return []
        return [*self._drawn(self._newest.snapshot(), size - size // 2), *self._drawn(older, size // 2)]

    def _drawn(self, samples: Sequence[PoseSample], count: int) -> list[PoseSample]:
        of_source = Counter(sample.source for sample in samples)
        weights = np.array([1 / of_source[sample.source] for sample in samples])
        return [samples[index] for index in self._rng.choice(len(samples), count, p=weights / weights.sum())]

    @property
    def seen(self) -> int:
        """Samples that came so far."""
        return self._older.seen

    @property
    def samples(self) -> Sequence[PoseSample]:
        """The older samples that are kept."""
        return self._older.samples
