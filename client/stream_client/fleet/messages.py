"""What a fleet and its worker processes say to each other."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.supervised import StreamStatus
from stream_client.monitoring.statistics import StatisticsSnapshot


@dataclass(frozen=True, slots=True)
class Assignment:
    """The streams that a worker shall run, which of them are paused and looked at, and the level of its log."""

    plans: tuple[StreamPlan, ...] = ()
    paused: frozenset[str] = frozenset()
    looked: frozenset[str] = frozenset()
    log_level: int = logging.WARNING


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker does now. ``problems`` are of streams of its assignment that could not start, by name; ``pictures``
    those of streams that are looked at, as JPEG.
    """

    streams: tuple[StreamStatus, ...] = ()
    statistics: tuple[StatisticsSnapshot, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported:
    """The statistics of a run in another process, as they were reported."""

    known: StatisticsSnapshot
    running: bool = True

    def snapshot(self) -> StatisticsSnapshot:
        """The known ones."""
        return self.known
