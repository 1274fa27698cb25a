"""What is kept of a run, on made-up stamps."""

import pytest

from stream_client.benchmark.recorder import Recorder
from stream_client.frames import Stamps
from stream_client.monitoring.observer import FlowSnapshot


def stamps(start: float, step: float = 0.01) -> Stamps:
    return Stamps(*(start + step * index for index in range(10)))


def recorded(frames: int, *, warmup: int) -> tuple[Recorder, list[bool]]:
    stable: list[bool] = []
    recorder = Recorder(warmup_frames=warmup, window=1.0, on_stable=lambda: stable.append(True))
    for index in range(frames):
        recorder.entered()
        recorder.delivered(stamps(10.0 + 0.125 * index))
        recorder.sink_written("none", 0.001, 0.002)
        recorder.gauges(FlowSnapshot(in_flight=3, window=4, queued=0))
    return recorder, stable


def test_the_warm_up_is_left_out() -> None:
    measured = recorded(12, warmup=4)[0].measurement()
    assert measured.frames == 8
    assert measured.seconds == pytest.approx(1.0)
    assert measured.throughput == pytest.approx(8.0)
    assert measured.mean_in_flight == 3
    # The sink's write of the last frame of the warm-up falls into the measured time.
    assert measured.sinks["none"].count == 9


def test_the_stages_add_up_to_the_latency() -> None:
    measured = recorded(10, warmup=2)[0].measurement()
    assert measured.latency is not None
    assert sum(stage.mean for stage in measured.stages.values()) == pytest.approx(measured.latency.mean)
    assert measured.latency.mean == pytest.approx(0.09)
    assert measured.request is not None
    assert measured.request.mean == pytest.approx(0.03)


def test_without_a_warm_up_every_frame_counts() -> None:
    measured = recorded(5, warmup=0)[0].measurement()
    assert measured.frames == 5
    assert measured.mean_in_flight == 3


def test_a_stable_run_is_told_once() -> None:
    recorder, stable = recorded(60, warmup=1)
    assert stable == [True]
    assert recorder.measurement().stable


def test_a_run_shorter_than_its_warm_up_measures_nothing() -> None:
    measured = recorded(3, warmup=5)[0].measurement()
    assert (measured.frames, measured.throughput, measured.latency, measured.stages) == (0, 0.0, None, {})
