"""Detection nodes: anchors, decoding, suppression, regions, and a comparison with the fused subgraph."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from graph_server.calculators import REGISTRY
from graph_server.calculators.boxes import Detection, suppressed
from graph_server.cli.landmarks import default_models
from graph_server.errors import ConfigError
from graph_server.graph.calculator import Calculator, Registry
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.holistic.crops import Padding
from graph_server.holistic.regions import Region
from graph_server.holistic.ssd import POSE_DETECTOR, anchor_centers
from tests.conftest import shared
from tests.support.graphs import run_graph, simple_registry

SIZE = (640, 480)
POSE_ANCHORS = """
  num_layers: 5 min_scale: 0.1484375 max_scale: 0.75 input_size_height: 224 input_size_width: 224
  strides: 8 strides: 16 strides: 32 strides: 32 strides: 32 aspect_ratios: 1.0
"""


def _anchors(options: str) -> Any:
    node = f"""
      node {{ calculator: "SsdAnchorsCalculator" output_side_packet: "anchors"
              options {{ [mediapipe.SsdAnchorsCalculatorOptions.ext] {{ {options} }} }} }}
      node {{ calculator: "Keep" input_side_packet: "ANCHORS:anchors" input_stream: "a" output_stream: "b" }}
    """
    registry = simple_registry()
    kept = []

    @registry.register("Keep")
    class Keep(Calculator):
        def open(self, side_packets: Any) -> Any:
            kept.append(side_packets["ANCHORS"])
            return {}

    run_graph('input_stream: "a" output_stream: "b"' + node, [], registry=registry)
    return kept[0]


def test_anchors_with_a_fixed_size_equal_those_of_the_fused_detector() -> None:
    anchors = _anchors(POSE_ANCHORS + "fixed_anchor_size: true")
    assert anchors[:, :2] == pytest.approx(anchor_centers(POSE_DETECTOR.side, POSE_DETECTOR.strides))
    assert (anchors[:, 2:] == 1).all()


def test_anchors_grow_with_the_layer_and_have_the_aspect_ratios_of_the_options() -> None:
    anchors = _anchors(
        "num_layers: 2 min_scale: 0.2 max_scale: 0.8 input_size_height: 64 input_size_width: 32 strides: 16 "
        "strides: 32 aspect_ratios: 1.0 aspect_ratios: 4.0 interpolated_scale_aspect_ratio: 0"
    )
    assert len(anchors) == (4 * 2 + 2 * 1) * 2
    assert anchors[:2].tolist() == pytest.approx(np.array([[0.25, 0.125, 0.2, 0.2], [0.25, 0.125, 0.4, 0.1]]))
    assert anchors[-1].tolist() == pytest.approx([0.5, 0.75, 1.6, 0.4])


DECODE = """
  input_side_packet: "anchors" input_stream: "tensors" output_stream: "found"
  node {{ calculator: "TensorsToDetectionsCalculator" input_stream: "TENSORS:tensors" output_stream: "DETECTIONS:found"
         input_side_packet: "ANCHORS:anchors" options {{ [mediapipe.TensorsToDetectionsCalculatorOptions.ext] {{
           num_classes: 2 num_boxes: 3 num_coords: 6 keypoint_coord_offset: 4 num_keypoints: 1
           x_scale: 10 y_scale: 20 w_scale: 10 h_scale: 20 min_score_thresh: 0.5 {} }} }} }}
"""


@pytest.mark.parametrize(
    ("options", "box", "keypoint", "labels"),
    [
        ("reverse_output_order: true", [0.4, 0.425, 0.8, 0.675], [0.7, 0.6], [1, 0]),
        ("box_format: XYWH", [0.4, 0.425, 0.8, 0.675], [0.7, 0.6], [1, 0]),
        ("", [0.35, 0.45, 0.85, 0.65], [0.7, 0.6], [1, 0]),
        ("reverse_output_order: true flip_vertically: true", [0.4, 0.325, 0.8, 0.575], [0.7, 0.4], [1, 0]),
        ("reverse_output_order: true ignore_classes: 0", [0.4, 0.425, 0.8, 0.675], [0.7, 0.6], [1]),
        ("reverse_output_order: true max_results: 1", [0.4, 0.425, 0.8, 0.675], [0.7, 0.6], [1]),
    ],
)
def test_boxes_with_any_order_of_coordinates_are_decoded(
    options: str, box: list[float], keypoint: list[float], labels: list[int]
) -> None:
    anchors = np.array([[0.5, 0.5, 1, 1]] * 3, np.float32)
    boxes = np.array([[[1, 1, 4, 5, 2, 2], [0, 0, 1, 1, 0, 0], [0, 0, -1, 1, 0, 0]]], np.float32)
    scores = np.array([[[0.1, 0.9], [0.6, 0.2], [0.9, 0.9]]], np.float32)
    out = run_graph(DECODE.format(options), [("tensors", 1, [boxes, scores])], side_packets={"anchors": anchors})
    (found,) = (value for _, value in out["found"])
    assert [detection.label for detection in found] == labels  # the third has a negative width
    assert found[0].box == pytest.approx(np.array(box), abs=1e-6)
    assert found[0].keypoints[0] == pytest.approx(np.array(keypoint), abs=1e-6)
    assert found[0].score == pytest.approx(0.9)


def _detection(left: float, score: float) -> Detection:
    box = np.array([left, 0.0, left + 0.2, 0.2], np.float32)
    return Detection(box, score, 0, np.array([[left, left]], np.float32))


def test_overlapping_detections_become_the_best_one_or_an_average() -> None:
    given = [_detection(0.0, 0.5), _detection(0.02, 1.0), _detection(0.6, 0.7)]
    plain = suppressed(given, threshold=0.3, overlap=3, weighted=False, min_score=-1, most=-1)
    assert plain == [given[1], given[2]]
    weighted = suppressed(given, threshold=0.3, overlap=3, weighted=True, min_score=-1, most=-1)
    assert [detection.score for detection in weighted] == [1.0, pytest.approx(0.7)]
    assert weighted[0].keypoints[0, 0] == pytest.approx((0.0 * 0.5 + 0.02 * 1.0) / 1.5)
    assert weighted[0].box[2] == pytest.approx((0.2 * 0.5 + 0.22 * 1.0) / 1.5)
    assert suppressed(given, threshold=0.3, overlap=3, weighted=False, min_score=-1, most=1) == [given[1]]
    assert suppressed(given, threshold=0.3, overlap=3, weighted=False, min_score=0.8, most=-1) == [given[1]]
    assert suppressed(given, threshold=0.95, overlap=3, weighted=False, min_score=-1, most=-1) == [
        given[1], given[2], given[0],
    ]  # fmt: skip


NMS = """
  input_stream: "a" output_stream: "b"
  node { calculator: "NonMaxSuppressionCalculator" input_stream: "a" output_stream: "b"
         options { [mediapipe.NonMaxSuppressionCalculatorOptions.ext] { %s } } }
"""


def test_no_detection_gives_no_packet_or_an_empty_list_if_the_options_want_it() -> None:
    assert run_graph(NMS % "", [("a", 1, [])]) == {}
    assert run_graph(NMS % "return_empty_detections: true", [("a", 1, [])])["b"] == [(1, [])]


def test_letterbox_removal_makes_a_detection_relative_to_the_crop_without_bars() -> None:
    text = """
      input_stream: "a" input_stream: "bars" output_stream: "b"
      node { calculator: "DetectionLetterboxRemovalCalculator" input_stream: "DETECTIONS:a"
             input_stream: "LETTERBOX_PADDING:bars" output_stream: "DETECTIONS:b" }
    """
    out = run_graph(text, [("a", 1, [_detection(0.25, 1.0)]), ("bars", 1, Padding(0.25, 0.0, 0.25, 0.0))])
    (detection,) = out["b"][0][1]
    assert detection.box.tolist() == pytest.approx([0.0, 0.0, 0.4, 0.2])
    assert detection.keypoints[0].tolist() == pytest.approx([0.0, 0.25])


LANDMARKS_TO_RECT = """
  input_stream: "landmarks" input_stream: "size" output_stream: "rect"
  node { calculator: "LandmarksToDetectionCalculator" input_stream: "NORM_LANDMARKS:landmarks"
         output_stream: "DETECTION:detection"
         options { [mediapipe.LandmarksToDetectionCalculatorOptions.ext] { selected_landmark_indices: [0, 2] } } }
  node { calculator: "DetectionsToRectsCalculator" input_stream: "DETECTION:detection" input_stream: "IMAGE_SIZE:size"
         output_stream: "NORM_RECT:box" options { [mediapipe.DetectionsToRectsCalculatorOptions.ext] {
           rotation_vector_start_keypoint_index: 0 rotation_vector_end_keypoint_index: 1
           rotation_vector_target_angle_degrees: 90 %s } } }
  node { calculator: "RectTransformationCalculator" input_stream: "NORM_RECT:box" input_stream: "IMAGE_SIZE:size"
         output_stream: "rect" options { [mediapipe.RectTransformationCalculatorOptions.ext] {
           scale_x: 1.5 scale_y: 1.5 shift_y: -0.1 square_long: true } } }
"""


@pytest.mark.parametrize("mode", ["", "conversion_mode: USE_KEYPOINTS"])
def test_landmarks_give_the_same_region_as_in_the_fused_subgraphs(mode: str) -> None:
    landmarks = np.array([[0.2, 0.3, 0, 0, 0], [0.9, 0.9, 0, 0, 0], [0.4, 0.6, 0, 0, 0]], np.float32)
    out = run_graph(LANDMARKS_TO_RECT % mode, [("landmarks", 1, landmarks), ("size", 1, SIZE)])
    angle = float(np.pi / 2 - np.arctan2(-0.3 * 480, 0.2 * 640))
    expected = Region(0.3, 0.45, 0.2, 0.3, angle).transformed(SIZE, scale=1.5, shift_y=-0.1)
    (rect,) = (value for _, value in out["rect"])
    for name in ("x_center", "y_center", "width", "height"):
        assert getattr(rect, name) == pytest.approx(getattr(expected, name), abs=1e-6)
    assert np.cos(rect.rotation) == pytest.approx(np.cos(expected.rotation))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ('calculator: "RectTransformationCalculator" input_stream: "IMAGE_SIZE:a" output_stream: "b"',
         "either NORM_RECT"),
        ('calculator: "AlignmentPointsRectsCalculator" input_stream: "DETECTION:a" output_stream: "NORM_RECT:b"',
         "indices of two keypoints"),
        ('calculator: "TensorsToDetectionsCalculator" input_stream: "TENSORS:a" output_stream: "DETECTIONS:b"',
         "needs num_classes"),
        ('calculator: "LandmarksSmoothingCalculator" input_stream: "NORM_LANDMARKS:a" '
         'output_stream: "NORM_FILTERED_LANDMARKS:b"', "needs IMAGE_SIZE"),
        ('calculator: "ColorConvertCalculator" input_stream: "RGB_IN:a" output_stream: "RGB_OUT:b"',
         "RGBA_IN to RGB_OUT"),
        ('calculator: "PoseLandmarksToRoi" input_stream: "DETECTION:a" input_stream: "IMAGE_SIZE:a" '
         'output_stream: "ROI:b"', "needs input streams LANDMARKS and IMAGE_SIZE"),
    ],
)  # fmt: skip
def test_nodes_that_cannot_work_are_refused_at_load(node: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        parse_graph(f'input_stream: "a" output_stream: "b" node {{ {node} }}', source="t", registry=REGISTRY)


POSE = """
  input_stream: "IMAGE:image" output_stream: "fused" output_stream: "roi" output_stream: "detections"
  node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE:image" output_stream: "SIZE:size" }
  node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:fused_detections" }
  node { calculator: "SplitDetectionVectorCalculator" input_stream: "fused_detections" output_stream: "fused_detection"
         options { [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 1 } element_only: true } } }
  node { calculator: "PoseDetectionToRoi" input_stream: "DETECTION:fused_detection" input_stream: "IMAGE_SIZE:size"
         output_stream: "ROI:fused" }

  node { calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:input"
         output_stream: "LETTERBOX_PADDING:bars" options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
           output_tensor_width: 224 output_tensor_height: 224 keep_aspect_ratio: true
           output_tensor_float_range { min: -1.0 max: 1.0 } border_mode: BORDER_ZERO } } }
  node { calculator: "OpenVINOModelServerSessionCalculator" output_side_packet: "SESSION:session"
         node_options { [type.googleapis.com/mediapipe.OpenVINOModelServerSessionCalculatorOptions] {
           servable_name: "pose_detection" } } }
  node { calculator: "OpenVINOInferenceCalculator" input_side_packet: "SESSION:session"
         input_stream: "TENSORS:input" output_stream: "TENSORS:output"
         node_options { [type.googleapis.com/mediapipe.OpenVINOInferenceCalculatorOptions] {
           output_order_list: ["Identity", "Identity_1"] input_order_list: ["input_1"] } } }
  node { calculator: "SsdAnchorsCalculator" output_side_packet: "anchors"
         options { [mediapipe.SsdAnchorsCalculatorOptions.ext] { ANCHORS fixed_anchor_size: true } } }
  node { calculator: "TensorsToDetectionsCalculator" input_stream: "TENSORS:output"
         input_side_packet: "ANCHORS:anchors" output_stream: "DETECTIONS:unfiltered"
         options { [mediapipe.TensorsToDetectionsCalculatorOptions.ext] {
           num_classes: 1 num_boxes: 2254 num_coords: 12 keypoint_coord_offset: 4 num_keypoints: 4 sigmoid_score: true
           score_clipping_thresh: 100.0 reverse_output_order: true x_scale: 224.0 y_scale: 224.0 h_scale: 224.0
           w_scale: 224.0 min_score_thresh: 0.5 } } }
  node { calculator: "NonMaxSuppressionCalculator" input_stream: "unfiltered" output_stream: "filtered"
         options { [mediapipe.NonMaxSuppressionCalculatorOptions.ext] {
           min_suppression_threshold: 0.3 overlap_type: INTERSECTION_OVER_UNION algorithm: WEIGHTED } } }
  node { calculator: "DetectionLetterboxRemovalCalculator" input_stream: "DETECTIONS:filtered"
         input_stream: "LETTERBOX_PADDING:bars" output_stream: "DETECTIONS:detections" }
  node { calculator: "SplitDetectionVectorCalculator" input_stream: "detections" output_stream: "detection"
         options { [mediapipe.SplitVectorCalculatorOptions.ext] { ranges { begin: 0 end: 1 } element_only: true } } }
  node { calculator: "AlignmentPointsRectsCalculator" input_stream: "DETECTION:detection"
         input_stream: "IMAGE_SIZE:size" output_stream: "NORM_RECT:raw_roi"
         options { [mediapipe.DetectionsToRectsCalculatorOptions.ext] { rotation_vector_start_keypoint_index: 0
           rotation_vector_end_keypoint_index: 1 rotation_vector_target_angle_degrees: 90 } } }
  node { calculator: "RectTransformationCalculator" input_stream: "NORM_RECT:raw_roi" input_stream: "IMAGE_SIZE:size"
         output_stream: "roi" options { [mediapipe.RectTransformationCalculatorOptions.ext] {
           scale_x: 1.25 scale_y: 1.25 square_long: true } } }
""".replace("ANCHORS fixed", POSE_ANCHORS + "fixed")


def test_single_nodes_detect_the_same_poses_as_the_subgraph(models_dir: Path) -> None:
    with av.open(str(shared("clips/sign-again.mkv"))) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    registry: Registry = REGISTRY
    graph = Graph(parse_graph(POSE, source="pose", registry=registry), registry, default_models(models_dir))
    out: dict[str, list[Any]] = {}
    graph.start({}, lambda name, value, timestamp: out.setdefault(name, []).append((timestamp, value)))
    try:
        graph.add_packet("image", frame, 1)
        graph.add_packet("image", np.zeros_like(frame), 2)  # no person in this frame
        graph.close_inputs()
        graph.wait_until_done()
    finally:
        graph.cancel()
    assert [timestamp for timestamp, _ in out["roi"]] == [timestamp for timestamp, _ in out["fused"]] == [1]
    found, expected = out["roi"][0][1], out["fused"][0][1]
    for name in ("x_center", "y_center", "width", "height", "rotation"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-5)
    ((_, (detection,)),) = out["detections"]
    assert detection.score > 0.5
    assert 0 <= detection.box[0] < detection.box[2] <= 1
