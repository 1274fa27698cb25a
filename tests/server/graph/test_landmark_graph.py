"""The graph that gives landmarks as tensors, and the small models in it."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from graph_server.assets import ensure_clip
from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import GRAPH_KERNEL, LandmarkExtractor, default_models
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.holistic.pose import landmarks_of_tensor, refined
from graph_server.models.repository import ModelRepository
from graph_server.resources import project_file
from kserve_wire.openvino_core import new_core
from stream_client.frames import Tensor
from stream_client.landmarks.decoder import LandmarkDecoder, coordinate_image
from tests.conftest import shared
from tests.support.graphs import run_graph

Values = dict[int, dict[str, Any]]
SIZES = {"pose": 1081, "left_hand": 832, "right_hand": 832, "face": 2173}


def frames(path: Path, start: int, count: int) -> list[tuple[Any, int]]:
    with av.open(str(path)) as container:
        found = []
        for index, frame in enumerate(container.decode(video=0)):
            if index >= start + count:
                break
            if index >= start:
                found.append((frame.to_ndarray(format="rgb24"), index * 33_333))
        return found


def run(models: ModelRepository, inputs: list[tuple[Any, int]], name: str = "holistic_landmarks") -> Values:
    text = project_file(f"graphs/{name}/graph.pbtxt").read_text()
    graph = Graph(parse_graph(text, source="landmarks", registry=REGISTRY), REGISTRY, models)
    found: Values = {}
    graph.start({}, lambda name, value, timestamp: found.setdefault(timestamp, {}).__setitem__(name, value))
    try:
        for image, timestamp in inputs:
            graph.add_packet("first_input_video", image, timestamp)
            graph.add_packet("coordinates", coordinate_image(image.shape[1], image.shape[0]), timestamp)
        graph.close_inputs()
        graph.wait_until_done()
    finally:
        graph.cancel()
    return found


@pytest.fixture(scope="module")
def models(models_dir: Path) -> ModelRepository:
    return default_models(models_dir)


@pytest.mark.parametrize(("clip", "start"), [("sign-again.mkv", 10), (None, 90)])
def test_the_client_gets_the_same_landmarks_that_the_server_draws(
    models: ModelRepository, clip: str | None, start: int
) -> None:
    path = ensure_clip() if clip is None else shared(f"clips/{clip}")
    inputs = frames(path, start, 12)
    size = (inputs[0][0].shape[1], inputs[0][0].shape[0])
    diagonal = float(np.hypot(*size))
    extractor = LandmarkExtractor(models, kernel=GRAPH_KERNEL)
    for image, timestamp in inputs:
        extractor.process(image, timestamp)
    expected = extractor.finish()
    found = run(models, inputs)
    decoder = LandmarkDecoder()
    seen = 0
    for _, timestamp in inputs:
        outputs = {name: Tensor(name, "FP32", found[timestamp][name]) for name in SIZES}
        landmarks = decoder.decode(outputs, size, size, timestamp)
        there = expected.get(timestamp, {})
        assert (landmarks is None) == ("pose" not in there)
        if landmarks is None:
            continue
        seen += 1
        for part in SIZES:
            points = getattr(landmarks, part)
            assert (points is None) == (part not in there)
            if points is not None:
                apart = np.linalg.norm((points[:, :2] - there[part][:, :2]) * size, axis=1) / diagonal
                assert np.median(apart) < 0.001
                assert apart.max() < 0.01
        np.testing.assert_allclose(landmarks.pose[:, 3], there["pose"][:, 3], atol=1e-5)
        np.testing.assert_allclose(landmarks.pose_world, there["pose_world"][:, :3], atol=0.01)
    assert seen >= 10


@pytest.mark.parametrize(("wanted", "same"), [(False, True), (True, False)])
def test_side_packets_make_the_graph_detect_the_pose_in_every_frame(
    models: ModelRepository, wanted: bool, same: bool
) -> None:
    text = f"""
      input_stream: "IMAGE:image" output_stream: "pose" output_stream: "world"
      node {{ calculator: "ConstantSidePacketCalculator" output_side_packet: "PACKET:wanted" options {{
              [mediapipe.ConstantSidePacketCalculatorOptions.ext] {{ packet {{ bool_value: {wanted} }} }} }} }}
      node {{ calculator: "HolisticLandmarkCpu" input_stream: "IMAGE:image"
              input_side_packet: "SMOOTH_LANDMARKS:wanted" input_side_packet: "USE_PREV_LANDMARKS:wanted"
              output_stream: "POSE_LANDMARKS:pose" output_stream: "WORLD_LANDMARKS:world" }}
    """
    packets = [("image", timestamp, image) for image, timestamp in frames(ensure_clip(), 96, 4)]
    whole, last = (run_graph(text, some, models=models) for some in (packets, packets[-1:]))
    for stream in ("pose", "world"):
        assert np.array_equal(whole[stream][-1][1], last[stream][-1][1]) == same


def test_frames_without_a_person_have_zeros_for_every_part(models: ModelRepository) -> None:
    gray = np.full((96, 128, 3), 100, np.uint8)
    found = run(models, [(gray, index * 40_000) for index in range(3)])
    assert len(found) == 3
    for outputs in found.values():
        assert outputs.keys() == {"output", "label_scores", *SIZES}
        for part, width in SIZES.items():
            assert outputs[part].shape == (1, width)
            assert not outputs[part].any()


def test_the_graph_of_the_pose_alone_gives_the_same_pose_to_the_last_bit(models: ModelRepository) -> None:
    inputs = frames(ensure_clip(), 90, 10)  # nobody at first
    gray = np.full_like(inputs[0][0], 100)
    inputs[5:5] = [(gray, inputs[4][1] + 10_000)]
    whole, alone = run(models, inputs), run(models, inputs, "holistic_pose")
    assert alone.keys() == whole.keys() == {timestamp for _, timestamp in inputs}
    assert sum(bool(found["pose"].any()) for found in alone.values()) >= 5
    for timestamp, found in alone.items():
        assert found.keys() == {"pose"}
        np.testing.assert_array_equal(found["pose"], whole[timestamp]["pose"])


def test_the_model_refines_the_pose_by_the_heat_map_like_the_calculator() -> None:
    path = project_file("models/pose_points/1/pose_points.onnx")
    model = new_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rng = np.random.default_rng(0)
    for _ in range(5):
        tensor = rng.uniform(-20, 280, (1, 195)).astype(np.float32)
        heat = rng.normal(-3, 2, (1, 64, 64, 39)).astype(np.float32)
        world = rng.normal(0, 1, (1, 117)).astype(np.float32)
        crop = rng.uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
        inputs = {"landmarks": tensor, "heatmap": heat, "world": world, "presence": np.ones((1, 1)), "crop": crop}
        row = model(inputs)[0][0]
        expected = refined(landmarks_of_tensor(tensor), heat)
        np.testing.assert_allclose(row[:195].reshape(39, 5)[:, :2] / 256, expected[:, :2], atol=2e-6)
        np.testing.assert_array_equal(row[195:312], world[0])
        assert row[312] == 1
        np.testing.assert_array_equal(row[313:], crop.ravel())
