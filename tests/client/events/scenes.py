"""Scenes with known truth."""

from collections.abc import Iterable, Mapping, Sequence

from stream_client.events.event import Event
from stream_client.events.machines import open_machine
from stream_client.events.read import parse_rules
from stream_client.events.scene import Scene, Subject
from stream_client.frames import Label

STEP = 100_000
"""µs between two frames."""


def label(name: str, score: float = 0.9) -> Label:
    return Label(name, score, {name: score})


def at(track: int | None, x: float, y: float, kind: str = "person") -> Subject:
    return Subject(kind, 0.9, (0, 0, 1, 1), (x, y), track)


def labeled(names: Sequence[str | None]) -> list[Scene]:
    """A frame for each label."""
    return [
        Scene(index * STEP, None if name is None else label(name), (), {"label": name})
        for index, name in enumerate(names)
    ]


def placed(frames: Iterable[Sequence[Subject]]) -> list[Scene]:
    """A frame for each list of things."""
    return [Scene(index * STEP, None, tuple(subjects), {}) for index, subjects in enumerate(frames)]


def events(table: Mapping[str, object], scenes: Sequence[Scene], *, finish: bool = False) -> list[Event]:
    """What a rule finds."""
    (rule,) = parse_rules({"rule": [{"name": "rule", **table}]})
    machine = open_machine(rule)
    found = [event for scene in scenes for event in machine.update(scene)]
    return found + (list(machine.finish(scenes[-1].time)) if finish else [])


def spans(found: Sequence[Event]) -> list[tuple[str, float, float | None]]:
    """Phase, begin and end in frames."""
    return [(event.phase, event.begin / STEP, None if event.end is None else event.end / STEP) for event in found]
