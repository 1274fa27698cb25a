"""What the readers of annotation files give."""

from dataclasses import dataclass

from stream_client.training.clips import Span


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """A label from frame ``first`` to frame ``last``, counted from 0, both included."""

    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """The labels of a file. ``video`` is its name, path or URL as the tool wrote it, empty if it wrote none.

    ``frames`` are labels of tools that count frames. The frame rate of the file turns them into seconds.
    """

    video: str
    spans: tuple[Span, ...] = ()
    frames: tuple[FrameSpan, ...] = ()
