"""A graph like the one of OVMS's object detection demo, with a model made in the test, and its single nodes."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from graph_server.calculators import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.definition import parse_graph
from graph_server.models.config import ModelConfig
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from tests.support.graphs import run_graph

IMAGE = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
DEMO = """
  max_queue_size: 1
  input_stream: "IMAGE:input"
  output_stream: "IMAGE:output"
  node: {
    calculator: "ImageTransformationCalculator"
    input_stream: "IMAGE:input" output_stream: "IMAGE:small"
    node_options: { [type.googleapis.com/mediapipe.ImageTransformationCalculatorOptions] {
      output_width: 32 output_height: 32 } }
  }
  node {
    calculator: "OpenVINOConverterCalculator"
    input_stream: "IMAGE:small" output_stream: "TENSORS:image"
    node_options: { [type.googleapis.com/mediapipe.OpenVINOConverterCalculatorOptions] {
      enable_normalization: true zero_center: true } }
  }
  node {
    calculator: "OpenVINOModelServerSessionCalculator"
    output_side_packet: "SESSION:session"
    node_options: { [type.googleapis.com / mediapipe.OpenVINOModelServerSessionCalculatorOptions]: {
      servable_name: "detector" servable_version: "1" } }
  }
  node {
    calculator: "OpenVINOInferenceCalculator"
    input_side_packet: "SESSION:session"
    input_stream: "OVTENSORS:image" output_stream: "OVTENSORS2:tensors"
    node_options: { [type.googleapis.com / mediapipe.OpenVINOInferenceCalculatorOptions]: {
      input_order_list: ["image"] output_order_list: ["raw/boxes", "raw/scores"] } }
  }
  node {
    calculator: "SsdAnchorsCalculator"
    output_side_packet: "anchors"
    node_options: { [type.googleapis.com/mediapipe.SsdAnchorsCalculatorOptions] {
      num_layers: 1 min_scale: 0.5 max_scale: 0.5 input_size_height: 32 input_size_width: 32 strides: 16
      aspect_ratios: 1.0 interpolated_scale_aspect_ratio: 0 } }
  }
  node {
    calculator: "OpenVINOTensorsToDetectionsCalculator"
    input_stream: "TENSORS:tensors" input_side_packet: "ANCHORS:anchors" output_stream: "DETECTIONS:found"
    node_options: { [type.googleapis.com/mediapipe.OpenVINOTensorsToDetectionsCalculatorOptions] {
      num_classes: 3 num_boxes: 4 num_coords: 4 ignore_classes: 0 apply_exponential_on_box_size: true
      x_scale: 10.0 y_scale: 10.0 h_scale: 5.0 w_scale: 5.0 } }
  }
  node {
    calculator: "NonMaxSuppressionCalculator"
    input_stream: "found" output_stream: "best"
    node_options: { [type.googleapis.com/mediapipe.NonMaxSuppressionCalculatorOptions] {
      min_suppression_threshold: 0.4 min_score_threshold: 0.6 max_num_detections: 5
      overlap_type: INTERSECTION_OVER_UNION } }
  }
  node {
    calculator: "DetectionLabelIdToTextCalculator"
    input_stream: "best" output_stream: "named"
    node_options: { [type.googleapis.com/mediapipe.DetectionLabelIdToTextCalculatorOptions] {
      label: "nothing" label: "cat" label: "dog" } }
  }
  node {
    calculator: "DetectionsToRenderDataCalculator"
    input_stream: "DETECTIONS:named" output_stream: "RENDER_DATA:render_data"
    node_options: { [type.googleapis.com/mediapipe.DetectionsToRenderDataCalculatorOptions] {
      thickness: 1.0 color { r: 255 g: 0 b: 0 } } }
  }
  node {
    calculator: "AnnotationOverlayCalculator"
    input_stream: "IMAGE:small" input_stream: "render_data" output_stream: "IMAGE:output"
  }
"""


@pytest.fixture
def detector(tmp_path: Path) -> ModelRepository:
    """A model that gives the third of four boxes a score for class 2. Dark images give a high score."""
    image = op.parameter([1, 32, 32, 3], np.float32, name="image")
    darkness = op.multiply(op.reduce_mean(image, [0, 1, 2, 3], keep_dims=False), np.float32(-1))
    weights = np.zeros((1, 4, 3), np.float32)
    weights[0, :, 0] = 1
    weights[0, 2, 2] = 1
    scores = op.multiply(op.constant(weights), darkness)
    boxes = op.add(op.constant(np.zeros((1, 4, 4), np.float32)), op.multiply(darkness, np.float32(0)))
    results = [op.result(boxes), op.result(scores)]
    for result, name in zip(results, ("raw/boxes", "raw/scores"), strict=True):
        result.output(0).tensor.set_names({name})
    image.output(0).tensor.set_names({"image"})
    (tmp_path / "detector" / "1").mkdir(parents=True)
    ov.save_model(ov.Model(results, [image]), tmp_path / "detector" / "1" / "model.xml")
    return ModelRepository(Runtime(), (ModelConfig("detector", tmp_path / "detector"),))


def run_demo(text: str, models: ModelRepository, image: Any) -> Any:
    """The output image."""
    return run_graph(text, [("input", 1, image)], models=models)["output"][0][1]


def test_the_demo_graph_draws_the_detections_of_its_model(detector: ModelRepository) -> None:
    black = np.zeros((48, 64, 3), np.uint8)
    expected = np.zeros((32, 32, 3), np.uint8)
    # The third anchor is the center of the lower left quarter. The box is half as large as the image.
    cv2.putText(expected, "dog,1,", (0, round((0.5 + 0.05) * 32)), 0, (round(0.045 * 32) - 1) / 21, (255, 0, 0), 1)
    cv2.rectangle(expected, (0, 16, 16, 16), (255, 0, 0), 1)
    assert np.array_equal(run_demo(DEMO, detector, black), expected)


def test_the_demo_graph_draws_nothing_if_all_scores_are_too_low(detector: ModelRepository) -> None:
    gray = np.full((32, 32, 3), 127, np.uint8)
    assert np.array_equal(run_demo(DEMO, detector, gray), gray)


def test_the_error_for_a_tensor_that_does_not_fit_the_model_names_the_node(detector: ModelRepository) -> None:
    with pytest.raises(GraphError, match=r'"OpenVINOInferenceCalculator" failed: inference failed: .*'):
        run_demo(DEMO.replace("output_width: 32", "output_width: 16"), detector, IMAGE)


def test_a_wrong_number_of_coordinates_is_refused_at_load() -> None:
    with pytest.raises(ConfigError, match="OpenVINOTensorsToDetectionsCalculator: num_coords must be 4"):
        parse_graph(DEMO.replace("num_coords: 4", "num_coords: 5"), source="demo", registry=REGISTRY)


def converted(options: str, image: Any) -> Any:
    text = f"""
      input_stream: "a" output_stream: "b"
      node {{ calculator: "OpenVINOConverterCalculator" input_stream: "IMAGE:a" output_stream: "TENSORS:b"
              options {{ [mediapipe.OpenVINOConverterCalculatorOptions.ext] {{ {options} }} }} }}
    """
    tensor = run_graph(text, [("a", 1, image)])["b"][0][1][0]
    return tensor if isinstance(tensor, np.ndarray) else tensor.floats()


def test_a_converter_keeps_the_values_or_maps_them_to_a_range() -> None:
    floats = IMAGE.astype(np.float32)
    assert np.array_equal(converted("", IMAGE), IMAGE[None])
    assert np.array_equal(converted("flip_vertically: true", IMAGE), IMAGE[None])  # as in OVMS
    centered = floats[None] * np.float32(2 / 255) - 1
    assert np.allclose(converted("enable_normalization: true", IMAGE), centered, atol=1e-6)
    assert np.allclose(converted("enable_normalization: true", floats), centered, atol=1e-6)
    ranged = "enable_normalization: true output_tensor_float_range { min: 0 max: 1 } max_num_channels: 1"
    assert np.allclose(converted(ranged, IMAGE), floats[None, :, :, :1] / 255, atol=1e-6)
    custom = "enable_normalization: true use_custom_normalization: true custom_div: 127.5 custom_sub: 1"
    assert np.allclose(converted(custom + " flip_vertically: true", IMAGE), centered[:, ::-1], atol=1e-6)
    with pytest.raises(GraphError, match="Only byte-based"):
        converted("enable_normalization: true", IMAGE.astype(np.uint16))
    with pytest.raises(ConfigError, match="max_num_channels 2 is not 1, 3 or 4"):
        converted("max_num_channels: 2", IMAGE)


def transformed(options: str, image: Any = IMAGE) -> tuple[Any, Any]:
    text = f"""
      input_stream: "a" output_stream: "b" output_stream: "c"
      node {{ calculator: "ImageTransformationCalculator" input_stream: "IMAGE:a" output_stream: "IMAGE:b"
              output_stream: "LETTERBOX_PADDING:c"
              options {{ [mediapipe.ImageTransformationCalculatorOptions.ext] {{ {options} }} }} }}
    """
    out = run_graph(text, [("a", 1, image)])
    padding = out["c"][0][1]
    return out["b"][0][1], (padding.left, padding.top, padding.right, padding.bottom)


def test_an_image_is_stretched_or_fitted_into_a_size() -> None:
    area = cv2.resize(IMAGE, (20, 10), interpolation=cv2.INTER_AREA)
    assert np.array_equal(transformed("output_width: 20 output_height: 10")[0], area)
    larger = cv2.resize(IMAGE, (80, 40), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(transformed("output_width: 80 output_height: 40")[0], larger)
    nearest = cv2.resize(IMAGE, (20, 10), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(transformed("output_width: 20 output_height: 10 interpolation_mode: NEAREST")[0], nearest)
    fit = "output_width: 40 output_height: 60 scale_mode: FIT"
    image, padding = transformed(fit + " padding_color { red: 9 green: 8 blue: 7 }")
    assert np.array_equal(image[15:45], IMAGE)
    assert image[0, 0].tolist() == [9, 8, 7]
    assert padding == pytest.approx((0, 0.25, 0, 0.25))
    assert np.array_equal(transformed(fit + " constant_padding: false")[0][:15], np.repeat(IMAGE[:1], 15, axis=0))
    assert transformed("output_width: 80 output_height: 30 scale_mode: FIT")[1] == pytest.approx((0.25, 0, 0.25, 0))
    cropped, none = transformed("output_width: 20 output_height: 60 scale_mode: FILL_AND_CROP")
    assert cropped.shape == (15, 20, 3)
    assert none == (0, 0, 0, 0)


def test_an_image_is_rotated_and_mirrored() -> None:
    assert np.array_equal(transformed("")[0], IMAGE)
    assert np.array_equal(transformed("rotation_mode: ROTATION_90")[0], np.rot90(IMAGE))
    assert np.array_equal(transformed("rotation_mode: ROTATION_270")[0], np.rot90(IMAGE, 3))
    # MediaPipe rotates half a pixel from the middle, so a border appears.
    half = transformed("rotation_mode: ROTATION_180")[0]
    assert np.array_equal(half[1:, 1:], IMAGE[:0:-1, :0:-1])
    assert not half[0].any()
    for options, turn in (
        ("flip_horizontally: true", np.s_[:, ::-1]),
        ("flip_vertically: true", np.s_[::-1]),
        ("flip_vertically: true flip_horizontally: true", np.s_[::-1, ::-1]),
    ):
        assert np.array_equal(transformed(options)[0], IMAGE[turn]), options
    gray = IMAGE[:, :, :1]
    assert transformed("output_width: 20 output_height: 10 flip_vertically: true", gray)[0].shape == (10, 20, 1)
