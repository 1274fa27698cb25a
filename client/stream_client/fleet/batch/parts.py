"""How a long video is cut into parts, each of which is read alone."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.fleet.batch.manifest import write_whole
from stream_client.frames import Result, StreamInfo
from stream_client.sinks.base import LandmarksUser, Sink, needs_pictures
from stream_client.sources.key_frames import KeyFrames, key_frames
from stream_client.sources.span import Span


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Part n has the frames from ``begins[n]`` to the next one's, in µs; it is read from ``leads[n]`` on.

    ``zero`` is that of :class:`.Span`. ``settings`` and ``state`` say for which settings and video this is.
    """

    settings: str
    state: str
    zero: int
    begins: Sequence[int]
    leads: Sequence[int]

    def span(self, number: int) -> Span:
        """What is read of a part."""
        following = self.begins[number + 1] if number + 1 < len(self.begins) else None
        return Span(self.zero, self.leads[number], following)

    def write(self, path: Path) -> None:
        """Store it, whole or not at all."""
        write_whole(path, json.dumps(asdict(self)))


def read_plan(path: Path) -> PartPlan | None:
    """What :meth:`PartPlan.write` stored; ``None`` where there is nothing, or nothing that can be read."""
    try:
        return PartPlan(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def plan_parts(path: Path, split: float, overlap: float, settings: str, state: str) -> PartPlan | None:
    """Parts of about ``split`` seconds; ``None`` for a video that is too short, or cannot be cut: it is done whole."""
    found = key_frames(path)
    if found is None:
        return None
    begins = _begins(found, round(split * 1e6))
    if len(begins) < 2:
        return None
    leads = [found.times[max(0, bisect_right(found.times, begin - round(overlap * 1e6)) - 1)] for begin in begins]
    return PartPlan(settings, state, found.zero, begins, leads)


def _begins(found: KeyFrames, split: int) -> list[int]:
    """Key frames that are at least ``split`` µs apart. The last part has half of that at least."""
    begins = [0]
    for time in found.times:
        if time - begins[-1] >= split and found.end - time >= split // 2:
            begins.append(time)
    return begins


class OwnResults:
    """Hands on the results of a part itself, not those of the time before ``begin``, in µs."""

    def __init__(self, sink: Sink, begin: int) -> None:
        self.name = sink.name
        self.needs_pictures = needs_pictures(sink)
        self.needs_landmarks = isinstance(sink, LandmarksUser) and sink.needs_landmarks
        self.count = 0
        """How many there were."""
        self._sink = sink
        self._begin = begin

    def open(self, info: StreamInfo) -> None:
        """Open the sink."""
        self._sink.open(info)

    def write(self, result: Result) -> bool:
        """Hand a result on, where it belongs to the part."""
        if result.persons:
            raise ConfigurationError("persons are numbered over a whole video, which is cut here", option="split")
        if result.frame.timestamp < self._begin:
            return True
        self.count += 1
        return self._sink.write(result)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
