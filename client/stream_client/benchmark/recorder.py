"""Watches a run and keeps what a report needs."""

import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from stream_client.benchmark.stability import Stability
from stream_client.frames import Stamps
from stream_client.monitoring.distribution import Distribution, distribution
from stream_client.monitoring.observer import FlowSnapshot, Observer
from stream_client.monitoring.stages import STAGES, stage_durations


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured after the warm-up; times in seconds.

    ``request`` is from the tensor to the parsed answer: what load generators such as perf_analyzer call latency.
    ``latency`` is from capture to delivery, and the sum of ``stages``. ``sinks`` come after it. ``cpu_seconds``
    is of this process, user and system, all threads.
    """

    frames: int
    seconds: float
    stable: bool
    latency: Distribution | None
    request: Distribution | None
    stages: dict[str, Distribution]
    sinks: dict[str, Distribution]
    mean_in_flight: float
    cpu_seconds: float

    @property
    def throughput(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0


class Recorder(Observer):
    """Leaves out the first ``warmup_frames`` results, and calls ``on_stable`` once windows of ``window`` seconds agree.

    ``on_stable`` is called from the dispatcher's thread and must not wait. Memory: about 100 bytes a frame.
    """

    def __init__(self, *, warmup_frames: int, window: float, on_stable: Callable[[], None]) -> None:
        self._warmup_left = warmup_frames
        self._window = window
        self._on_stable = on_stable
        self._stages = {stage: array("d") for stage in STAGES}
        self._latencies = array("d")
        self._requests = array("d")
        self._sinks: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._lock = threading.Lock()  # for the values of sinks and gauges, which come from several threads
        self._in_flight = [0, 0]  # sum, count
        self._stability: Stability | None = None
        self._stable = False
        self._begin = self._end = 0.0
        self._cpu_begin = self._cpu_end = 0.0

    def entered(self) -> None:
        """A frame came out of the source; without a warm-up, measuring begins with the first."""
        if self._stability is None and not self._warmup_left:
            self._start(time.monotonic())

    def delivered(self, stamps: Stamps) -> None:
        """Note the frame's times."""
        if self._stability is None:
            self._warmup_left -= 1
            if not self._warmup_left:
                self._start(stamps.delivered)
            return
        for stage, seconds in stage_durations(stamps).items():
            self._stages[stage].append(seconds)
        latency = stamps.delivered - stamps.captured
        self._latencies.append(latency)
        self._requests.append(stamps.parsed - stamps.converted)
        self._end, self._cpu_end = stamps.delivered, time.process_time()
        if self._stability.add(stamps.delivered, latency) and not self._stable:
            self._stable = True
            self._on_stable()

    def sink_written(self, sink: str, waited: float, seconds: float) -> None:
        """Note a sink's time."""
        if self._stability is not None:
            with self._lock:
                self._sinks[sink].append(seconds)

    def gauges(self, snapshot: FlowSnapshot) -> None:
        """Note how many frames are under way."""
        if self._stability is not None:
            with self._lock:
                self._in_flight[0] += snapshot.in_flight
                self._in_flight[1] += 1

    def measurement(self) -> Measurement:
        """What was measured; call it after the run."""
        total, count = self._in_flight
        return Measurement(
            frames=len(self._latencies),
            seconds=max(0.0, self._end - self._begin),
            stable=self._stable,
            latency=distribution(self._latencies),
            request=distribution(self._requests),
            stages=_distributions(self._stages),
            sinks=_distributions(self._sinks),
            mean_in_flight=total / count if count else 0.0,
            cpu_seconds=max(0.0, self._cpu_end - self._cpu_begin),
        )

    def _start(self, now: float) -> None:
        self._begin = self._end = now
        self._cpu_begin = self._cpu_end = time.process_time()
        self._stability = Stability(self._window, now)


def _distributions(values: "dict[str, array[float]]") -> dict[str, Distribution]:
    found = {name: distribution(column) for name, column in values.items()}
    return {name: value for name, value in found.items() if value is not None}
