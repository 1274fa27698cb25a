"""The sink that keeps frames, in a thread of its own that never holds the stream up."""

import logging
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from stream_client.collect.data_set import DataSet, Sample, Thing
from stream_client.collect.limits import DAY, MINUTE, Rate, Seen
from stream_client.collect.options import DataFormat
from stream_client.collect.strategies import Strategy
from stream_client.errors import SinkError
from stream_client.frames import Result, StreamInfo
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.owned_thread import OwnedThread

logger = logging.getLogger(__name__)

_WAITING = 8
_SAVE_EVERY = 30.0
"""Seconds between two writings of the annotations; they are also written at the end."""


class CollectSink:
    """Keeps the frames that one of ``strategies`` wants, within the limits, and that look like none before.

    Frames are kept as the source gave them, without drawings. When the disk is slower than the stream, frames are left
    out and counted.
    """

    name = "collect"

    def __init__(
        self,
        folder: Path,
        strategies: Sequence[Strategy],
        *,
        kind: DataFormat = "coco",
        per_minute: int = 10,
        per_day: int = 1000,
    ) -> None:
        self._folder = folder
        self._strategies = tuple(strategies)
        self._kind: DataFormat = kind
        self._rate = Rate({MINUTE: per_minute, DAY: per_day})
        self._seen = Seen()
        self._queue: BoundedQueue[Sample] = BoundedQueue(_WAITING)
        self._thread: OwnedThread | None = None
        self._run_name = f"{int(time.time())}-{secrets.token_hex(2)}"
        self._failure: OSError | None = None
        self.kept_frames = 0
        """Frames that were kept."""
        self.left_out = 0
        """Frames that were wanted, and left out since the disk was slow."""
        self.needs_landmarks = any(strategy.name in ("pose", "disagree") for strategy in strategies)

    def open(self, info: StreamInfo) -> None:
        """Make the folder and start the thread."""
        try:
            data = DataSet(self._folder, self._kind)
        except (OSError, ValueError) as error:
            raise SinkError(f"cannot collect in {self._folder}: {error}", option="collect") from error
        self._thread = OwnedThread(self._write_samples, "collect", (data,))
        self._thread.start()

    def write(self, result: Result) -> bool:
        """Ask the strategies. Nothing is written here."""
        if self._failure is not None:
            raise SinkError(f"collecting in {self._folder} failed: {self._failure.strerror}", option="collect")
        reasons = tuple([strategy.name for strategy in self._strategies if strategy.wants(result)])
        if not reasons or not self._rate.allows(result.time):
            return True
        sample = self._sample(result, reasons)
        if not self._seen.is_new(sample.image, [thing.box for thing in sample.things]):
            return True
        if len(self._queue) >= _WAITING:
            self.left_out += 1
            return True
        self._rate.add(result.time)
        self._queue.put(sample)
        return True

    def close(self) -> None:
        """Write what waits, and the annotations."""
        self._queue.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            if self.left_out:
                logger.warning(
                    "collect: %d frames kept, %d left out: the disk is slow", self.kept_frames, self.left_out
                )

    def _sample(self, result: Result, reasons: tuple[str, ...]) -> Sample:
        label = result.label
        return Sample(
            name=f"{self._run_name}-{result.frame.index:08d}",
            image=result.frame.image,
            time=result.time,
            label=None if label is None else label.name,
            score=None if label is None else round(label.score, 6),
            reason=reasons,
            things=things_of(result),
        )

    def _write_samples(self, data: DataSet) -> None:
        saved = time.monotonic()
        try:
            while (sample := self._queue.get()) is not None:
                data.add(sample)
                self.kept_frames += 1
                if time.monotonic() - saved > _SAVE_EVERY:
                    data.save()
                    saved = time.monotonic()
            data.save()
        except OSError as error:
            self._failure = error
            self._queue.close()


def things_of(result: Result) -> tuple[Thing, ...]:
    """Detections, or the persons that have landmarks, in pixels of the source's frame."""
    (rows, columns), (height, width) = result.frame.image.shape[:2], result.image.shape[:2]
    x, y = columns / width, rows / height
    landmarks = {person.number: person.landmarks for person in result.persons}
    if result.detections is not None:
        found = result.detections
        things = []
        for index, (left, top, right, bottom) in enumerate(found.boxes.tolist()):
            track = None if found.track_ids is None or found.track_ids[index] < 0 else int(found.track_ids[index])
            box = (left * x, top * y, right * x, bottom * y)
            known = None if track is None else landmarks.get(track)
            things.append(Thing(found.name(index), box, round(float(found.scores[index]), 4), track, known))
        return tuple(things)
    if result.landmarks is None:
        return ()
    pose = result.landmarks.pose
    low, high = pose[:, :2].min(axis=0).clip(0, 1), pose[:, :2].max(axis=0).clip(0, 1)
    box = (float(low[0] * columns), float(low[1] * rows), float(high[0] * columns), float(high[1] * rows))
    return (Thing("person", box, round(float(pose[:, 3].mean()), 4), None, result.landmarks),)
