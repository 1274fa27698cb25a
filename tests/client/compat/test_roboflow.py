"""Roboflow's stream with a program's own models."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.compat import roboflow_models
from stream_client.compat.roboflow import Stream
from stream_client.errors import ConfigurationError, ProtocolError
from tests.support.video import write_video

Seen = list[tuple[dict[str, Any], npt.NDArray[np.uint8]]]


class Brightness:
    """A model as Roboflow's: preprocess, predict, postprocess."""

    def __init__(self) -> None:
        self.thresholds: dict[str, Any] = {}
        self.frames = 0

    def preprocess(self, image: npt.NDArray[np.uint8]) -> tuple[float, tuple[int, ...]]:
        self.frames += 1
        return float(image.mean()), image.shape[:2]

    def predict(self, prepared: float) -> float:
        return prepared / 255

    def postprocess(self, predictions: float, size: tuple[int, ...], **thresholds: Any) -> list[dict[str, Any]]:
        self.thresholds = thresholds
        return [{"predictions": [{"class": "light", "confidence": predictions}], "size": size}]


def test_an_object_with_predict_and_postprocess_is_a_model(clip: Path) -> None:
    events: list[str] = []
    seen: Seen = []
    model = Brightness()
    Stream(
        source=str(clip),
        model=model,
        confidence=0.7,
        max_detections=5,
        use_main_thread=True,
        on_prediction=lambda predictions, frame: seen.append((predictions, frame)),
        on_start=lambda: events.append("start"),
        on_stop=lambda: events.append("stop"),
    )
    assert events == ["start", "stop"]
    assert [predictions["frame_id"] for predictions, _ in seen] == list(range(30))
    assert seen[0][0]["image"] == {"width": 64, "height": 48}
    assert seen[0][0]["size"] == (48, 64)
    assert model.frames == 31  # a frame before the run
    assert model.thresholds["confidence"] == 0.7
    assert model.thresholds["max_detections"] == 5


def test_a_function_gets_frames_in_the_order_that_it_asks_for(clip: Path) -> None:
    seen: Seen = []
    asked: list[npt.NDArray[np.uint8]] = []
    Stream(
        source=str(clip),
        model=lambda image: asked.append(image) or {"predictions": []},  # type: ignore[func-returns-value]
        output_channel_order="BGR",
        use_main_thread=True,
        on_prediction=lambda predictions, frame: seen.append((predictions, frame)),
    )
    np.testing.assert_array_equal(asked[1], seen[0][1])
    assert len(seen) == 30


def test_the_environment_names_what_the_program_leaves_out(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STREAM_ID": str(clip), "CONFIDENCE": "0.8", "CLASS_AGNOSTIC_NMS": "true"}.items():
        monkeypatch.setenv(name, value)
    stream = Stream(model=lambda image: {}, use_main_thread=True)
    assert stream.options.confidence == 0.8
    assert stream.options.class_agnostic_nms
    assert stream.frame_count == 30
    monkeypatch.setenv("CONFIDENCE", "high")
    with pytest.raises(ConfigurationError, match="CONFIDENCE=high"):
        Stream(model=lambda image: {})


def test_a_source_or_model_that_nobody_names_is_a_value_error(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAM_ID", raising=False)
    monkeypatch.delenv("MODEL_ID", raising=False)
    with pytest.raises(ValueError, match="STREAM_ID is not defined"):
        Stream(model=lambda image: {})
    with pytest.raises(ValueError, match="MODEL_ID is not defined"):
        Stream(source=str(clip))
    with pytest.raises(ConfigurationError, match="int is no model"):
        Stream(source=str(clip), model=3)


def test_a_stream_beside_the_main_thread_ends_when_it_is_stopped() -> None:
    first = threading.Event()
    stream = Stream(source="testsrc:160x120@30", model=lambda image: {}, on_prediction=lambda *_: first.set())
    unsubscribe = stream.on_prediction(lambda *_: None)
    unsubscribe()
    assert first.wait(20)
    assert not stream.stop
    stream.stop = True
    assert stream.wait().ledger.delivered >= 1
    assert stream.stop


def test_a_callback_that_raises_does_not_end_the_stream(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise KeyError("mine")

    stream = Stream(source=str(clip), model=lambda image: {}, use_main_thread=True, on_prediction=broken)
    assert stream.frame_count == 30
    assert "KeyError" in caplog.text


def test_several_clips_may_run_at_once(tmp_path: Path) -> None:
    streams = [
        Stream(source=str(write_video(tmp_path / f"{number}.mp4", frames=20)), model=lambda image: {})
        for number in range(3)
    ]
    assert [stream.wait().ledger.delivered for stream in streams] == [20, 20, 20]


def test_a_function_that_fails_on_the_first_frame_is_one_line(clip: Path) -> None:
    with pytest.raises(ProtocolError, match="the model function failed on the black frame before the run: KeyError"):
        Stream(source=str(clip), model=lambda image: os.environ["NO_SUCH_BOXES"])


def test_a_stream_that_cannot_begin_leaves_no_server_behind(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(roboflow_models.ServableModel, "warm_up", lambda self: None)
    monkeypatch.setattr(roboflow_models.ServableModel, "close", lambda self: closed.append(True))
    with pytest.raises(ConfigurationError, match="camera's number"):
        Stream(source=-1, model="passThrough")
    assert closed == [True]
