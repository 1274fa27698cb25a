"""Compares a model's labels with annotations over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stream_client.classify.decision import UNKNOWN, DecisionOptions
from stream_client.classify.models import TrainedModel
from stream_client.classify.pose_classifier import PoseClassifier
from stream_client.fonts import font_for
from stream_client.training.clips import Span, Track


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The label that is shown at ``time``, in seconds.

    ``decided`` is the end of the label's window, in seconds of stream time. It is up to one frame period earlier
    than the frame that completed the window.
    """

    time: float
    label: str
    confidence: float
    decided: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The comparison of a timeline with annotated spans.

    ``accuracy`` is the share of annotated frames that showed the right label, so delays count as
    errors. ``delays`` are the seconds from a span's start until its label, ``None`` if the label never appeared.
    ``false_changes`` counts changes to a label that is not annotated at that time or in the second before.
    ``minutes`` is the clip's length.
    """

    accuracy: float
    delays: tuple[float | None, ...]
    false_changes: int
    minutes: float

    @property
    def found(self) -> int:
        """The number of detected spans."""
        return sum(delay is not None for delay in self.delays)

    @property
    def mean_delay(self) -> float:
        """Mean seconds to detection, over the detected spans."""
        delays = [delay for delay in self.delays if delay is not None]
        return float(np.mean(delays)) if delays else float("nan")

    @property
    def false_changes_a_minute(self) -> float:
        """Changes to a wrong label per minute of the clip."""
        return self.false_changes / self.minutes if self.minutes else float("nan")


_GRACE = 1.0
"""Seconds after a span's end in which its label does not count as false, because a window lags behind."""


def timeline(model: TrainedModel, track: Track, decision: DecisionOptions | None = None) -> list[TimelinePoint]:
    """The label after each frame of a clip, as a running stream would have shown it."""
    classifier = PoseClassifier(model, decision=decision)
    points = []
    for frame, timestamp in enumerate(track.timestamps.tolist()):
        state = classifier.run_keypoint_pipeline(track.person(frame), timestamp)
        points.append(TimelinePoint(timestamp / 1e6, state.label, state.confidence, state.time))
    return points


def compare(points: Sequence[TimelinePoint], spans: Sequence[Span], unclear: Sequence[Span] = ()) -> Evaluation:
    """Compare a timeline with annotated spans. In ``unclear`` times nothing is judged."""
    right = total = false_changes = 0
    before = UNKNOWN
    for point in points:
        truth = {span.label for span in spans if span.start <= point.time <= span.end}
        recent = {span.label for span in spans if span.start <= point.time <= span.end + _GRACE}
        if truth:
            total += 1
            right += point.label in truth
        judged = not any(span.start <= point.time <= span.end + _GRACE for span in unclear)
        false_changes += judged and point.label not in {before, UNKNOWN, *recent}
        before = point.label
    delays = tuple(
        next((p.time - span.start for p in points if span.start <= p.time <= span.end and p.label == span.label), None)
        for span in spans
    )
    minutes = (points[-1].time - points[0].time) / 60 if len(points) > 1 else 0.0
    return Evaluation(right / total if total else float("nan"), delays, false_changes, minutes)


def agreement(first: Sequence[TimelinePoint], second: Sequence[TimelinePoint], step: float = 0.01) -> float:
    """The share of their common time for which two timelines decided the same label."""
    start = max(first[0].time, second[0].time)
    end = min(first[-1].decided, second[-1].decided)
    grid = np.arange(start, end, step)
    shown = [
        np.array([point.label for point in points])[
            np.searchsorted(np.array([point.decided for point in points]), grid, side="right") - 1
        ]
        for points in (first, second)
    ]
    return float(np.mean(shown[0] == shown[1]))


def timeline_plot(points: Sequence[TimelinePoint], spans: Sequence[Span], labels: Sequence[str], path: Path) -> None:
    """Draw two bars over time as a PNG: annotations above, the model's labels below."""
    left, width, height = 90, 900, 40
    names = list(dict.fromkeys([*labels, *(span.label for span in spans)]))
    font = font_for("".join(names), 13)
    colors = {name: f"hsl({360 * index // max(1, len(names))}, 60%, 55%)" for index, name in enumerate(names)}
    plot = Image.new("RGB", (left + width + 20, 170 + 20 * len(names)), "white")
    draw = ImageDraw.Draw(plot)
    begin, end = points[0].time, max(points[-1].time, points[0].time + 1e-6)

    def x(time: float) -> float:
        return left + width * (min(max(time, begin), end) - begin) / (end - begin)

    for row, text in enumerate(("annotated", "classified")):
        draw.text((10, 20 + row * 60 + height / 2), text, "black", font, anchor="lm")
        draw.rectangle((left, 20 + row * 60, left + width, 20 + row * 60 + height), fill="#eeeeee")
    for span in spans:
        draw.rectangle((x(span.start), 20, x(span.end), 20 + height), fill=colors[span.label])
    for index, point in enumerate(points):
        if point.label != UNKNOWN:
            until = points[index + 1].time if index + 1 < len(points) else point.time
            draw.rectangle((x(point.time), 80, x(until), 80 + height), fill=colors.get(point.label, "black"))
    for second in np.linspace(begin, end, 9):
        draw.text((x(float(second)), 126), f"{second:.1f} s", "black", font, anchor="mt")
    for row, name in enumerate(names):
        y = 156 + 20 * row
        draw.rectangle((left, y, left + 14, y + 14), fill=colors[name])
        draw.text((left + 22, y + 7), name, "black", font, anchor="lm")
    plot.save(path)
