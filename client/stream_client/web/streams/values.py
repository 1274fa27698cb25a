"""What the API says of streams."""

from typing import Any

from pydantic import BaseModel

from stream_client.controlled_run import State
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.statistics import StatisticsSnapshot
from stream_client.plain_text import one_line
from stream_client.util.redact import redact
from stream_client.web.streams.places import shown
from stream_client.web.streams.run import Run
from stream_client.web.streams.stream import Stream


class Created(BaseModel):
    """The id of a new stream."""

    id: str


class StreamSource(BaseModel):
    """What the source is, once it is open. Sizes are in pixels, the rate in frames a second."""

    width: int
    height: int
    frame_rate: float | None
    live: bool
    frame_count: int | None


class LedgerValue(BaseModel):
    """What became of the frames: ``entered`` is the sum of delivered, dropped, failed and pending."""

    entered: int
    delivered: int
    dropped: dict[str, int]
    failed: dict[str, int]
    pending: int
    resent: int
    late: int
    damaged: int


class Latency(BaseModel):
    """From capture to delivery, in milliseconds; null before the first frame. ``stages`` are means."""

    p50: float | None
    p95: float | None
    mean: float | None
    stages: dict[str, float]


class VerdictValue(BaseModel):
    """What holds the run back. ``option`` is the setting to change, ``value`` what to try for it."""

    culprit: str
    share: float
    sentence: str
    option: str | None
    value: str | None


class LabelValue(BaseModel):
    """The newest label, with its score in 0…1."""

    name: str
    score: float
    repetitions: int | None


class TrackValue(BaseModel):
    """Somebody or something that is followed: a person's label, or a thing's class, with its score in 0…1."""

    track: int
    name: str | None
    score: float | None
    repetitions: int | None


class LogLine(BaseModel):
    """A line about the stream; ``time`` in seconds since 1970."""

    time: float
    text: str


class ResultFile(BaseModel):
    """A file to download."""

    name: str
    bytes: int


class StreamSummary(BaseModel):
    """A stream in the list. ``problem`` says in one line what is wrong, and is empty otherwise; ``option`` is the
    setting to look at. ``frame_rate`` is that of delivered frames, a second.
    """

    id: str
    name: str
    state: State
    problem: str
    option: str | None
    frame_rate: float
    label: LabelValue | None


class StreamState(StreamSummary):
    """Everything about a stream. ``settings`` are as given, without credentials; ``events`` are counts by rule.

    ``tracks`` are those of the newest frame, 32 at most.
    """

    settings: dict[str, Any]
    source: StreamSource | None
    ledger: LedgerValue
    latency: Latency
    tracks: list[TrackValue]
    events: dict[str, int]
    verdict: VerdictValue | None
    connections: dict[str, str]
    began: float
    log: list[LogLine]
    results: list[ResultFile]


def stream_summary(stream: Stream) -> StreamSummary:
    """The stream now, in short."""
    return StreamSummary(**_summary(stream, stream.run, stream.run.statistics.snapshot()))


def stream_state(stream: Stream) -> StreamState:
    """The stream now."""
    run = stream.run
    statistics = run.statistics.snapshot()
    found = run.verdict
    return StreamState(
        **_summary(stream, run, statistics),
        settings=dict(shown(stream.given)),
        source=_source(run),
        ledger=_ledger(statistics.ledger),
        latency=_latency(statistics),
        tracks=[
            TrackValue(track=each.number, name=each.name, score=each.score, repetitions=each.repetitions)
            for each in run.journal.tracks
        ],
        events=dict(statistics.events.found),
        verdict=None
        if found is None
        else VerdictValue(
            culprit=found.culprit,
            share=found.share,
            sentence=redact(found.sentence),
            option=found.option,
            value=None if found.value is None else str(found.value),
        ),
        connections={redact(name): each.state for name, each in statistics.connections.items()},
        began=run.began,
        log=[LogLine(time=when, text=text) for when, text in stream.log.lines()],
        results=[ResultFile(name=path.name, bytes=size) for path, size in stream.results().items()],
    )


def _summary(stream: Stream, run: Run, statistics: StatisticsSnapshot) -> dict[str, Any]:
    problem, label = run.problem, run.journal.label
    return {
        "id": stream.id,
        "name": stream.name,
        "state": run.state,
        "problem": "" if problem is None else redact(one_line(problem.message)),
        "option": None if problem is None else problem.option,
        "frame_rate": round(statistics.frame_rate, 2),
        "label": None
        if label is None
        else LabelValue(name=label.name, score=label.score, repetitions=label.repetitions),
    }


def _source(run: Run) -> StreamSource | None:
    info = run.info
    if info is None:
        return None
    rate = None if info.frame_rate is None else float(info.frame_rate)
    return StreamSource(
        width=info.width, height=info.height, frame_rate=rate, live=info.live, frame_count=info.frame_count
    )


def _ledger(ledger: LedgerSnapshot) -> LedgerValue:
    return LedgerValue(
        entered=ledger.entered,
        delivered=ledger.delivered,
        dropped=dict(ledger.dropped),
        failed=dict(ledger.failed),
        pending=ledger.pending,
        resent=ledger.resent,
        late=ledger.late,
        damaged=ledger.damaged,
    )


def _latency(statistics: StatisticsSnapshot) -> Latency:
    whole = statistics.latency
    middle, high = whole.quantile(0.5), whole.quantile(0.95)
    return Latency(
        p50=None if middle is None else round(1000 * middle, 2),
        p95=None if high is None else round(1000 * high, 2),
        mean=round(1000 * whole.total / whole.count, 2) if whole.count else None,
        stages={
            name: round(1000 * stage.total / stage.count, 3) for name, stage in statistics.stages.items() if stage.count
        },
    )
