"""The worst mistakes as strips: a few frames of a window, with the skeleton."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stream_client.errors import StreamClientError
from stream_client.frames import Image
from stream_client.sources.file import FileSource
from stream_client.training.clips import FindLandmarks
from stream_client.training.dataset import Dataset
from stream_client.training.grouping import Origin
from stream_client.training.held_out import HeldOut
from stream_client.training.photos import read_photo
from stream_client.training.skeletons import alone, data_uri, on_frame, path
from stream_client.util.file_kinds import is_photo, is_recording

_FRAMES = 5
_MOST = 12
_MOST_A_CLIP = 3
_APART = 1_000_000
"""µs between two mistakes of one clip that are shown."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A held-out row that was taken for something else. ``images`` are data URIs, oldest first."""

    where: str
    label: str
    taken_for: str
    confidence: float
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StripOptions:
    """``find`` gives the landmarks of clips. Without ``pictures``, skeletons stand alone."""

    find: FindLandmarks
    pictures: bool = True


def worst_mistakes(dataset: Dataset, held_out: HeldOut, options: StripOptions | None) -> tuple[Mistake, ...]:
    """The mistakes of highest confidence, at most 12. Without ``options`` clips have no strips."""
    guesses = held_out.probabilities.argmax(axis=1)
    confidence = held_out.probabilities.max(axis=1)
    wrong = np.flatnonzero(guesses != held_out.targets)
    shown: list[int] = []
    for position in wrong[np.argsort(-confidence[wrong], kind="stable")].tolist():
        if len(shown) < _MOST and _is_new(dataset, held_out, position, shown):
            shown.append(position)
    found = []
    for position in shown:
        row = int(held_out.rows[position])
        found.append(
            Mistake(
                where=_where(dataset, row),
                label=held_out.labels[held_out.targets[position]],
                taken_for=held_out.labels[guesses[position]],
                confidence=float(confidence[position]),
                images=tuple(_strip(dataset, row, options)),
            )
        )
    return tuple(found)


def _is_new(dataset: Dataset, held_out: HeldOut, position: int, shown: Sequence[int]) -> bool:
    if not dataset.origins:
        return True
    origin = dataset.origins[int(held_out.rows[position])]
    same = [dataset.origins[int(held_out.rows[other])] for other in shown]
    same = [other for other in same if (other.path or other.group) == (origin.path or origin.group)]
    return len(same) < _MOST_A_CLIP and all(abs(other.start - origin.start) >= _APART for other in same)


def _where(dataset: Dataset, row: int) -> str:
    if not dataset.origins:
        return f"sample {row + 1}"
    origin = dataset.origins[row]
    if not origin.path or is_photo(Path(origin.path)):
        return origin.path or origin.group
    return f"{origin.path}, {origin.start / 1e6:.2f} to {origin.end / 1e6:.2f} s"


def _strip(dataset: Dataset, row: int, options: StripOptions | None) -> list[str]:
    origin = dataset.origins[row] if dataset.origins else None
    if origin is not None and origin.path:
        return [] if options is None else _of_clip(origin, options)
    values = dataset.rows[row].astype(np.float64)
    if dataset.frame:
        along, across, _ = values.reshape(3, -1)
        return [data_uri(alone(np.stack([-across, -along], axis=1)))]
    return [data_uri(path(values.reshape(-1, 2)))] if len(values) % 2 == 0 else []


def _of_clip(origin: Origin, options: StripOptions) -> list[str]:
    """Frames of a clip. A clip that cannot be read any more has none."""
    clip = Path(origin.path)
    try:
        track = options.find(clip, 1)
        wanted = np.unique(np.linspace(origin.start, origin.end, _FRAMES).round().astype(np.int64))
        indices = np.unique([int(np.abs(track.timestamps - time).argmin()) for time in wanted]).tolist()
        frames = _frames(clip, track.timestamps[indices].tolist()) if options.pictures else {}
    except StreamClientError:
        return []
    images = []
    for index in indices:
        person = track.person(index)
        frame = frames.get(int(track.timestamps[index]))
        images.append(data_uri(alone(person) if frame is None else on_frame(frame, person)))
    return images


def _frames(clip: Path, timestamps: Sequence[int]) -> dict[int, Image]:
    """The frames at ``timestamps``, in µs and in order. A track may have some of a clip's frames only."""
    if is_recording(clip):
        return {}
    if is_photo(clip):
        return dict.fromkeys(timestamps, read_photo(clip))
    source = FileSource(clip)
    frames = {}
    try:
        source.open()
        while (frame := source.read()) is not None and frame.timestamp <= timestamps[-1]:
            if frame.timestamp in timestamps:
                frames[frame.timestamp] = frame.image.copy()
    finally:
        source.close()
    return frames
