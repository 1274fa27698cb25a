"""What the readers of annotation files give."""

import math
from dataclasses import dataclass

from stream_client.training.clips import Span, one_line


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """A label from frame ``first`` to frame ``last``, counted from 0, both included. ``place`` is as in a span."""

    first: int
    last: int
    label: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """The labels that one annotator gave to a file.

    ``video`` is its name, path or URL as the tool wrote it, empty if it wrote none. ``frames`` are labels of tools that
    count frames. The frame rate of the file turns them into seconds. Time with an empty label is not to be learned
    from. ``annotator`` is empty where the format names none. ``wrong`` says what was left out, and why.
    """

    video: str
    spans: tuple[Span, ...] = ()
    frames: tuple[FrameSpan, ...] = ()
    annotator: str = ""
    wrong: tuple[str, ...] = ()


class Labels:
    """Collects the labels of a file. One that is wrong costs itself alone."""

    def __init__(self, video: str, annotator: str = "") -> None:
        self._video = video
        self._annotator = one_line(annotator)
        self._spans: list[Span] = []
        self._frames: list[FrameSpan] = []
        self._wrong: list[str] = []

    def seconds(self, start: object, end: object, label: object, place: str) -> None:
        """A label with its times. ``place`` is the line in the file."""
        first, last = number(start), number(end)
        if first is None or last is None:
            bad = start if first is None else end
            self.wrong(place, f"{one_line(str(label))!r} has the time {bad!r}, which is no number of seconds")
        elif not 0 <= first < last:
            self.wrong(place, f"{one_line(str(label))!r} ends at {last:g} s, and starts at {first:g} s")
            self._spans += [Span(max(0.0, last), first, "")] if max(0.0, last) < first else []
        elif name := _label(label):
            self._spans.append(Span(first, last, name, self._annotator, place))
        else:
            self.wrong(place, f"the span from {first:g} s has no label")
            self._spans.append(Span(first, last, ""))

    def frames(self, first: object, last: object, label: object, place: str) -> None:
        """A label with its first and last frame, counted from 0, both included."""
        start, end = number(first), number(last)
        if start is None or end is None:
            bad = first if start is None else last
            self.wrong(place, f"{one_line(str(label))!r} has the frame {bad!r}, which is no number")
        elif not 0 <= start <= end:
            self.wrong(place, f"{one_line(str(label))!r} ends at frame {end:g}, and starts at frame {start:g}")
        elif name := _label(label):
            self._frames.append(FrameSpan(int(start), int(end), name, place))
        else:
            self.wrong(place, f"the span from frame {start:g} has no label")
            self._frames.append(FrameSpan(int(start), int(end), ""))

    def whole(self, label: object, place: str) -> None:
        """A label of the whole file."""
        if name := _label(label):
            self._spans.append(Span(0.0, math.inf, name, self._annotator, place))
        else:
            self.wrong(place, "the label is empty")

    def wrong(self, place: str, why: str) -> None:
        """What cannot be used."""
        self._wrong.append(f"{place}: {why}" if place else why)

    def annotation(self) -> Annotation:
        """Everything, in the order of time."""
        spans = tuple(sorted(self._spans, key=lambda span: (span.start, span.label)))
        return Annotation(self._video, spans, (*self._frames,), self._annotator, (*self._wrong,))


def _label(value: object) -> str:
    return one_line(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def number(value: object) -> float | None:
    """A finite number; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
