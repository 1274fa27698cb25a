"""Cuts a clip's landmarks into rows, with the same code as a running stream, and varies them."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from stream_client.classify.features import FeatureSchema
from stream_client.classify.windows import Window, WindowBuffer, WindowSpec
from stream_client.training.augment import jittered, mirror, rotated, scaled, time_warped
from stream_client.training.clips import Span, Track

Array = npt.NDArray[np.float64]

JITTER = 0.01
"""Noise on landmarks, in torso lengths."""
_NOISY = 3
"""Number of times each slower stream is evaluated, each time with other noise."""


def cut(
    timestamps: npt.NDArray[np.int64], landmarks: Array, schema: FeatureSchema, window: WindowSpec
) -> tuple[Window, ...]:
    """The windows of a track, in order."""
    known = (None if np.isnan(points[0, 0]) else points for points in landmarks)
    return tuple(WindowBuffer(schema, window).add_all(timestamps.tolist(), known))


def streams_of(
    tracks: Sequence[Track], schema: FeatureSchema, window: WindowSpec, rng: np.random.Generator
) -> tuple[tuple[Window, ...], ...]:
    """All windows of a clip: at its own frame rate, then at lower ones.

    The model is trained on the same landmarks, and trees memorise them. Noise on the lower rates makes them differ.
    """
    streams = [cut(tracks[0].timestamps, tracks[0].landmarks, schema, window)]
    for track in (*tracks[1:],) * _NOISY:
        streams.append(cut(track.timestamps, jittered(track.landmarks, rng, JITTER), schema, window))
    return tuple(streams)


def varied(
    track: Track, schema: FeatureSchema, window: WindowSpec, rng: np.random.Generator, *, reflect: bool
) -> Iterator[Window]:
    """The windows of a random variation of a track. Their times are those of the track itself."""
    landmarks = mirror(track.landmarks) if reflect else track.landmarks
    moved = jittered(rotated(scaled(landmarks, rng), rng), rng, JITTER)
    warped = time_warped(track.timestamps, rng).astype(np.int64)
    first = int(track.timestamps[0])
    length = int(warped[-1] - warped[0])
    factor = float((track.timestamps[-1] - first) / length) if length else 1.0
    for window_found in cut(warped, moved, schema, window):
        start = first + round((window_found.start - first) * factor)
        end = first + round((window_found.end - first) * factor)
        yield Window(start, end, window_found.row)


def span_at(spans: Sequence[Span], start: int, end: int) -> Span | None:
    """The span that contains the time from ``start`` to ``end``, in µs."""
    for span in spans:
        if span.start * 1e6 <= start and end <= span.end * 1e6:
            return span
    return None


def unlabeled(spans: Sequence[Span], end: float, shortest: float, label: str) -> tuple[Span, ...]:
    """The time from 0 to ``end`` seconds outside ``spans``, in pieces of one to four times ``shortest``."""
    found = []
    at = 0.0
    for start, stop in [*sorted((span.start, span.end) for span in spans), (end, end)]:
        pieces = max(1, int((start - at) / (4 * shortest)) + 1)
        if start - at > shortest * 1.2:
            length = (start - at) / pieces
            found += [Span(at + piece * length, at + (piece + 1) * length, label) for piece in range(pieces)]
        at = max(at, stop)
    return tuple(found)
