"""Probabilities over time to a steady label, its changes, and counted repetitions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_client.errors import ConfigurationError
from stream_client.util.events import Event
from stream_client.util.settings import check, setting

UNKNOWN = "unknown"
"""The label while nothing is certain: nobody there, a gap, no probability high enough, a failed server."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A label is entered when its probability reaches ``enter``, and left when it falls below ``exit``."""

    enter: float
    exit: float

    def __post_init__(self) -> None:
        if not 0 <= self.exit <= self.enter <= 1:
            raise ConfigurationError(
                f"thresholds are 0 <= exit <= enter <= 1, not exit {self.exit:g}, enter {self.enter:g}", option="exit"
            )


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """``smoothing`` is the time constant of the average in seconds, 0 for none.

    A label is entered when its probability reaches ``enter`` and left when it falls below ``exit``, or at its own
    thresholds in ``labels``. After a gap of more than ``forget`` seconds between answers the average starts anew.
    """

    smoothing: float = field(default=0.3, metadata=setting("time constant of the average", unit="s", minimum=0))
    enter: float = field(default=0.6, metadata=setting("probability that enters a label", minimum=0, maximum=1))
    exit: float = field(default=0.4, metadata=setting("probability below which a label is left", minimum=0, maximum=1))
    forget: float = field(
        default=2.0, metadata=setting("gap between answers that starts the average anew", unit="s", above=0)
    )

    labels: Mapping[str, Thresholds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        if self.exit > self.enter:
            raise ConfigurationError(
                f"exit is at most enter, not exit {self.exit:g}, enter {self.enter:g}", option="exit"
            )

    def thresholds(self, label: str) -> Thresholds:
        """The thresholds of a label."""
        return self.labels.get(label) or Thresholds(self.enter, self.exit)


@dataclass(frozen=True, slots=True)
class LabelState:
    """The label at a time in seconds, its smoothed probability, and all of them."""

    time: float
    label: str
    confidence: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelChange:
    """The label changed from ``before`` to ``label`` at ``time``, in seconds."""

    time: float
    before: str
    label: str
    confidence: float


class Decision:
    """Smooths probabilities and decides with hysteresis. Time is an argument; not for several threads."""

    def __init__(self, options: DecisionOptions | None = None) -> None:
        self.options = options or DecisionOptions()
        self._average: dict[str, float] = {}
        self._state = LabelState(0.0, UNKNOWN, 0.0)
        self._time: float | None = None
        self.on_label_change: Event[[LabelChange]] = Event()

    @property
    def state(self) -> LabelState:
        """The label now."""
        return self._state

    def update(self, time: float, scores: Mapping[str, float] | None) -> LabelState:
        """Take an answer; ``None``: there is none, so nothing is known and the average starts anew."""
        if scores is None:
            self._average = {}
            self._time = None
            return self._enter(time, UNKNOWN)
        self._smooth(time, scores)
        options = self.options
        current = self._state.label
        best = max(self._average, key=self._average.__getitem__, default=UNKNOWN)
        entered = self._average.get(best, 0.0) >= options.thresholds(best).enter
        if current != UNKNOWN and self._average.get(current, 0.0) >= options.thresholds(current).exit:
            # A label between exit and enter gives way to another label above enter.
            return self._enter(time, best if entered else current)
        return self._enter(time, best if entered else UNKNOWN)

    def _smooth(self, time: float, scores: Mapping[str, float]) -> None:
        options = self.options
        elapsed = None if self._time is None else time - self._time
        if not self._average or elapsed is None or not 0 < elapsed <= options.forget or options.smoothing == 0:
            self._average = dict(scores)
        else:
            weight = 1 - math.exp(-elapsed / options.smoothing)
            names = [*scores, *(name for name in self._average if name not in scores)]
            self._average = {
                name: self._average.get(name, 0.0) * (1 - weight) + scores.get(name, 0.0) * weight for name in names
            }
        self._time = time

    def _enter(self, time: float, label: str) -> LabelState:
        before = self._state.label
        confidence = self._average.get(label, 0.0)
        self._state = LabelState(time, label, confidence, dict(self._average))
        if label != before:
            self.on_label_change(LabelChange(time, before, label, confidence))
        return self._state


class RepetitionCounter:
    """Counts how often ``label`` was entered and left again: one squat is down and up.

    Hysteresis as in ML Kit's counter: in at ``enter``, out below ``exit``.
    """

    def __init__(self, label: str, *, enter: float = 0.6, exit: float = 0.4) -> None:
        if not 0 <= exit <= enter <= 1:
            raise ConfigurationError(f"repetitions: 0 <= exit <= enter <= 1 is needed, not {exit:g}, {enter:g}")
        self.label = label
        self._enter = enter
        self._exit = exit
        self._inside = False
        self.count = 0

    def update(self, state: LabelState) -> int:
        """The count after ``state``. A time without knowledge neither ends nor counts a repetition."""
        if not state.scores:
            self._inside = False
            return self.count
        confidence = state.scores.get(self.label, 0.0)
        if not self._inside:
            self._inside = confidence >= self._enter
        elif confidence < self._exit:
            self._inside = False
            self.count += 1
        return self.count
