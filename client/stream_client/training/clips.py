"""Labelled clips and their landmarks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError, SourceNotFoundError

Array = npt.NDArray[np.float64]

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".ts"})


@dataclass(frozen=True, slots=True)
class Track:
    """The landmarks of a clip.

    ``landmarks`` is [frames, 75, 3] in pixels (``image``) or metres (``world``, without hands). Missing
    landmarks are NaN. ``timestamps`` [frames] is in µs.
    """

    name: str
    timestamps: npt.NDArray[np.int64]
    landmarks: Array

    def person(self, frame: int) -> Array | None:
        """The landmarks of a frame, ``None`` if it has no person."""
        points: Array = self.landmarks[frame]
        return None if np.isnan(points[0, 0]) else points


LandmarkFinder = Callable[[Path, int], Track]
"""Takes a clip and N. Returns the landmarks of every N-th frame."""


@dataclass(frozen=True, slots=True)
class Span:
    """A label from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip and its labels."""

    path: Path
    spans: tuple[Span, ...]
    whole: bool
    """Whether the whole clip has one label. If not, its time without a label can be learnt as background."""
    group: str = ""
    """The person or session, if the data name it."""


def find_clips(data: Path) -> list[LabelledClip]:
    """The clips in a folder with one subfolder for each class, or the one clip of an annotation file."""
    if data.is_file() and data.suffix == ".json":
        return [LabelledClip(_annotated_video(data), read_annotations(data), whole=False)]
    if not data.is_dir():
        raise ConfigurationError(f"{data} is neither a folder of clips nor an annotation file", option="data")
    clips = [
        LabelledClip(path, (Span(0.0, float("inf"), one_line(folder.name)),), whole=True)
        for folder in sorted(data.iterdir())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES
    ]
    clips += [clip for path in sorted(data.glob("*.json")) for clip in find_clips(path)]
    if not clips:
        raise ConfigurationError(f"{data} holds no clips: put videos into one folder for each class", option="data")
    return clips


def one_line(label: str) -> str:
    """The label on one line, as ``labels.txt`` needs it."""
    return " ".join(label.split())


def read_annotations(path: Path) -> tuple[Span, ...]:
    """Labelled spans in the format of StreamPoseML's annotation tool. Raises :class:`.ConfigurationError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        spans = [
            Span(
                float(item["metadata"]["system"]["startTime"]),
                float(item["metadata"]["system"]["endTime"]),
                one_line(str(item["label"])),
            )
            for item in content["annotations"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"cannot read annotations from {path}: {type(error).__name__}: {error}") from error
    for span in spans:
        if not span.label:
            raise ConfigurationError(f"{path}: the span from {span.start:g} s has no label")
        if not 0 <= span.start < span.end:
            raise ConfigurationError(f"{path}: {span.label!r} ends at {span.end:g} s, before it starts")
    return tuple(sorted(spans, key=lambda span: (span.start, span.label)))


def chosen(spans: Sequence[Span], labels: Sequence[str] | None, where: Path) -> tuple[Span, ...]:
    """The spans with one of ``labels``, or all spans. Raises if spans with different labels overlap."""
    kept = sorted((s for s in spans if labels is None or s.label in labels), key=lambda s: s.start)
    for first, second in pairwise(kept):
        if second.start < first.end and second.label != first.label:
            names = ", ".join(sorted({span.label for span in spans}))
            raise ConfigurationError(
                f"{where}: {first.label!r} and {second.label!r} overlap at {second.start:g} s: "
                f"choose labels that exclude each other out of {names}",
                option="labels",
            )
    return tuple(kept)


def _annotated_video(path: Path) -> Path:
    """The video that the file names, or the video with the same stem in the file's folder."""
    stem = path.name.removesuffix(".json").removesuffix(".annotations")
    try:
        named = path.parent / Path(str(json.loads(path.read_text(encoding="utf-8"))["name"])).name
    except (OSError, ValueError, KeyError, TypeError):
        named = path.parent / stem
    if named.is_file() and named.suffix.lower() in VIDEO_SUFFIXES:
        return named
    for candidate in sorted(path.parent.glob(f"{stem}.*")):
        if candidate.suffix.lower() in VIDEO_SUFFIXES:
            return candidate
    raise SourceNotFoundError(f"{path} is about {named.name}, and neither that nor {stem}.* is beside it")
