"""The same frames through several settings, one run each."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from PIL import Image as PillowImage

from stream_client.benchmark.options import BenchmarkOptions
from stream_client.benchmark.recorder import Recorder
from stream_client.benchmark.report import Report, Setup, make_report
from stream_client.client import StreamClient
from stream_client.errors import ConfigurationError, SourceError, StreamClientError
from stream_client.frames import Image
from stream_client.options import RunOptions
from stream_client.sinks.callable import NullSink
from stream_client.sources.arrays import ArraySource
from stream_client.sources.factory import open_source
from stream_client.transport.options import Api, TransportOptions
from stream_client.util.table import table

FRAMES = 30
"""Frames in memory, sent again and again: reading and decoding costs the runs nothing."""

_RATE = Fraction(30)


@dataclass(frozen=True, slots=True)
class Point:
    """One setting; ``width`` and ``height`` in pixels."""

    api: Api
    width: int
    height: int
    max_inflight: int

    def __str__(self) -> str:
        return f"{self.api} {self.width}x{self.height}, {self.max_inflight} in flight"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report of a point, or the reason why there is none."""

    point: Point
    report: Report | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How each point is run. A run ends when it is stable, or at the limits of ``run``."""

    transport: TransportOptions
    run: RunOptions
    benchmark: BenchmarkOptions
    source: str

    def __post_init__(self) -> None:
        if not self.run.limit_stream_duration:
            raise ConfigurationError("a run of a sweep has to end: a limit above 0", option="limit_stream_duration")


def points(apis: Sequence[Api], sizes: Sequence[tuple[int, int]], windows: Sequence[int]) -> list[Point]:
    """Every combination."""
    return [Point(api, *size, window) for api, size, window in itertools.product(apis, sizes, windows)]


def sweep(chosen: Sequence[Point], options: SweepOptions) -> Iterator[Outcome]:
    """Run the points one after another; one that fails does not end the sweep. Raises when there are no frames."""
    originals = read_frames(options.source)
    for size, group in itertools.groupby(chosen, key=lambda point: (point.width, point.height)):
        frames = [_resized(image, *size) for image in originals]
        for point in group:
            try:
                yield Outcome(point, measure(point, frames, options))
            except StreamClientError as error:
                yield Outcome(point, None, str(error))


def measure(point: Point, frames: Sequence[Image], options: SweepOptions) -> Report:
    """One run, until it is stable or at its limit."""
    warmup_frames, window = options.benchmark.warmup_frames, options.benchmark.benchmark_window
    settings = Setup(point.api, point.max_inflight, warmup_frames, window)
    recorder = Recorder(
        warmup_frames=warmup_frames,
        window=window,
        on_stable=lambda: client.finish(),  # noqa: PLW0108 - there is no client yet
    )
    client = StreamClient(
        ArraySource(itertools.cycle(frames), frame_rate=_RATE, name=options.source),
        NullSink(),
        replace(options.transport, api=point.api),
        options=replace(options.run, max_inflight=point.max_inflight),
        postprocess=lambda result: result.image,
        observers=[recorder],
    )
    summary = client.run()
    if not summary.ledger.delivered and summary.last_failure is not None:
        raise summary.last_failure
    return make_report(summary, settings, recorder.measurement())


def read_frames(spec: str) -> list[Image]:
    """The first frames of a source, RGB uint8. Raises :class:`SourceError`."""
    source = open_source(spec)
    try:
        source.open()
        frames: list[Image] = []
        while len(frames) < FRAMES and (frame := source.read()) is not None:
            frames.append(frame.image)
    finally:
        source.close()
    if not frames:
        raise SourceError(f"{spec} has no frame", option="source")
    return frames


def sweep_table(outcomes: Sequence[Outcome]) -> str:
    """One row a point; times in milliseconds, of a request: from the tensor to the parsed answer."""
    header = ("api", "size", "in flight", "frames/s", "mean", "p50", "p90", "p99", "client CPU", "")
    return table(header, [_row(outcome) for outcome in outcomes])


def _row(outcome: Outcome) -> tuple[str, ...]:
    point, report = outcome.point, outcome.report
    what = (point.api, f"{point.width}x{point.height}", str(point.max_inflight))
    if report is None or report.measurement.request is None:
        return (*what, *("",) * 6, outcome.error or "nothing but warm-up: raise limit_stream_duration")
    measured, in_ms = report.measurement, report.measurement.request.times(1000)
    times = (f"{value:.1f}" for value in (in_ms.mean, in_ms.p50, in_ms.p90, in_ms.p99))
    notes = [] if measured.stable else ["not stable"]
    lost = sum(report.outcomes.failed.values()) + sum(report.outcomes.dropped.values())
    notes += [f"{lost} frames lost"] if lost else []
    cpu = f"{100 * measured.cpu_seconds / measured.seconds:.0f}%" if measured.seconds else ""
    return (*what, f"{measured.throughput:.1f}", *times, cpu, ", ".join(notes))


def _resized(image: Image, width: int, height: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(PillowImage.fromarray(image).resize((width, height)))
