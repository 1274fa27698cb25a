"""An event, as a value and as the message that leaves the program."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from stream_client.events.geometry import Side
from stream_client.events.scene import Scene, Subject
from stream_client.frames import Label

Phase = Literal["begin", "end", "moment", "clip"]
"""``moment``: an event without length. ``clip``: its clip is complete."""
Message = Mapping[str, object]
"""An event as JSON: docs/events.schema.json."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Event:
    """What a rule found.

    ``begin`` and ``end`` are in µs of the source; ``end`` is ``None`` while it lasts. ``since`` is when the condition
    became true: before ``begin`` where it has to hold for a time. ``counts`` are the rule's numbers so far.
    """

    rule: str
    phase: Phase
    begin: int
    since: int
    end: int | None = None
    label: Label | None = None
    subject: Subject | None = None
    direction: Side | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(8))


def new_event(rule: str, phase: Phase, scene: Scene, since: int, subject: Subject | None = None) -> Event:
    """An event that begins now."""
    label = scene.label if subject is None else subject.label or scene.label
    return Event(rule, phase, scene.time, since, scene.time if phase == "moment" else None, label, subject)


def message(
    event: Event, *, stream: str, frame: int, clock: float, snapshot: str | None = None, clip: str | None = None
) -> Message:
    """The message about ``event``. ``clock``: seconds since 1970 of ``begin``. ``frame``: the frame now."""
    label, subject = event.label, event.subject
    at = datetime.fromtimestamp(clock, timezone.utc).isoformat(timespec="milliseconds")
    return {
        "version": VERSION,
        "id": event.id,
        "message": f"{event.id}-{event.phase}",
        "phase": event.phase,
        "rule": event.rule,
        "stream": stream,
        "frame": frame,
        "since": event.since / 1e6,
        "begin": event.begin / 1e6,
        "end": None if event.end is None else event.end / 1e6,
        "clock": at,
        "label": None if label is None else label.name,
        "score": None if label is None else round(label.score, 6),
        "class": None if subject is None else subject.kind,
        "track": None if subject is None else subject.track,
        "box": None if subject is None else [round(value, 1) for value in subject.box],
        "direction": event.direction,
        "counts": dict(event.counts),
        "snapshot": snapshot,
        "clip": clip,
    }
