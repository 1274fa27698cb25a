"""Counts and durations of a run while it goes on, for metrics and the verdict."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from stream_client.frames import Stamps
from stream_client.monitoring.budget import BudgetSnapshot
from stream_client.monitoring.connections import Connections, ConnectionSummary
from stream_client.monitoring.events import EventsSnapshot
from stream_client.monitoring.histogram import Histogram, HistogramSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.lines import LineCounts, LineSnapshot
from stream_client.monitoring.observer import ConnectionState, FlowSnapshot, Observer
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.monitoring.stages import STAGES, stage_durations
from stream_client.replicas.snapshot import ReplicaSnapshot
from stream_client.transport.line import LineSample

CREDIBLE_CAMERA_LATENCY = 60.0
"""Seconds. A camera that is later, or whose frames come from the future, has a clock that is wrong."""


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """A run so far. Durations are in seconds.

    ``ledger`` has the counts of frames, ``outputs`` those at each output, ``events`` those of events. ``replicas`` and
    ``lines``, by their addresses, are empty with one server. ``share`` is the part of the server's recent time, 0…1,
    where streams share one; ``budget`` is ``None`` without a latency budget. ``stages``, ``sink_writes`` and
    ``sink_waits`` map names to histograms.
    ``window_full`` is how long the window was full while a frame waited for it. ``shortest_round_trip`` is ``inf``
    before the first answer. ``camera_latency`` is from the camera's own capture time to delivery.
    ``elapsed`` is from the first frame to the last delivery.
    """

    stream: str
    model: str
    stages: Mapping[str, HistogramSnapshot]
    latency: HistogramSnapshot
    camera_latency: HistogramSnapshot
    source_reads: HistogramSnapshot
    sink_writes: Mapping[str, HistogramSnapshot]
    sink_waits: Mapping[str, HistogramSnapshot]
    ledger: LedgerSnapshot
    outputs: Mapping[str, OutputSnapshot]
    replicas: Sequence[ReplicaSnapshot]
    share: float | None
    budget: BudgetSnapshot | None
    events: EventsSnapshot
    bytes_sent: int
    bytes_received: int
    line: LineSnapshot
    lines: Mapping[str, LineSnapshot]
    connections: Mapping[str, ConnectionSummary]
    flow: FlowSnapshot
    frame_rate: float
    window_full: float
    shortest_round_trip: float
    elapsed: float


class Measured(Protocol):
    """A run whose statistics can be asked for."""

    @property
    def running(self) -> bool:
        """Whether a run has begun, so that stream and model are known."""

    def snapshot(self) -> StatisticsSnapshot:
        """Everything now."""


class Statistics(Observer):
    """An observer that counts. ``clock`` is :func:`time.monotonic`, as the stamps are."""

    RATE_SECONDS = 5.0
    """The frame rate is measured over this many seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stream = self._model = ""
        self._ledger: Callable[[], LedgerSnapshot] | None = None
        self._outputs: Callable[[], Mapping[str, OutputSnapshot]] = dict
        self._replicas: Callable[[], Sequence[ReplicaSnapshot]] = tuple
        self._share: Callable[[], float | None] = lambda: None
        self._budget: Callable[[], BudgetSnapshot | None] = lambda: None
        self._events: Callable[[], EventsSnapshot] = EventsSnapshot
        self._stages = {stage: Histogram() for stage in STAGES}
        self._latency = Histogram()
        self._camera_latency = Histogram()
        self._source_reads = Histogram()
        self._sink_writes: dict[str, Histogram] = {}
        self._sink_waits: dict[str, Histogram] = {}
        self._bytes_sent = self._bytes_received = 0
        self._line = LineCounts()
        self._lines: dict[str, LineCounts] = {}
        self._connections = Connections(clock)
        self._flow = FlowSnapshot(in_flight=0, window=0, queued=0)
        self._flow_since = math.nan
        self._window_full = 0.0
        self._shortest_round_trip = math.inf
        self._first_entered = self._last_delivered = math.nan
        self._deliveries: deque[float] = deque(maxlen=4096)

    @property
    def running(self) -> bool:
        """Whether a run has begun, so that stream and model are known."""
        return self._ledger is not None

    def snapshot(self) -> StatisticsSnapshot:
        """Everything now."""
        now = self._clock()
        # Asked for without our lock: the run holds its own while it calls us.
        ledger = LedgerSnapshot() if self._ledger is None else self._ledger()
        outputs, replicas, events = self._outputs(), self._replicas(), self._events()
        share, budget = self._share(), self._budget()
        with self._lock:
            return StatisticsSnapshot(
                stream=self._stream,
                model=self._model,
                stages={stage: histogram.snapshot() for stage, histogram in self._stages.items()},
                latency=self._latency.snapshot(),
                camera_latency=self._camera_latency.snapshot(),
                source_reads=self._source_reads.snapshot(),
                sink_writes={sink: histogram.snapshot() for sink, histogram in self._sink_writes.items()},
                sink_waits={sink: histogram.snapshot() for sink, histogram in self._sink_waits.items()},
                ledger=ledger,
                outputs=outputs,
                replicas=replicas,
                share=share,
                budget=budget,
                events=events,
                bytes_sent=self._bytes_sent,
                bytes_received=self._bytes_received,
                line=self._line.snapshot(),
                lines={server: line.snapshot() for server, line in self._lines.items()},
                connections=self._connections.snapshot(),
                flow=replace(self._flow, sink_queues=dict(self._flow.sink_queues)),
                frame_rate=self._frame_rate(now),
                window_full=self._window_full,
                shortest_round_trip=self._shortest_round_trip,
                elapsed=max(0.0, self._last_delivered - self._first_entered) if self._deliveries else 0.0,
            )

    def _frame_rate(self, now: float) -> float:
        recent = [delivered for delivered in self._deliveries if delivered > now - self.RATE_SECONDS]
        if not recent:
            return 0.0
        full = len(recent) == self._deliveries.maxlen  # more than fit: their own span counts
        since = recent[0] if full else max(self._first_entered, now - self.RATE_SECONDS)
        return len(recent) / max(now - since, 1e-3)

    # --- Observer

    def started(self, stream: str, model: str, ledger: Callable[[], LedgerSnapshot]) -> None:
        """Note the names, and where the counts are."""
        with self._lock:
            self._stream, self._model, self._ledger = stream, model, ledger

    def outputs(self, read: Callable[[], Mapping[str, OutputSnapshot]]) -> None:
        """Note where their counts are."""
        self._outputs = read

    def replicas(self, read: Callable[[], Sequence[ReplicaSnapshot]]) -> None:
        """Note where they are."""
        self._replicas = read

    def share(self, read: Callable[[], float | None]) -> None:
        """Note where it is."""
        self._share = read

    def budget(self, read: Callable[[], BudgetSnapshot]) -> None:
        """Note where it is."""
        self._budget = read

    def events(self, read: Callable[[], EventsSnapshot]) -> None:
        """Note where their counts are."""
        self._events = read

    def entered(self) -> None:
        """Note when the first frame came."""
        if math.isnan(self._first_entered):
            self._first_entered = self._clock()

    def source_read(self, seconds: float) -> None:
        """Count by bucket."""
        with self._lock:
            self._source_reads.observe(seconds)

    def delivered(self, stamps: Stamps) -> None:
        """Count every stage by bucket."""
        durations = stage_durations(stamps)
        with self._lock:
            for stage, seconds in durations.items():
                self._stages[stage].observe(seconds)
            self._latency.observe(stamps.delivered - stamps.captured)
            camera_latency = stamps.delivered - stamps.camera
            if 0 <= camera_latency <= CREDIBLE_CAMERA_LATENCY:
                self._camera_latency.observe(camera_latency)
            self._shortest_round_trip = min(self._shortest_round_trip, durations["round_trip"])
            self._last_delivered = stamps.delivered
            self._deliveries.append(stamps.delivered)

    def reused(self, stamps: Stamps) -> None:
        """Count the latency only."""
        with self._lock:
            self._latency.observe(stamps.delivered - stamps.captured)
            self._last_delivered = stamps.delivered
            self._deliveries.append(stamps.delivered)

    def bytes_sent(self, count: int) -> None:
        """Add up."""
        with self._lock:
            self._bytes_sent += count

    def bytes_received(self, count: int) -> None:
        """Add up."""
        with self._lock:
            self._bytes_received += count

    def line_measured(self, sample: LineSample) -> None:
        """Count, for all servers together and for each of several."""
        beside_frames = not math.isnan(self._first_entered)
        with self._lock:
            self._line.add(sample, beside_frames=beside_frames)
            if sample.server:
                self._lines.setdefault(sample.server, LineCounts()).add(sample, beside_frames=beside_frames)

    def sink_written(self, sink: str, waited: float, seconds: float) -> None:
        """Count both by bucket."""
        with self._lock:
            self._sink_waits.setdefault(sink, Histogram()).observe(waited)
            self._sink_writes.setdefault(sink, Histogram()).observe(seconds)

    def gauges(self, snapshot: FlowSnapshot) -> None:
        """Keep the newest, and how long the window was what frames waited for."""
        now = self._clock()
        with self._lock:
            if self._flow.queued and self._flow.in_flight >= self._flow.window:
                self._window_full += now - self._flow_since
            self._flow, self._flow_since = snapshot, now

    def state(self, connection: str, state: ConnectionState) -> None:
        """Follow the connection."""
        self._connections.state(connection, state)


class NamedStatistics(Statistics):
    """Statistics of a stream with a name of its own, since several may read the same source."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def started(self, stream: str, model: str, ledger: Callable[[], LedgerSnapshot]) -> None:
        """Note the names, and where the counts are."""
        super().started(self._name, model, ledger)
