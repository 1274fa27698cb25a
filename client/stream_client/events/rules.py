"""Rules, as they are declared: values without state."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stream_client.events.expression import Expression
from stream_client.events.geometry import Line, Side, Zone
from stream_client.events.scene import LANDMARK_NAMES, Scene, Subject, track_values

Edge = Literal["while", "enter", "leave"]
"""``while``: the event lasts as long as the condition. ``enter`` and ``leave``: it is the moment of a change."""
Direction = Literal["any", "left", "right"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to be so, all at once; what is ``None`` does not matter.

    ``label`` with at least ``score``. ``kind``: the class of a thing. ``zone``: it stands there. ``when``: an
    expression. ``at_least`` and ``at_most`` bound the number of things that are of that kind and in that zone.
    """

    label: str | None = None
    score: float = 0.0
    kind: str | None = None
    zone: Zone | None = None
    when: Expression | None = None
    at_least: int | None = None
    at_most: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it is about the number of things."""
        return self.at_least is not None or self.at_most is not None

    def matching(self, scene: Scene) -> int:
        """How many things are of the kind and in the zone."""
        return sum(self._fits(subject) for subject in scene.subjects)

    def holds(self, scene: Scene, subject: Subject | None = None) -> bool:
        """Whether it is so in ``scene``, or of ``subject`` there."""
        if self.counts:
            number = self.matching(scene)
            if number < (self.at_least or 0) or (self.at_most is not None and number > self.at_most):
                return False
        elif subject is not None and not self._fits(subject):
            return False
        label = scene.label if subject is None else subject.label or scene.label
        if self.label is not None and (label is None or label.name != self.label or label.score < self.score):
            return False
        if self.when is None:
            return True
        return self.when.holds(scene.values if subject is None else track_values(scene, subject))

    def _fits(self, subject: Subject) -> bool:
        if self.kind is not None and subject.kind != self.kind:
            return False
        return self.zone is None or self.zone.contains(subject.place)


@dataclass(frozen=True, slots=True)
class Step:
    """A condition that holds for ``held`` µs. It begins at most ``within`` µs after the step before has ended."""

    condition: Condition
    held: int = 0
    within: int = 5_000_000


@dataclass(frozen=True, slots=True)
class StateRule:
    """An event once ``steps`` were so one after another, as long as the last one holds.

    ``gap``: µs of an interruption that does not count. ``each``: for each track by itself.
    """

    name: str
    steps: tuple[Step, ...]
    on: Edge = "while"
    gap: int = 500_000
    each: bool = False


@dataclass(frozen=True, slots=True)
class LineRule:
    """An event each time that a track crosses ``line`` to the side ``direction``."""

    name: str
    line: Line
    direction: Direction = "any"
    kind: str | None = None

    def wants(self, to: Side) -> bool:
        """Whether a crossing to that side is an event."""
        return self.direction in ("any", to)


Rule = StateRule | LineRule


def needs_landmarks(rules: Iterable[Rule]) -> bool:
    """Whether some rule cannot work without landmarks."""
    steps = [step for rule in rules if isinstance(rule, StateRule) for step in rule.steps]
    return any(step.condition.when is not None and step.condition.when.uses & LANDMARK_NAMES for step in steps)
