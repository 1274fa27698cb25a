"""What rules remember from frame to frame. Pure: the scene brings the time."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from stream_client.events.event import Event, new_event
from stream_client.events.geometry import Point, Side
from stream_client.events.hold import Hold
from stream_client.events.rules import LineRule, Rule, StateRule
from stream_client.events.scene import Scene, Subject

_FORGOTTEN = 60_000_000
"""µs. A track that was not seen for so long is forgotten."""
_MOST_TRACKS = 1000


class Machine(Protocol):
    """Applies one rule to one stream."""

    def update(self, scene: Scene) -> Iterator[Event]:
        """The events that begin or end with this scene."""

    def finish(self, time: int) -> Iterator[Event]:
        """The stream is over: what lasts ends at ``time``."""


def open_machine(rule: Rule) -> Machine:
    """What applies ``rule``."""
    if isinstance(rule, LineRule):
        return LineMachine(rule)
    return TracksMachine(rule) if rule.each else StreamMachine(rule)


class Sequence:
    """Follows a rule's steps, of the whole scene or of one subject."""

    def __init__(self, rule: StateRule) -> None:
        self._rule = rule
        self._step = 0
        self._hold = self._new_hold()
        self._left: int | None = None
        """When the step before was last so."""
        self._seen_false = False
        self.event: Event | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing has begun."""
        return self._step == 0 and self._hold.since is None and self.event is None

    def update(self, scene: Scene, subject: Subject | None, *, seen: bool = True) -> Event | None:
        """The event that begins or ends now. ``seen``: the subject is in the frame, else it counts as not so."""
        steps = self._rule.steps
        change = None
        while True:
            if self._step and seen and steps[self._step - 1].condition.holds(scene, subject):
                self._left = scene.time
            active = seen and steps[self._step].condition.holds(scene, subject)
            change = self._hold.update(active, scene.time)
            if change == "began" and self._step + 1 < len(steps):
                self._step += 1
                self._left = scene.time
                self._hold = self._new_hold()
                continue
            if change is None and self._step and self._too_late(scene.time):
                self._restart()
                continue
            break
        was_false, self._seen_false = self._seen_false, self._seen_false or (seen and not active)
        if change == "began":
            return self._begin(scene, subject, was_false)
        return self._end(scene, subject, seen) if change == "ended" else None

    def finish(self, time: int) -> Event | None:
        """The end of an event that lasts."""
        event, self.event = self.event, None
        return None if event is None else replace(event, phase="end", end=time)

    def _begin(self, scene: Scene, subject: Subject | None, was_false: bool) -> Event | None:
        assert self._hold.since is not None
        if self._rule.on == "while":
            self.event = new_event(self._rule.name, "begin", scene, self._hold.since, subject)
            return self.event
        if self._rule.on == "enter" and was_false:
            return new_event(self._rule.name, "moment", scene, self._hold.since, subject)
        return None

    def _end(self, scene: Scene, subject: Subject | None, seen: bool) -> Event | None:
        until = self._hold.until
        self._restart()
        if self._rule.on == "while":
            return self.finish(scene.time if until is None else until)
        if self._rule.on == "leave" and seen:
            return new_event(self._rule.name, "moment", scene, scene.time if until is None else until, subject)
        return None

    def _too_late(self, time: int) -> bool:
        waits = self._hold.since is None and not self._hold.holds
        return waits and self._left is not None and time - self._left > self._rule.steps[self._step].within

    def _restart(self) -> None:
        self._step, self._left = 0, None
        self._hold = self._new_hold()

    def _new_hold(self) -> Hold:
        return Hold(self._rule.steps[self._step].held, self._rule.gap)


class StreamMachine:
    """A rule about the frame as a whole."""

    def __init__(self, rule: StateRule) -> None:
        self._sequence = Sequence(rule)
        self._condition = rule.steps[-1].condition

    def update(self, scene: Scene) -> Iterator[Event]:
        """At most one event."""
        event = self._sequence.update(scene, None)
        if event is not None:
            counts = {"now": self._condition.matching(scene)} if self._condition.counts else {}
            yield replace(event, counts=counts)

    def finish(self, time: int) -> Iterator[Event]:
        """The end of an event that lasts."""
        event = self._sequence.finish(time)
        if event is not None:
            yield event


@dataclass(slots=True)
class _Track:
    sequence: Sequence
    seen: int
    subject: Subject


class TracksMachine:
    """A rule about each track. ``counts``: events that last now, and all of them so far."""

    def __init__(self, rule: StateRule) -> None:
        self._rule = rule
        self._tracks: dict[int, _Track] = {}
        self._total = 0

    def update(self, scene: Scene) -> Iterator[Event]:
        """Events of the tracks in the frame, then of those that are gone."""
        there = {subject.track: subject for subject in scene.subjects if subject.track is not None}
        for number, subject in there.items():
            if number not in self._tracks:
                self._tracks[number] = _Track(Sequence(self._rule), scene.time, subject)
            track = self._tracks[number]
            track.seen, track.subject = scene.time, subject
        changes = [
            track.sequence.update(scene, track.subject, seen=number in there) for number, track in self._tracks.items()
        ]
        for event in changes:
            if event is not None:
                yield self._counted(event)
        self._forget(scene.time)

    def finish(self, time: int) -> Iterator[Event]:
        """The ends of the events that last."""
        for track in self._tracks.values():
            event = track.sequence.finish(time)
            if event is not None:
                yield self._counted(event)

    def _counted(self, event: Event) -> Event:
        self._total += event.phase != "end"
        now = sum(track.sequence.event is not None for track in self._tracks.values())
        return replace(event, counts={"now": now, "total": self._total})

    def _forget(self, time: int) -> None:
        gone = [
            number
            for number, track in self._tracks.items()
            if time - track.seen > _FORGOTTEN and track.sequence.event is None
        ]
        excess = len(self._tracks) - _MOST_TRACKS
        if excess > 0:
            idle = [number for number, track in self._tracks.items() if track.sequence.idle]
            gone += sorted(idle, key=lambda number: self._tracks[number].seen)[:excess]
        for number in gone:
            self._tracks.pop(number, None)


@dataclass(slots=True)
class _Way:
    side: Side
    place: Point
    seen: int


@dataclass(slots=True)
class LineMachine:
    """Counts the tracks that cross a line, by the side on which they arrive."""

    rule: LineRule
    counts: dict[str, int] = field(default_factory=lambda: {"left": 0, "right": 0})
    _ways: dict[int, _Way] = field(default_factory=dict)

    def update(self, scene: Scene) -> Iterator[Event]:
        """A moment for each crossing."""
        line = self.rule.line
        for subject in scene.subjects:
            if subject.track is None or self.rule.kind not in (None, subject.kind):
                continue
            side = line.side(subject.place)
            if side is None:
                continue
            before = self._ways.pop(subject.track, None)
            self._ways[subject.track] = _Way(side, subject.place, scene.time)
            if before is None or before.side == side or not line.crosses(before.place, subject.place):
                continue
            self.counts[side] += 1
            if self.rule.wants(side):
                event = new_event(self.rule.name, "moment", scene, scene.time, subject)
                yield replace(event, direction=side, counts=dict(self.counts))
        for number, way in list(self._ways.items()):
            if scene.time - way.seen <= _FORGOTTEN and len(self._ways) <= _MOST_TRACKS:
                break  # they stand in the order in which they were seen
            del self._ways[number]

    def finish(self, time: int) -> Iterator[Event]:
        """A moment has no end."""
        yield from ()
