"""The samples of a training: labeled in the background, the newest, older ones, and those that are held out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from stream_client.distill.memory import Memory, Reservoir
from stream_client.distill.options import DistillOptions
from stream_client.distill.producer import Producer
from stream_client.distill.samples import PoseSample
from stream_client.distill.streams import Pass
from stream_client.distill.teacher import Teacher
from stream_client.errors import StreamClientError
from stream_client.training.newest import NewestSamples

_HELD_OUT = 500
"""Samples to evaluate on, a random part of all that are held out."""
_ENOUGH = 100
"""Held-out samples with which a training begins, though more of them may come."""
_TICK = 0.2
"""Seconds between two looks at whether there is enough."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What is there so far. ``held_out`` grows while streams are labeled."""

    producer: Producer
    memory: Memory
    held_out: Reservoir

    def wait(self, least: int) -> Sequence[PoseSample]:
        """Wait for ``least`` samples, or all that there are; the samples to evaluate on.

        Raises :class:`.StreamClientError` where nobody was seen.
        """
        while not self._ready(least):
            self.memory.wait(_TICK)
        if self.producer.error is not None:
            raise self.producer.error
        held_out = tuple(self.held_out.samples)
        if not len(self.memory) or not held_out:
            what = "in what is held out" if len(self.memory) else "to learn from"
            reasons = "; ".join(failed.reason for failed in self.producer.failed) or "name longer ones, or others"
            raise StreamClientError(f"no person was seen {what}: {reasons}")
        return held_out

    def _ready(self, least: int) -> bool:
        if self.producer.done:
            self.memory.wait(0)
            return True
        held_out = self.producer.held_out_done or len(self.held_out.samples) >= _ENOUGH
        return held_out and len(self.memory) >= least


@contextmanager
def collect(
    streams: Pass,
    teacher: Teacher,
    options: DistillOptions,
    on_sample: Callable[[PoseSample, bool], object] = lambda sample, held_out: None,
) -> Iterator[Collection]:
    """Label ``streams`` in the background, to the end of the block. Nothing is written to disk.

    ``on_sample`` is called with each sample and whether it is held out, in the thread that labels.
    """
    rng = np.random.default_rng(options.seed)
    newest: NewestSamples[PoseSample] = NewestSamples(options.buffer)
    held_out = Reservoir(_HELD_OUT, rng.spawn(1)[0])

    def put(sample: PoseSample, held: bool) -> None:
        if held:
            held_out.add(sample)
        else:
            newest.add(sample)
        on_sample(sample, held)

    producer = Producer(
        streams, teacher, put, rate=options.rate, stream_seconds=options.stream_seconds, loop=options.loop
    )
    with producer:
        yield Collection(producer, Memory(newest, options.memory, rng), held_out)
