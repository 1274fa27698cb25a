"""What held a run back, in one sentence with a remedy. Pure: from the statistics of a run to words.

A pipeline is as fast as its slowest part. So a part that was busy nearly all the time comes first: the source, a
sink, a window that was full while the server had no queue. If there is none, latency decides: the time of each stage
is added to the account of its cause, and the largest account is named.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.monitoring.round_trips import RoundTrips, ServerTimes, answered, line_rate, round_trips
from stream_client.monitoring.statistics import StatisticsSnapshot
from stream_client.util.redact import redact

Culprit = Literal[
    "damage", "source", "sink", "line", "window",
    "server", "server_line", "distance", "frame_size", "postprocess", "join",
]  # fmt: skip

LIMITED = 0.25
"""An output's line that is the limit for this share of the run holds it back."""
BUSY = 0.8
"""A part that is busy for this share of the run holds it back."""
UNQUEUED = 1.5
"""Mean over shortest round trip; below it frames hardly wait inside the server."""
MOST_SKIPPED = 0.05
"""Share of the frames that may be dropped by policy in a run that is said to keep up."""
WANTED_DROPS = ("max_fps", "latency_budget", "stopped", "no_output", "damaged", "paused")
MOST_DAMAGED = 0.01
"""Share of the frames that may come damaged in a run that is judged by its speed."""
FEWEST_FRAMES = 5
_SMALLEST_SIDE = 320
_LARGE_SIDE = 640
_LEAST_SIDE = 160
_Cause: TypeAlias = tuple[str, str | None, object]
"""Words with a remedy, the option that it speaks of, and a value for it."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run's numbers do not say: size of the frames sent, in pixels; whether the window found itself;
    whether the source was live, and came by UDP; bytes a second that the network took (``None``: unknown)."""

    width: int
    height: int
    adaptive: bool
    live: bool = False
    upload_rate: float | None = None
    udp: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """``share`` is 0…1: of the frames for damage, of the run's time for source, sink and window, else of the latency.

    ``option`` is the setting that the sentence's remedy speaks of, and ``value`` what to try for it.
    """

    culprit: Culprit
    share: float
    sentence: str
    option: str | None = None
    value: object = None


def verdict(run: StatisticsSnapshot, conditions: Conditions) -> Verdict | None:
    """The verdict, or ``None`` for a run of too few frames to judge by."""
    if answered(run) < FEWEST_FRAMES or not run.elapsed or not run.latency.total:
        return None
    if found := _damage(run, conditions) or _thin_line(run):
        return found
    if run.budget is not None:
        width, height = (max(1, side // run.budget.divisor) for side in run.budget.size)
        conditions = replace(conditions, width=width, height=height)
    trips = round_trips(run, conditions.upload_rate)
    return _busiest(run, conditions, trips) or _largest(run, conditions, trips)


def _thin_line(run: StatisticsSnapshot) -> Verdict | None:
    """An output whose line was the limit for :data:`LIMITED` of the run."""
    name, output = max(run.outputs.items(), key=lambda item: item[1].limited, default=("", OutputSnapshot()))
    share = min(1.0, output.limited / run.elapsed)
    if share < LIMITED or output.line_rate is None:
        return None
    carries, wanted = output.line_rate / 1000, output.wanted_rate / 1000
    sentence = f"the line to {redact(name)} carries {carries:.0f} kbit/s and the frames want {wanted:.0f}: "
    remedy = "use a faster line, send smaller or fewer frames, or accept a lower quality"
    return Verdict("line", share, sentence + remedy, "quality")


def _damage(run: StatisticsSnapshot, conditions: Conditions) -> Verdict | None:
    share = run.ledger.damaged / run.ledger.entered
    if not conditions.live or share < MOST_DAMAGED:
        return None
    sentence = f"{share:.0%} of the frames come damaged: "
    if conditions.udp:
        return Verdict("damage", share, sentence + "packets of UDP are lost, take TCP", "rtsp_transport", "tcp")
    return Verdict("damage", share, sentence + "packets are lost between the camera and the server that sends them")


def _busiest(run: StatisticsSnapshot, conditions: Conditions, trips: RoundTrips) -> Verdict | None:
    # A live source is always waited for; it is the limit only where the rest takes what it gives.
    skipped = sum(count for reason, count in run.ledger.dropped.items() if reason not in WANTED_DROPS)
    reading = run.source_reads.total / run.elapsed if skipped <= MOST_SKIPPED * run.ledger.entered else 0.0
    writing = {sink: histogram.total / run.elapsed for sink, histogram in run.sink_writes.items()}
    slowest = max(writing, key=writing.__getitem__, default="")
    full = run.window_full / run.elapsed
    busy = max(reading, writing.get(slowest, 0.0), full)
    if busy < BUSY:
        return None
    share = min(1.0, busy)
    if busy == reading:
        return Verdict("source", share, _source(run, conditions, share))
    if busy == writing.get(slowest):
        return Verdict(
            "sink",
            share,
            f"{share:.0%} of the time is writing to {redact(slowest)}: "
            "give it fewer pixels, a faster encoder or disk, or lighter code",
        )
    mean = run.stages["round_trip"].total / answered(run)
    on_line = trips.seconds["server_line"] / answered(run)
    if not conditions.adaptive and mean < UNQUEUED * run.shortest_round_trip and on_line < mean / 2:
        frames = "frame" if run.flow.window == 1 else "frames"
        return Verdict(
            "window",
            share,
            f"{share:.0%} of the time frames wait though only {run.flow.window} {frames} may be in flight and the "
            "server has no queue: let the window find itself",
            "max_inflight",
            "auto",
        )
    return None


def _source(run: StatisticsSnapshot, conditions: Conditions, share: float) -> str:
    rate = answered(run) / run.elapsed
    sentence = f"{share:.0%} of the time is waiting for the source, which gives {rate:.1f} frames/s: "
    if conditions.live:
        return sentence + "everything else keeps up"
    return sentence + "decoding or enforce_fps is the limit, everything else keeps up"


def _largest(run: StatisticsSnapshot, conditions: Conditions, trips: RoundTrips) -> Verdict:
    total = run.latency.total
    seconds = {stage: histogram.total for stage, histogram in run.stages.items()}
    accounts: dict[Culprit, float] = {
        "server": trips.seconds["server"],
        "server_line": trips.seconds["server_line"],
        "distance": trips.seconds["distance"],
        "frame_size": seconds["capture"] + seconds["convert"] + seconds["serialise"] + seconds["deserialise"],
        "sink": seconds["dispatch"],
        "postprocess": seconds["postprocess"],
        "join": seconds["join"],
    }
    # Waiting to be sent is the fault of whatever is behind, in proportion.
    waiting = seconds["queue"] / max(sum(accounts.values()), 1e-9)
    culprit = max(accounts, key=accounts.__getitem__)
    share = min(1.0, accounts[culprit] * (1 + waiting) / total)
    cause, option, value = _cause(culprit, run, conditions, seconds, trips)
    return Verdict(culprit, share, f"{share:.0%} of the latency is {cause}", option, value)


def _cause(
    culprit: Culprit,
    run: StatisticsSnapshot,
    conditions: Conditions,
    seconds: dict[str, float],
    trips: RoundTrips,
) -> _Cause:
    if culprit == "server":
        slow = trips.worst.get("server")
        if slow is not None and slow.is_slower:
            return (
                f"the server {slow.address}, which takes {1000 * slow.service:.0f} ms for a frame and the others "
                f"{1000 * slow.elsewhere:.0f}: look at that one, or leave it out",
                "grpc_address",
                None,
            )
        side = _half(conditions)
        remedy = "the server: add replicas or a smaller model"
        return (f"{remedy}, or send smaller frames", "max_side", side) if side >= _LARGE_SIDE else (remedy, None, None)
    if culprit == "server_line":
        return _line(run, conditions, trips.worst.get("server_line"))
    if culprit == "distance":
        far = trips.worst.get("distance")
        distance, name = (run.line.distance, "the server") if far is None else (far.distance, far.address)
        return (
            f"distance: a request without a frame takes {1000 * distance:.0f} ms to {name} and back; "
            "take a server that is nearer",
            None,
            None,
        )
    if culprit == "frame_size":
        doing = max(("convert", "serialise", "capture", "deserialise"), key=seconds.__getitem__)
        doing = {"convert": "converting", "serialise": "serialising"}.get(doing, "copying")
        side = _half(conditions)
        cause = f"{doing} and moving frames of {conditions.width}x{conditions.height}"
        if side >= _SMALLEST_SIDE:
            return f"{cause}: send smaller frames", "max_side", side
        return f"{cause}: use a faster machine or network", None, None
    if culprit == "sink":
        slowest = max(run.sink_writes, key=lambda sink: run.sink_writes[sink].total, default="")
        who = f"waiting for {redact(slowest)}" if slowest else "waiting for callbacks"
        return f"{who}: give it fewer pixels or lighter code", None, None
    if culprit == "postprocess":
        return "postprocessing: make that function cheaper, or leave it out", "postprocess", None
    return "waiting for labels or for earlier frames: wait for a shorter time", "join_timeout", None


def _line(run: StatisticsSnapshot, conditions: Conditions, thin: ServerTimes | None) -> _Cause:
    """What the line carries, and what frames of a live source want. ``thin`` is that of one of several servers."""
    if thin is not None:
        cause = f"the line to {thin.address}, which carries {_megabits(thin.rate)} Mbit/s"
        return f"{cause}: send smaller frames, or leave that server out", "max_side", _half(conditions)
    carried = line_rate(run)
    wanted = carried * run.ledger.entered / answered(run) if conditions.live else 0.0
    cause = f"the line to the server, which carries {_megabits(carried)} Mbit/s"
    side = _half(conditions)
    if wanted > carried:
        cause += f" and the frames want {_megabits(wanted)}"
        side = int(max(conditions.width, conditions.height) * math.sqrt(carried / wanted)) // 16 * 16
    if side >= _LEAST_SIDE:
        return f"{cause}: send smaller frames", "max_side", side
    return f"{cause}: take a faster network", None, None


def _megabits(bytes_a_second: float) -> str:
    return f"{8e-6 * bytes_a_second:.2g}" if bytes_a_second < 1.25e6 else f"{8e-6 * bytes_a_second:.0f}"


def _half(conditions: Conditions) -> int:
    """Half of the longer side, in whole macroblocks."""
    return max(conditions.width, conditions.height) // 2 // 16 * 16
