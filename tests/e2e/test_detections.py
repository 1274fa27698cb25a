"""The command line with a detector on the graph server."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from stream_client import StreamClient, TransportOptions
from stream_client.tracking import DetectionOptions, DetectionReader, full_masks
from tests.support.client import run_client
from tests.support.graph_server import graph_server_process


def write_detector(into: Path, second: float = 0.7) -> Path:
    """A detector that sees the same two things in every frame, in YOLO v10's layout. ``second``: the other's score."""
    image = ops.parameter([1, 3, 64, 64], np.float32, name="images")
    table = np.zeros((1, 20, 6), np.float32)
    table[0, :2] = [[8, 16, 24, 40, 0.9, 0], [32, 16, 48, 40, second, 1]]
    answer = ops.add(ops.constant(table), ops.multiply(ops.reduce_mean(image, [0, 1, 2, 3]), np.float32(0)))
    folder = into / "detector" / "1"
    folder.mkdir(parents=True)
    answer.output(0).get_tensor().set_names({"output0"})
    ov.save_model(ov.Model([answer], [image]), folder / "model.xml")
    return folder.parent


def write_segmenter(into: Path) -> Path:
    """A model of YOLO v8-seg's layout, of 64 x 64: its one thing, in a box at fixed places, is whatever is bright."""
    image = ops.parameter([1, 3, 64, 64], np.float32, name="images")
    bright = ops.reduce_mean(image, [1], keep_dims=True)
    cells = ops.avg_pool(bright, [4, 4], [0, 0], [0, 0], [4, 4], exclude_pad=False)
    logits = ops.multiply(ops.subtract(cells, np.float32(127)), np.float32(0.05))
    planes = ops.concat([logits, ops.constant(np.full((1, 31, 16, 16), 5, np.float32))], 1)
    table = np.zeros((1, 4 + 2 + 32, 84), np.float32)
    table[0, [0, 1, 2, 3, 4, 6], 0] = [32, 32, 64, 56, 0.9, 1]
    outputs = [ops.constant(table).output(0), planes.output(0)]
    for output, name in zip(outputs, ("output0", "output1"), strict=True):
        output.get_tensor().set_names({name})
    folder = into / "segmenter" / "1"
    folder.mkdir(parents=True)
    ov.save_model(ov.Model([ops.result(output) for output in outputs], [image]), folder / "model.xml")
    return folder.parent


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_detector(tmp_path)


def test_a_detector_is_read_and_followed(model: Path, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("person\nbicycle\n")
    with graph_server_process("--model_name", "detector", "--model_path", str(model)) as server:
        flags = ["--grpc_address", server.address, "--api", "unary", "--model_name", "detector"]
        flags += ["--input_stream", str(clip), "--labels_output", str(tmp_path / "labels.jsonl")]
        flags += ["--detections", "auto", "--tracker", "bytetrack", "--labels", str(tmp_path / "names.txt")]
        finished = run_client(*flags)
        assert finished.returncode == 0, finished.stderr
        rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
        assert len(rows) == 30
        for row in rows:
            assert [(one["class"], one["track"]) for one in row["detections"]] == [("person", 1), ("bicycle", 2)]
            # 64x48 on 64x64: 8 pixels of gray above.
            assert row["detections"][0]["box"] == [8, 8, 24, 32]
        refused = run_client(*flags, "--detections", "ssd")
    assert refused.returncode != 0
    assert "not of the layout ssd" in refused.stderr
    assert "--detections" in refused.stderr


def test_a_tracker_without_detections_is_refused(clip: Path) -> None:
    refused = run_client("--input_stream", str(clip), "--output_stream", "none", "--tracker", "bytetrack")
    assert refused.returncode == 2
    assert "--detections auto" in refused.stderr


def test_the_masks_of_a_segmentation_model_lie_on_what_it_saw(tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :128]
    things = [((x - middle) / 22) ** 2 + ((y - 48) / 26) ** 2 < 1 for middle in (40, 64, 80)]
    images = [np.repeat((thing * np.uint8(255))[..., None], 3, axis=2) for thing in things]
    detector = DetectionReader(DetectionOptions(detections="auto"), class_names=["blob", "other"])
    with graph_server_process("--model_name", "segmenter", "--model_path", str(write_segmenter(tmp_path))) as server:
        transport = TransportOptions(server.address, api="unary", model_name="segmenter")
        with StreamClient(images, transport=transport, detector=detector) as client:
            results = list(client)
    assert len(results) == len(things)
    for result, thing in zip(results, things, strict=True):
        assert result.detections is not None
        assert [result.detections.name(index) for index in range(len(result.detections))] == ["blob"]
        masks = full_masks(result.detections)
        assert masks is not None
        assert (masks[0] & thing).sum() / (masks[0] | thing).sum() > 0.85
        inside, outside = result.image[48, int(x[thing].mean())], result.image[20, 4]
        assert not np.array_equal(inside, [255, 255, 255])  # the mask is drawn
        np.testing.assert_array_equal(outside, [0, 0, 0])
