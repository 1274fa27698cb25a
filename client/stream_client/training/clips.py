"""Labeled clips and their landmarks."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Track:
    """The landmarks of a clip.

    ``landmarks`` is [frames, 75, 3] in pixels (``image``) or meters (``world``, without hands). Missing
    landmarks are NaN. ``timestamps`` [frames] is in µs.
    """

    name: str
    timestamps: npt.NDArray[np.int64]
    landmarks: Array

    def person(self, frame: int) -> Array | None:
        """The landmarks of a frame, ``None`` if it has no person."""
        points: Array = self.landmarks[frame]
        return None if np.isnan(points[0, 0]) else points


FindLandmarks = Callable[[Path, int], Track]
"""Takes a clip and N. Returns the landmarks of every N-th frame."""
Prepare = Callable[[Sequence[Path], Callable[[Track], Sequence[int]], bool], None]
"""Finds the landmarks of clips before they are asked for. Takes the clips, what says of which every-N-th frames they
are needed besides, and whether a clip that cannot be read raises."""


@dataclass(frozen=True, slots=True)
class Span:
    """A label from ``start`` to ``end``, in seconds. ``annotator`` gave it, in the line ``place`` of a file."""

    start: float
    end: float
    label: str
    annotator: str = ""
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip and its labels."""

    path: Path
    spans: tuple[Span, ...]
    whole: bool
    """Whether the whole clip has one label. If not, its time without a label can be learned as background."""
    group: str = ""
    """The person or session, if the data name it."""
    unclear: tuple[Span, ...] = ()
    """Times that are not to be learned from, neither as a label nor as background."""


def one_line(label: str) -> str:
    """The label on one line, as ``labels.txt`` needs it, and its letters composed: macOS's folders divide umlauts."""
    return unicodedata.normalize("NFC", " ".join(label.split()))
