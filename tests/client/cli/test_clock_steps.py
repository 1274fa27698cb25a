"""Steps of the wall clock in the middle of a live run are in no time that it writes."""

import json
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.fake_clock import FakeClock
from tests.support.pattern_camera import numbers_in, pattern_camera
from tests.support.rtsp_server import RtspServer
from tests.support.waiting import wait_for_lines

RATE, FRAMES = 20, 80
PATTERN = f"testsrc:320x240@{RATE}"


def run(source: str, steps: tuple[int, int], folder: Path, address: str) -> list[float]:
    """The times of the labels of a run, after whose 20th and 50th frame the clock is set."""
    clock = FakeClock(folder / "clock")
    labels = folder / "labels.jsonl"
    outputs = ("--output_stream", str(folder / "out.mkv"), "--labels_output", str(labels))
    limits = ("--limit_frames", str(FRAMES), "--drop_policy", "block")
    command = [sys.executable, "client.py", "--grpc_address", address, "--model_name", "passThrough"]
    with subprocess.Popen(
        [*command, "--input_stream", source, *outputs, *limits],
        cwd=ROOT / "client",
        env=os.environ | clock.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for lines, step in zip((20, 50), steps, strict=True):
            wait_for_lines(labels, lines, process)
            clock.set(step)
        _, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    return [json.loads(line)["time"] for line in labels.read_text().splitlines()]


def assert_go_on(times: list[float]) -> None:
    steps = [after - before for before, after in pairwise(times)]
    assert all(0 < step < 3 for step in steps)
    assert statistics.median(steps) > 0.01


@pytest.mark.parametrize("steps", [(-3600, 0), (3600, -30), (-4, 4)])
def test_times_go_on_when_the_clock_is_set(steps: tuple[int, int], tmp_path: Path, pass_through_server: str) -> None:
    times = run(PATTERN, steps, tmp_path, pass_through_server)
    assert_go_on(times)
    found = numbers_in(tmp_path / "out.mkv")
    assert found.frames == len(times)
    assert found.timing_error is not None
    assert found.timing_error.maximum < 0.5  # seconds, from the times painted


def test_times_of_a_camera_go_on_when_the_clock_is_set(tmp_path: Path, pass_through_server: str) -> None:
    with RtspServer(publish=["camera"]) as rtsp, pattern_camera(rtsp.url("publish/camera"), PATTERN):
        times = run(rtsp.url("camera"), (-3600, 3600), tmp_path, pass_through_server)
    assert_go_on(times)
    found = numbers_in(tmp_path / "out.mkv")
    assert found.timing_error is not None
    assert found.timing_error.maximum < 1.0  # the camera paints by a clock that is not set
