"""The latency budget of whole runs."""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_client import Detections, Request, Result, RunOptions, Stamps, StreamClient, StreamInfo, TransportOptions
from stream_client.errors import ConfigurationError
from stream_client.frames import Image, Tensor
from stream_client.monitoring.prometheus.families import Metrics
from stream_client.monitoring.statistics import Statistics
from stream_client.pipeline.latency_budget import LatencyBudget
from stream_client.processing.options import PrivacyOptions
from stream_client.sinks.labels import label_row
from stream_client.testing import FakeTransport
from tests.support.kserve_server import ScriptedServer, answer
from tests.support.waiting import wait_until

WIDTH, HEIGHT = 640, 360


class Boxes:
    """A detector of the box that the model gives."""

    def fit(self, image: Image, width: int, height: int) -> Image:
        return image

    def read(
        self, outputs: Mapping[str, Tensor], sent: tuple[int, int], shown: tuple[int, int], timestamp: int
    ) -> Detections:
        found = outputs["boxes"].array
        return Detections(found, np.ones(len(found), np.float32), np.zeros(len(found), np.int64), ("thing",))


def test_a_run_sends_smaller_frames_until_results_are_in_time(server: ScriptedServer) -> None:
    heights: list[int] = []

    def slow_by_pixels(request: Any, number: int) -> Iterator[Any]:
        heights.append(request.inputs[0].shape[0])
        time.sleep(0.3 * (heights[-1] / HEIGHT) ** 2)
        response = answer(request, "output")
        image = np.frombuffer(response.raw_output_contents[0], np.uint8).reshape(request.inputs[0].shape).copy()
        image[: len(image) // 4] = (0, 255, 0)
        response.raw_output_contents[0] = image.tobytes()
        yield response

    def camera() -> Any:
        time.sleep(0.02)
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8) if heights.count(HEIGHT // 2) < 3 else None

    server.script = slow_by_pixels
    results: list[Result] = []
    statistics = Statistics()
    transport = TransportOptions(server.address, model_name="graph")
    options = RunOptions(latency_budget=0.2, limit_stream_duration=30)
    summary = StreamClient(camera, results.append, transport, options=options, observers=[statistics]).run()
    assert (heights[0], heights[-1]) == (HEIGHT, HEIGHT // 2)
    assert summary.budget is not None
    assert (summary.budget.size, summary.budget.divisor) == ((WIDTH, HEIGHT), 2)
    assert "latency budget of 200 ms: sends 320x180 of 640x360, every frame" in summary.budget.line()
    for result in results:
        assert result.image.shape == (HEIGHT, WIDTH, 3)
        assert (result.image[: HEIGHT // 4 - 8] == (0, 255, 0)).all()
        assert not result.image[HEIGHT // 4 + 8 :].any()
    values = {sample.name: sample.value for family in Metrics([statistics]).collect() for sample in family.samples}
    assert values["stream_client_budget_side_ratio"] == 0.5
    assert values["stream_client_budget_frames_ratio"] == 1


def test_a_file_that_waits_for_its_results_has_no_budget(clip: Path, server: ScriptedServer) -> None:
    client = StreamClient(str(clip), [], server.address, options=RunOptions(latency_budget=0.025))
    with pytest.raises(ConfigurationError, match="waits for its results") as caught:
        client.run()
    assert caught.value.option == "realtime"


def test_steps_that_follow_one_another_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    budget = LatencyBudget(0.025, 960, clock=lambda: now)
    budget.begin(StreamInfo("camera", 1920, 1080, live=True), free_size=True)
    assert math.isnan(budget.snapshot().usual)
    with caplog.at_level(logging.WARNING):
        for frame in range(100):
            now = 0.1 + frame / 30
            latency = 0.2 / budget.divisor**2
            budget.delivered(Stamps(captured=now - latency, delivered=now))
    assert [record.message for record in caplog.records] == [
        "latency budget of 25 ms: sends 320x180 of 960x540, every frame; 9 in 10 results take 22 ms at most"
    ]
    assert budget.snapshot().changes == 2


def test_fewer_frames_are_evenly_spaced() -> None:
    now = 0.0
    budget = LatencyBudget(0.025, None, clock=lambda: now)
    budget.begin(StreamInfo("camera", 640, 480, live=True), free_size=False)
    assert not any(budget.leaves_out() for _ in range(5))
    for frame in range(20):
        now = frame / 30
        budget.delivered(Stamps(captured=now - (0.02 if frame % 2 else 0.03), delivered=now))
        if budget.snapshot().parts > 1:
            break
    assert (budget.divisor, budget.snapshot().parts) == (1, 2)
    assert budget.snapshot().asked() == "640x480, one frame in 2 (the others are left out)"
    assert [budget.leaves_out() for _ in range(4)] in ([True, False] * 2, [False, True] * 2)


@pytest.mark.parametrize("blur", [None, "faces"])
def test_frames_between_show_the_last_result_on_their_own_pixels(monkeypatch: pytest.MonkeyPatch, blur: Any) -> None:
    turns, numbers = count(), count()
    monkeypatch.setattr(LatencyBudget, "leaves_out", lambda self: next(turns) % 2 == 1)
    shown: list[Result] = []

    def model(request: Request) -> dict[str, Any]:
        value = int(request.inputs[0].array.reshape(-1)[0])
        return {"boxes": np.array([[10, 10, 20 + value, 20 + value]], np.float32)}

    def camera() -> Any:
        number = next(numbers)
        if number >= 20:
            return None
        if number % 2:  # so that the one before it is answered
            wait_until(lambda: len(shown) >= 1 + (number // 2) * (1 if blur else 2))
        return np.full((48, 64, 3), number, np.uint8)

    client = StreamClient(
        camera,
        shown.append,
        FakeTransport(model),
        options=RunOptions(latency_budget=60),
        detector=Boxes(),
        privacy=PrivacyOptions(blur=blur),
        label_names=["thing"],
    )
    summary = client.run()
    assert summary.ledger.entered == 20
    assert summary.budget is not None
    assert summary.budget.reuses == (blur is None)
    if blur:  # what is hidden may have moved
        assert summary.ledger.dropped == {"latency_budget": 10}
        assert not any(result.reused for result in shown)
        return
    assert [result.frame.index for result in shown] == list(range(20))
    assert [result.reused for result in shown] == [False, True] * 10
    assert summary.ledger.reused == 10
    for before, after in zip(shown[::2], shown[1::2], strict=True):
        assert before.detections is after.detections
        assert (after.image[40:, 50:] == after.frame.index).all()
        assert label_row(after)["reused"] is True
        assert after.time > before.time
