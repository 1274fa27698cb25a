"""Detections of a running stream: results, labels file, the frame."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream_client import (
    BadInputError,
    LabelsSink,
    Request,
    Result,
    Servable,
    Session,
    SinkLike,
    StreamClient,
    TensorSpec,
)
from stream_client.testing import FakeTransport
from stream_client.tracking import ByteTrack, DetectionReader
from stream_client.transport.image_format import image_format

IMAGES, BOXES = TensorSpec("images", "FP32", (1, 3, 96, 96)), TensorSpec("output0", "FP32", (1, 20, 6))
SERVABLE = Servable("yolo", "", (IMAGES,), (BOXES,))


def bright_square(request: Request) -> dict[str, np.ndarray]:
    """A detector that finds the bright square, as YOLO v10 would say it."""
    image = request.inputs[0].array
    assert image.shape == (1, 3, 96, 96)
    rows, columns = np.nonzero(image[0, 0] > 200)
    table = np.zeros((1, 20, 6), np.float32)
    table[0, 0] = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9, 1]
    return {"output0": table}


def moving_square(count: int) -> list[np.ndarray]:
    images = []
    for index in range(count):
        image = np.zeros((96, 192, 3), np.uint8)
        image[20:60, 20 + 4 * index : 60 + 4 * index] = 255
        images.append(image)
    return images


def session() -> Session:
    format_ = image_format(SERVABLE, input_name=None, layout=None, datatype=None)
    return Session(FakeTransport(bright_square), SERVABLE, format_)


def test_a_square_is_followed_over_frames_that_are_larger_than_the_model(tmp_path: Path) -> None:
    results: list[Result] = []
    detector = DetectionReader(class_names=("circle", "square"), tracker=ByteTrack())
    sinks: list[SinkLike] = [results.append, LabelsSink(tmp_path / "labels.jsonl")]
    assert StreamClient(moving_square(10), sinks, session(), detector=detector).run().ledger.delivered == 10
    for index, result in enumerate(results):
        assert result.detections is not None
        np.testing.assert_allclose(result.detections.boxes, [[20 + 4 * index, 20, 60 + 4 * index, 60]], atol=4)
        assert result.detections.track_ids is not None
        assert result.detections.track_ids.tolist() == [1]
        assert not np.array_equal(result.image, result.frame.image)  # the box is drawn
    (last,) = json.loads((tmp_path / "labels.jsonl").read_text().splitlines()[-1])["detections"]
    assert (last["class"], last["track"], last["score"]) == ("square", 1, 0.9)
    assert last["box"] == pytest.approx([56, 20, 96, 60], abs=4)


def test_thresholds_change_while_it_runs() -> None:
    detector = DetectionReader()
    found = []

    def take(result: Result) -> None:
        assert result.detections is not None
        found.append(len(result.detections))

    with StreamClient(iter(moving_square(20)), (), session(), detector=detector) as client:
        for result in client:
            take(result)
            if result.frame.index == 5:
                detector.options = replace(detector.options, confidence=0.95)
    assert found[0] == 1
    assert found[-1] == 0


def test_without_a_detector_the_size_is_refused_as_before() -> None:
    with pytest.raises(BadInputError, match="takes images of 96x96"):
        StreamClient(moving_square(1), (), session()).run()
