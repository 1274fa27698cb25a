"""Whose the time of the round trips is: the servers', the lines' to them, or their distance's. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from stream_client.monitoring.statistics import StatisticsSnapshot

Part = Literal["server", "server_line", "distance"]
_SLOWER = 2.0
"""A server that takes so many times as long as the others is named."""


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """One of several servers: its address, and the seconds to it and back, for a frame, and for a frame elsewhere.

    ``rate``: bytes a second that its line carried, in its busier direction.
    """

    address: str
    distance: float
    service: float
    elsewhere: float
    rate: float

    @property
    def is_slower(self) -> bool:
        """Whether it takes far longer than the others."""
        return self.service > _SLOWER * self.elsewhere > 0


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Seconds of all frames, by part; with several servers, which of them has the most of each."""

    seconds: Mapping[Part, float]
    worst: Mapping[Part, ServerTimes] = field(default_factory=dict)


def answered(run: StatisticsSnapshot) -> int:
    """Frames with a result of their own, whether an output took it or not."""
    return run.ledger.delivered + run.ledger.dropped.get("no_output", 0) - run.ledger.reused


def line_rate(run: StatisticsSnapshot) -> float:
    """Bytes a second that all lines carried, in the busier direction."""
    return max(run.bytes_sent, run.bytes_received) / run.elapsed


def round_trips(run: StatisticsSnapshot, upload_rate: float | None) -> RoundTrips:
    """``upload_rate``: bytes a second that the network took, where that is known."""
    if len(run.lines) > 1:
        return _of_several(run)
    total = run.stages["round_trip"].total
    distance = min(total, answered(run) * run.line.distance)
    line = min(total - distance, total * _moving(run, upload_rate))
    return RoundTrips({"server": total - distance - line, "server_line": line, "distance": distance})


def _moving(run: StatisticsSnapshot, upload_rate: float | None) -> float:
    """The share of the round trip, 0…1, that moves bytes: the best that was seen of both is compared.

    A full line carries what it can. Of another one only the transport knows the rate.
    """
    rate = line_rate(run) if run.line.is_full else upload_rate
    if not rate or math.isinf(run.shortest_round_trip) or not run.shortest_round_trip:
        return 0.0
    bytes_a_frame = (run.bytes_sent + run.bytes_received) / answered(run)
    return min(1.0, bytes_a_frame / rate / run.shortest_round_trip)


def _of_several(run: StatisticsSnapshot) -> RoundTrips:
    """Each server has the frames that it answered, in the time that it took of late.

    A full line has all of its frames' time but the distance.
    """
    used = [replica for replica in run.replicas if replica.answered and replica.p50 and replica.address in run.lines]
    frames = max(1, sum(replica.answered for replica in used))
    total = run.stages["round_trip"].total
    weight = sum(replica.answered * (replica.p50 or 0.0) for replica in used)
    seconds: dict[Part, float] = {"server": 0.0 if used else total, "server_line": 0.0, "distance": 0.0}
    most: dict[Part, float] = {}
    worst: dict[Part, ServerTimes] = {}
    for replica in used:
        line, service = run.lines[replica.address], replica.p50 or 0.0
        own = total * replica.answered * service / weight
        distance = min(own, replica.answered * line.distance)
        others = [other.p50 or 0.0 for other in used if other is not replica]
        elsewhere = median(others) if others else 0.0
        times = ServerTimes(
            replica.address, line.distance, service, elsewhere, line_rate(run) * replica.answered / frames
        )
        parts: dict[Part, float] = {"distance": distance, "server_line" if line.is_full else "server": own - distance}
        for part, length in parts.items():
            seconds[part] += length
            if length > most.get(part, 0.0):
                most[part], worst[part] = length, times
    return RoundTrips(seconds, worst)
