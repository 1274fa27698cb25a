"""How long a clip is, and which of its labels lie beyond its end."""

from collections.abc import Sequence
from pathlib import Path

import av
import av.error

from stream_client.errors import SourceError
from stream_client.training.clips import Span
from stream_client.training.material.recordings import last_time
from stream_client.util.container import UNLISTED
from stream_client.util.file_kinds import is_photo, is_recording

_BEYOND = 1.0
"""Seconds by which a label may end later than its clip: players and tools round differently."""


def within(file: Path, spans: Sequence[Span]) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """The labels that lie in a clip, and what is to be said of the others. All, where the clip cannot be read."""
    last = max((span.end for span in spans if span.end != float("inf")), default=0.0)
    end = _length(file, last) if last else None
    if end is None or last <= end:
        return tuple(spans), ()
    inside, wrong = [], []
    for span in spans:
        if span.start < end and (span.end <= end + _BEYOND or span.end == float("inf")):
            inside.append(span)
        elif span.label:
            where = f"{span.place}: " if span.place else ""
            wrong.append(f"{where}{span.label!r} ends at {span.end:.6g} s, and {file.name} at {end:.6g} s")
    return tuple(inside), tuple(wrong)


def _length(file: Path, at_least: float) -> float | None:
    """Seconds. Only where the file's header says less than ``at_least`` is the file itself asked: headers err."""
    try:
        if is_photo(file):
            return None
        if is_recording(file):
            return last_time(file)
        with av.open(f"file:{file}", options=UNLISTED) as container:
            if not container.streams.video:
                return None
            if container.duration is not None and container.duration / av.time_base >= at_least:
                return container.duration / av.time_base
            base = container.streams.video[0].time_base
            times = [(p.pts, p.pts + (p.duration or 0)) for p in container.demux(video=0) if p.pts is not None]
            if base is None or not times:
                return None
            return float((max(end for _, end in times) - min(start for start, _ in times)) * base)
    except (av.error.FFmpegError, OSError, SourceError):
        return None
