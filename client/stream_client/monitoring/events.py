"""How many events were found, and what became of the messages about them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """What became of messages: ``sent``, ``dropped`` for want of room, ``refused`` by the receiver, and ``waiting``.

    ``in_doubt``: of those dropped, what was on its way and may still arrive; it counts as sent then.
    """

    sent: int = 0
    dropped: int = 0
    refused: int = 0
    waiting: int = 0
    in_doubt: int = 0

    def __add__(self, other: "MessageCounts") -> "MessageCounts":
        return MessageCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def line(self) -> str:
        """``6 messages sent, 0 dropped, 0 refused, 1 not delivered``."""
        counts = (f"{self.dropped} dropped", f"{self.refused} refused", f"{self.waiting} not delivered")
        return ", ".join((f"{self.sent} messages sent", *counts))


@dataclass(frozen=True, slots=True)
class EventsSnapshot:
    """Events at one moment: ``found`` by the name of the rule, ``messages`` by the name of the output."""

    found: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[str, MessageCounts] = field(default_factory=dict)

    def line(self) -> str:
        """``3 events found (door: 1, fall: 2)``."""
        total = sum(self.found.values())
        rules = ", ".join(f"{rule}: {count}" for rule, count in self.found.items())
        return f"{total} event{'' if total == 1 else 's'} found ({rules})"


@runtime_checkable
class FindsEvents(Protocol):
    """A sink that finds events. Optional: other sinks find none."""

    def event_counts(self) -> EventsSnapshot:
        """The counts now, from any thread."""


def together(snapshots: Iterable[EventsSnapshot]) -> EventsSnapshot:
    """The sums of several sinks, by rule and output."""
    found: Counter[str] = Counter()
    messages: dict[str, MessageCounts] = {}
    for each in snapshots:
        found.update(each.found)
        for name, counts in each.messages.items():
            messages[name] = messages.get(name, MessageCounts()) + counts
    return EventsSnapshot(dict(found), messages)
