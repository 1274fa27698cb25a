"""A run's statistics as families of Prometheus metrics.

Names follow OpenMetrics (base units, ``_total`` for counters); every series carries ``stream`` (the source's
name, without passwords) and ``model`` (the servable's). docs/how-to/metrics.md lists them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar, get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.registry import Collector

from stream_client.monitoring.budget import BudgetSnapshot
from stream_client.monitoring.histogram import HistogramSnapshot
from stream_client.monitoring.ledger import DROP_REASONS, FAIL_REASONS
from stream_client.monitoring.observer import ConnectionState
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.monitoring.prometheus.replicas import replica_families
from stream_client.monitoring.statistics import Measured, StatisticsSnapshot
from stream_client.util.redact import redact

_LABELS = ("stream", "model")
_STATES: tuple[ConnectionState, ...] = get_args(ConnectionState)
_ALWAYS_THERE = ("source", "server")
_Family = TypeVar("_Family", bound=Metric)


class Metrics(Collector):
    """Renders the statistics of runs when it is asked; a scrape costs a run nothing. ``registry`` holds it.

    ``statistics`` are those of runs, or a function that gives them at each scrape.
    """

    def __init__(self, statistics: Sequence[Measured] | Callable[[], Sequence[Measured]]) -> None:
        self._statistics = statistics if callable(statistics) else lambda: statistics
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        """Every metric of every run that has begun."""
        runs = [run.snapshot() for run in self._statistics() if run.running]
        yield InfoMetricFamily("stream_client", "The client.", value={"version": _version()})
        yield from _durations(runs)
        yield from _counters(runs)
        yield from _events(runs)
        yield from _gauges(runs)
        yield from replica_families([(_names(run), run.replicas) for run in runs])


def _durations(runs: Sequence[StatisticsSnapshot]) -> Iterator[Metric]:
    one: Callable[[StatisticsSnapshot], Mapping[str, HistogramSnapshot]]
    for name, help_text, label, one in (
        ("stage", "Time of a frame in a stage between capture and delivery.", "stage", lambda run: run.stages),
        ("sink_wait", "Time of a result between delivery and a sink.", "sink", lambda run: run.sink_waits),
        ("sink_write", "Time that a sink took for a result.", "sink", lambda run: run.sink_writes),
        ("latency", "Time of a frame from capture to delivery.", "", lambda run: {"": run.latency}),
        (
            "camera_latency",
            "Time of a frame from its capture, by the camera's clock, to delivery.",
            "",
            lambda run: {"": run.camera_latency},
        ),
        (
            "line_round_trip",
            "Time of a light request to the server and back, on a connection of its own, once a second.",
            "",
            lambda run: {"": run.line.round_trips},
        ),
        ("source_read", "Time that the source took for a frame.", "", lambda run: {"": run.source_reads}),
    ):
        labels = (*_LABELS, label) if label else _LABELS
        family = HistogramMetricFamily(f"stream_client_{name}_seconds", help_text, labels=labels, unit="seconds")
        for run in runs:
            for value, histogram in one(run).items():
                family.add_metric(
                    [*_names(run), *([redact(value)] if label else [])], _cumulative(histogram), histogram.total
                )
        yield family


def _cumulative(histogram: HistogramSnapshot) -> list[tuple[str, float]]:
    buckets, count = [], 0
    for bound, inside in zip([*map(repr, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        count += inside
        buckets.append((bound, float(count)))
    return buckets


def _outputs(runs: Sequence[StatisticsSnapshot]) -> Iterator[Metric]:
    labels = (*_LABELS, "output", "outcome")
    frames = CounterMetricFamily("stream_client_output_frames", "Frames at an output.", labels=labels)
    sound = CounterMetricFamily("stream_client_output_sound_packets", "Packets of sound at an output.", labels=labels)
    for run in runs:
        for name, output in run.outputs.items():
            for outcome in ("sent", "skipped", "repeated", "lost"):
                frames.add_metric([*_names(run), redact(name), outcome], getattr(output, outcome))
            for outcome in ("sent", "dropped"):
                sound.add_metric([*_names(run), redact(name), outcome], getattr(output, f"sound_{outcome}"))
    yield from (frames, sound)


def _counters(runs: Sequence[StatisticsSnapshot]) -> Iterator[Metric]:
    frames = CounterMetricFamily(
        "stream_client_frames", "Frames whose end is known.", labels=(*_LABELS, "outcome", "reason")
    )
    for run in runs:
        frames.add_metric([*_names(run), "delivered", ""], run.ledger.delivered)
        for outcome, counts, reasons in (
            ("dropped", run.ledger.dropped, DROP_REASONS),
            ("failed", run.ledger.failed, FAIL_REASONS),
        ):
            for reason in sorted({*reasons, *counts}):
                frames.add_metric([*_names(run), outcome, reason], counts.get(reason, 0))
    yield frames
    yield from _outputs(runs)
    answers = CounterMetricFamily("stream_client_answers_ignored", "Answers of no use.", labels=(*_LABELS, "reason"))
    reconnects = CounterMetricFamily(
        "stream_client_reconnects", "Times that a lost connection came back.", labels=(*_LABELS, "connection")
    )
    for run in runs:
        ledger = run.ledger
        for reason, count in (("late", ledger.late), ("duplicate", ledger.duplicates), ("stray", ledger.strays)):
            answers.add_metric([*_names(run), reason], count)
        returns = {name: connection.reconnections for name, connection in run.connections.items()}
        for name in sorted({*_ALWAYS_THERE, *(name for name, count in returns.items() if count)}):
            reconnects.add_metric([*_names(run), redact(name)], returns.get(name, 0))
    yield from (answers, reconnects)
    value: Callable[[StatisticsSnapshot], float]
    for name, unit, help_text, value in (
        ("frames_entered", "", "Frames that came out of the source.", lambda run: run.ledger.entered),
        ("frames_damaged", "", "Frames that came damaged from the source.", lambda run: run.ledger.damaged),
        (
            "frames_reused",
            "",
            "Frames that were not sent and got the result before them.",
            lambda run: run.ledger.reused,
        ),
        ("frames_resent", "", "Frames sent once more after a loss of the server.", lambda run: run.ledger.resent),
        ("sent_bytes", "bytes", "Requests handed to the transport.", lambda run: run.bytes_sent),
        ("received_bytes", "bytes", "Answers taken from the transport.", lambda run: run.bytes_received),
    ):
        family = CounterMetricFamily(f"stream_client_{name}", help_text, labels=_LABELS, unit=unit)
        yield _filled(family, runs, value)


def _events(runs: Sequence[StatisticsSnapshot]) -> Iterator[Metric]:
    found = CounterMetricFamily("stream_client_events", "Events that a rule found.", labels=(*_LABELS, "rule"))
    messages = CounterMetricFamily(
        "stream_client_event_messages",
        "Messages about events whose end is known.",
        labels=(*_LABELS, "output", "outcome"),
    )
    waiting = GaugeMetricFamily(
        "stream_client_event_messages_waiting", "Messages not delivered yet.", labels=(*_LABELS, "output")
    )
    for run in runs:
        for rule, count in run.events.found.items():
            found.add_metric([*_names(run), rule], count)
        for output, counts in run.events.messages.items():
            # A counter never falls: what is in doubt is counted when its end is known.
            known = {"sent": counts.sent, "dropped": counts.dropped - counts.in_doubt, "refused": counts.refused}
            for outcome, number in known.items():
                messages.add_metric([*_names(run), output, outcome], number)
            waiting.add_metric([*_names(run), output], counts.waiting)
    yield from (found, messages, waiting)


def _gauges(runs: Sequence[StatisticsSnapshot]) -> Iterator[Metric]:
    value: Callable[[StatisticsSnapshot], float]
    for name, help_text, value in (
        ("in_flight_frames", "Frames sent and unanswered.", lambda run: run.flow.in_flight),
        ("window_frames", "Frames that may be sent and unanswered.", lambda run: run.flow.window),
        ("line_distance_seconds", "The shortest round trip of a light request.", lambda run: run.line.distance),
        ("frame_rate_hertz", "Frames delivered a second, over the last five.", lambda run: run.frame_rate),
    ):
        yield _filled(GaugeMetricFamily(f"stream_client_{name}", help_text, labels=_LABELS), runs, value)
    queues = GaugeMetricFamily("stream_client_queue_frames", "Frames waiting.", labels=(*_LABELS, "queue"))
    states = StateSetMetricFamily(
        "stream_client_connection_state",
        "State of the source, the server and each sink.",
        labels=(*_LABELS, "connection"),
    )
    for run in runs:
        queues.add_metric([*_names(run), "send"], run.flow.queued)
        for sink, depth in run.flow.sink_queues.items():
            queues.add_metric([*_names(run), redact(sink)], depth)
        for name, connection in run.connections.items():
            states.add_metric([*_names(run), redact(name)], {each: each == connection.state for each in _STATES})
    yield from (queues, states)
    yield from _budgets(runs)
    one: Callable[[OutputSnapshot], float | None]
    for name, help_text, one in (
        ("line_bits_per_second", "What its line carries, where that is the limit.", lambda output: output.line_rate),
        ("wanted_bits_per_second", "What the frames want.", lambda output: output.wanted_rate),
        ("limit_bits_per_second", "What the encoder may use, where it is limited.", lambda output: output.limit),
        ("age_seconds", "From the capture of the frame sent last to its arrival.", lambda output: output.age),
    ):
        family = GaugeMetricFamily(f"stream_client_output_{name}", help_text, labels=(*_LABELS, "output"))
        for run in runs:
            for output, found in run.outputs.items():
                if (number := one(found)) is not None:
                    family.add_metric([*_names(run), redact(output)], number)
        yield family


def _budgets(runs: Sequence[StatisticsSnapshot]) -> Iterator[Metric]:
    """What runs with a latency budget ask of their servers."""
    found = [(_names(run), run.budget) for run in runs if run.budget is not None]
    value: Callable[[BudgetSnapshot], float]
    for name, help_text, value in (
        ("seconds", "The latency budget.", lambda budget: budget.seconds),
        ("side_ratio", "Sides of frames that are sent, over their own.", lambda budget: 1 / budget.divisor),
        ("frames_ratio", "Frames that the budget lets through, of all.", lambda budget: 1 / budget.parts),
    ):
        family = GaugeMetricFamily(f"stream_client_budget_{name}", help_text, labels=_LABELS)
        for names, budget in found:
            family.add_metric(names, value(budget))
        yield family


def _filled(
    family: _Family, runs: Sequence[StatisticsSnapshot], value: Callable[[StatisticsSnapshot], float]
) -> _Family:
    for run in runs:
        family.add_metric(_names(run), value(run))  # type: ignore[attr-defined]
    return family


def _names(run: StatisticsSnapshot) -> list[str]:
    return [redact(run.stream), run.model]


def _version() -> str:
    try:
        return version("ovms-stream-client")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
