"""Drawing of landmarks, regions and detections, by single nodes and by the holistic renderer."""

import itertools
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from graph_server.calculators import REGISTRY
from graph_server.calculators.boxes import Detection
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.definition import parse_graph
from graph_server.holistic.regions import Region
from kserve_wire.pictures.connections import FACE, HAND, POSE, Chains
from tests.support.graphs import run_graph

SIZE = (160, 96)
BLANK = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
RED = "color { r: 255 }"


def landmarks(count: int, seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 5), np.float32)


def node(calculator: str, options: str = "", **streams: str) -> str:
    """``inputs`` and ``outputs`` are ``TAG:name`` separated by blanks."""
    text = f'node {{ calculator: "{calculator}" '
    for kind in ("input", "output"):
        text += "".join(f'{kind}_stream: "{stream}" ' for stream in streams[f"{kind}s"].split())
    name = calculator if calculator.endswith("Calculator") else f"{calculator}Calculator"
    kind = {"SplitNormalizedLandmarkListCalculator": "SplitVectorCalculator"}.get(name, name)
    kind = "ConcatenateVectorCalculator" if kind.startswith("Concatenate") else kind
    if options:
        text += f"node_options {{ [type.googleapis.com/mediapipe.{kind}Options] {{ {options} }} }} "
    return text + "}\n"


def drawn(nodes: str, inputs: Mapping[str, Any], overlay: str, image: npt.NDArray[Any] = BLANK) -> Any:
    values = {"image": image, **inputs}
    text = "".join(f'input_stream: "{name}" ' for name in values) + 'output_stream: "out"\n' + nodes
    text += node("AnnotationOverlayCalculator", inputs=f"IMAGE:image {overlay}", outputs="IMAGE:out")
    return run_graph(text, [(name, 1, value) for name, value in values.items() if value is not None])["out"][0][1]


def marks(name: str, source: str, color: str, thickness: float, connections: Chains = (), more: str = "") -> str:
    pairs = [pair for chain in connections for pair in itertools.pairwise(chain)]
    ends = " ".join(f"landmark_connections: {end}" for pair in pairs for end in pair)
    options = f"landmark_color {{ {color} }} connection_color {{ {color} }} thickness: {thickness} "
    options += f"visualize_landmark_depth: false {more} {ends}"
    return node(
        "LandmarksToRenderDataCalculator", options,
        inputs=f"NORM_LANDMARKS:{source} RENDER_SCALE:scale", outputs=f"RENDER_DATA:{name}",
    )  # fmt: skip


def ranges(*pairs: tuple[int, int]) -> str:
    return " ".join(f"ranges {{ begin: {begin} end: {end} }}" for begin, end in pairs)


def single_nodes() -> str:
    """MediaPipe's subgraph HolisticTrackingToRenderData."""
    split, merge = "SplitNormalizedLandmarkListCalculator", "MergeCalculator"
    text = node(
        "RectToRenderScaleCalculator", "multiplier: 0.0008",
        inputs="NORM_RECT:roi IMAGE_SIZE:size", outputs="RENDER_SCALE:scale",
    )  # fmt: skip
    for name, part in {"arms": (11, 15), "left": (15, 16), "right": (16, 17), "legs": (23, 33)}.items():
        text += node(split, ranges(part), inputs="pose", outputs=name)
    for side in ("left", "right"):
        text += node("HandWristForPose", inputs=f"HAND_LANDMARKS:{side}_hand", outputs=f"WRIST_LANDMARK:{side}_wrist")
        text += node(merge, inputs=f"{side}_wrist {side}", outputs=f"{side}_merged")
    text += node(
        "ConcatenateNormalizedLandmarkListCalculator", "only_emit_if_all_present: true",
        inputs="arms left_merged right_merged legs", outputs="body",
    )  # fmt: skip
    for side, first in (("left", 0), ("right", 1)):
        every_second = ranges(*((index, index + 1) for index in range(first, 16, 2)))
        text += node(split, f"{every_second} combine_outputs: true", inputs="body", outputs=f"{side}_joints")
    white, orange, cyan = "r: 255 g: 255 b: 255", "r: 255 g: 138 b: 0", "r: 0 g: 217 b: 231"
    clear = "utilize_visibility: true visibility_threshold: 0.5"
    text += marks("a", "body", white, 3, POSE, "utilize_visibility: true visibility_threshold: 0.1")
    text += marks("b", "body", white, 5, more=clear)
    text += marks("c", "left_joints", orange, 3, more=clear) + marks("d", "right_joints", cyan, 3, more=clear)
    text += marks("e", "left_hand", white, 4, HAND) + marks("f", "left_hand", orange, 3)
    text += marks("g", "right_hand", white, 4, HAND) + marks("h", "right_hand", cyan, 3)
    text += marks("i", "face", white, 0.5, FACE) + marks("j", "face", cyan, 0.5)
    return text + node("ConcatenateRenderDataVectorCalculator", inputs="a b c d e f g h i j", outputs="all")


@pytest.mark.parametrize("absent", [(), ("left_hand",), ("pose", "roi"), ("roi",), ("face", "right_hand")])
def test_the_holistic_renderer_draws_the_same_as_its_single_nodes(absent: tuple[str, ...]) -> None:
    parts = {
        "size": SIZE,
        "pose": landmarks(33, 1),
        "roi": Region(0.5, 0.5, 8.0, 12.0),  # a very large person, so that thicknesses differ
        "left_hand": landmarks(21, 2),
        "right_hand": landmarks(21, 3),
        "face": landmarks(468, 4),
    }
    parts.update(dict.fromkeys(absent))
    fused = node(
        "HolisticTrackingToRenderData",
        inputs="IMAGE_SIZE:size POSE_LANDMARKS:pose POSE_ROI:roi LEFT_HAND_LANDMARKS:left_hand "
        "RIGHT_HAND_LANDMARKS:right_hand FACE_LANDMARKS:face",
        outputs="RENDER_DATA_VECTOR:all",
    )
    one, other = (drawn(nodes, parts, "VECTOR:all") for nodes in (fused, single_nodes()))
    assert (one != BLANK).any()
    assert np.array_equal(one, other)


def test_landmarks_without_a_scale_are_connected_and_rounded_to_the_nearest_pixel() -> None:
    points = np.array([[0.1, 0.5, 0, 0, 0], [0.9, 0.505, 0, 0, 0], [2.0, 2.0, 0, 0, 0]], np.float32)
    options = "landmark_connections: [0, 1, 1, 7] thickness: 2.5 connection_color { g: 9 }"
    nodes = node("LandmarksToRenderDataCalculator", options, inputs="NORM_LANDMARKS:points", outputs="RENDER_DATA:data")
    expected = BLANK.copy()
    cv2.line(expected, (16, 48), (144, 48), (0, 9, 0), 3)
    cv2.circle(expected, (16, 48), 3, (0, 0, 0), -1)
    cv2.circle(expected, (144, 48), 3, (0, 0, 0), -1)
    assert np.array_equal(drawn(nodes, {"points": points}, "data"), expected)


def test_landmarks_in_pixels_are_truncated_and_connections_can_be_drawn_without_dots() -> None:
    points = np.array([[16.9, 48.9, 0, 0, 0], [144.9, 48.9, 0, 0, 0]], np.float32)
    nodes = node(
        "LandmarksToRenderDataCalculator", "landmark_connections: 0 landmark_connections: 1 render_landmarks: false",
        inputs="LANDMARKS:points", outputs="RENDER_DATA:data",
    )  # fmt: skip
    expected = cv2.line(BLANK.copy(), (16, 48), (144, 48), (0, 0, 0), 1)
    assert np.array_equal(drawn(nodes, {"points": points}, "data"), expected)


def test_near_landmarks_are_brighter_and_larger_and_lines_have_a_gradient() -> None:
    points = np.array([[0.1, 0.5, -1, 0, 0], [0.9, 0.5, 0, 0, 0]], np.float32)
    options = "landmark_connections: 0 landmark_connections: 1 max_depth_circle_thickness: 8"
    nodes = node("LandmarksToRenderDataCalculator", options, inputs="NORM_LANDMARKS:points", outputs="RENDER_DATA:data")
    image = drawn(nodes, {"points": points}, "data")
    assert image[48, 16].tolist() == [255] * 3
    assert image[41, 16].tolist() == [255] * 3  # radius 8
    assert image[47, 144].tolist() == [1] * 3  # radius 1: the smallest
    assert image[45, 144].tolist() == [40] * 3
    line = image[48, 26:143, 0].astype(int)
    assert line[0] > 230
    assert line[-1] < 10
    assert (np.diff(line) <= 0).all()


def test_a_gradient_goes_along_pixels_that_share_a_side() -> None:
    points = np.array([[10, 10, -1, 0, 0], [13, 14, 0, 0, 0]], np.float32)
    options = "landmark_connections: 0 landmark_connections: 1 render_landmarks: false"
    nodes = node("LandmarksToRenderDataCalculator", options, inputs="LANDMARKS:points", outputs="RENDER_DATA:data")
    rows, columns = np.nonzero((drawn(nodes, {"points": points}, "data") != BLANK).any(axis=2))
    assert len(rows) == 3 + 4 + 1
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 14, 10, 13)


def test_landmarks_without_visibility_are_always_drawn() -> None:
    hand = landmarks(21, 5)
    hand[:, 2:] = 0
    options = "utilize_visibility: true visibility_threshold: 0.9 utilize_presence: true presence_threshold: 0.9"
    nodes = node("LandmarksToRenderDataCalculator", options, inputs="NORM_LANDMARKS:hand", outputs="RENDER_DATA:data")
    assert (drawn(nodes, {"hand": hand}, "data") != BLANK).any()
    hand[:, 3] = 0.5
    assert (drawn(nodes, {"hand": hand}, "data") == BLANK).all()


def test_regions_are_drawn_as_rectangles_upright_rotated_filled_or_oval() -> None:
    def region(options: str, value: Any, tag: str = "NORM_RECT") -> Any:
        nodes = node("RectToRenderDataCalculator", f"{RED} {options}", inputs=f"{tag}:r", outputs="RENDER_DATA:data")
        return drawn(nodes, {"r": value}, "data")

    upright, turned = Region(0.5, 0.5, 0.5, 0.5), Region(0.5, 0.5, 0.5, 0.5, 0.3)
    red = (255, 0, 0)
    box = (40, 24, 80, 48)
    corners = np.rint(cv2.boxPoints(((80, 48), (80, 48), np.degrees(0.3)))).astype(np.int32)
    expected = {
        "thickness: 3": cv2.rectangle(BLANK.copy(), box, red, 3),
        "filled: true": cv2.rectangle(BLANK.copy(), box, red, -1),
        "oval: true thickness: 2": cv2.ellipse(BLANK.copy(), (80, 48), (40, 24), 0, 0, 360, red, 2),
        "oval: true filled: true": cv2.ellipse(BLANK.copy(), (80, 48), (40, 24), 0, 0, 360, red, -1),
    }
    for options, image in expected.items():
        assert np.array_equal(region(options, upright), image), options
    assert np.array_equal(region("", turned), cv2.polylines(BLANK.copy(), [corners], True, red, 1))
    filled = region("filled: true", turned)
    assert filled[48, 80].tolist() == [255, 0, 0]
    assert filled[26, 42].tolist() == [40] * 3
    assert region("top_left_thickness: 5", upright)[20, 38].tolist() == [255, 0, 0]
    both = region("", [upright, turned], "NORM_RECTS")
    assert ((both == region("", upright)) | (both == region("", turned))).all()
    assert (region("", Region(2.0, 0.5, 0.5, 0.5)) == BLANK).all()


def detected(options: str, *found: Detection) -> Any:
    nodes = node("DetectionsToRenderDataCalculator", options, inputs="DETECTIONS:d", outputs="RENDER_DATA:data")
    return drawn(nodes, {"d": list(found)}, "data")


def test_a_detection_is_drawn_as_its_box_with_label_score_and_keypoints() -> None:
    box = np.array([0.25, 0.125, 1.5, 1.0], np.float32)
    found = Detection(box, 0.8349, 3, np.array([[0.5, 0.5]], np.float32), "cat")
    expected = BLANK.copy()
    line = np.float64(1.0 - 0.125) * 0.1
    size = round(line * 0.9 * 96)
    scale = (size - 1.5) / 21
    cv2.putText(expected, "cat,0.83,", (40, round((0.125 + line) * 96)), 0, scale, (255, 0, 0), 2)
    cv2.rectangle(expected, (40, 12, 120, 84), (255, 0, 0), 2)
    cv2.circle(expected, (80, 48), 2, (255, 0, 0), -1)
    assert np.array_equal(detected(f"{RED} thickness: 2", found), expected)


def test_a_detection_without_a_name_shows_its_number_and_one_from_landmarks_shows_none() -> None:
    box = np.array([0.1, 0.1, 0.9, 0.9], np.float32)
    none = np.empty((0, 2), np.float32)
    named, numbered, bare = (
        detected("", Detection(box, 1.0, *rest)) for rest in ((7, none, "7"), (7, none), (None, none))
    )
    assert np.array_equal(named, numbered)
    assert np.array_equal(bare, cv2.rectangle(BLANK.copy(), (16, 10, 128, 76), (0, 0, 0), 1))


def test_no_detections_give_empty_render_data_or_no_packet() -> None:
    for options, packets in (("", 1), ("produce_empty_packet: false", 0)):
        nodes = node("DetectionsToRenderDataCalculator", options, inputs="DETECTIONS:d", outputs="RENDER_DATA:data")
        out = run_graph('input_stream: "d" output_stream: "data"' + nodes, [("d", 1, [])])
        assert len(out.get("data", ())) == packets


def test_labels_come_from_options_or_a_file_and_unknown_numbers_stay_numbers(tmp_path: Any) -> None:
    (tmp_path / "names.txt").write_text("nobody\nperson\n")
    box, none = np.zeros(4, np.float32), np.empty((0, 2), np.float32)
    for options in (
        'label: "nobody" label: "person"',
        f'label_map_path: "{tmp_path / "names.txt"}"',
        'label_items { key: 1 value { name: "person" } }',
    ):
        nodes = node("DetectionLabelIdToTextCalculator", options, inputs="d", outputs="named")
        found = [Detection(box, 1.0, label, none) for label in (1, 5)]
        out = run_graph('input_stream: "d" output_stream: "named"' + nodes, [("d", 1, found)])
        assert [detection.text for detection in out["named"][0][1]] == ["person", ""]


def test_a_gray_image_becomes_rgb_and_an_image_of_floats_is_refused() -> None:
    nodes = node("RectToRenderDataCalculator", RED, inputs="NORM_RECT:r", outputs="RENDER_DATA:data")
    region = {"r": Region(0.5, 0.5, 0.5, 0.5)}
    assert drawn(nodes, region, "data", BLANK[:, :, :1]).shape == (96, 160, 3)
    with pytest.raises(GraphError, match="Unexpected image frame format"):
        drawn(nodes, region, "data", BLANK.astype(np.float32))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (node("LandmarksToRenderDataCalculator", "landmark_connections: 1", inputs="LANDMARKS:a",
              outputs="RENDER_DATA:b"),
         "Number of entries in landmark connections must be a multiple of 2"),
        (node("LandmarksToRenderDataCalculator", inputs="RENDER_SCALE:a", outputs="RENDER_DATA:b"), "needs one of"),
        (node("RectToRenderDataCalculator", "oval: true top_left_thickness: 2", inputs="NORM_RECT:a",
              outputs="RENDER_DATA:b"), "top_left_thickness cannot be used"),
        (node("RectToRenderScaleCalculator", "process_timestamp_bounds: true", inputs="NORM_RECT:a IMAGE_SIZE:a",
              outputs="RENDER_SCALE:b"), "process_timestamp_bounds is not implemented"),
        (node("DetectionsToRenderDataCalculator", "render_detection_id: true", inputs="DETECTIONS:a",
              outputs="RENDER_DATA:b"), "render_detection_id is not implemented"),
        (node("AnnotationOverlayCalculator", "flip_text_vertically: true", inputs="IMAGE:a", outputs="IMAGE:b"),
         "flip_text_vertically is not implemented"),
    ],
)  # fmt: skip
def test_wrong_nodes_and_options_for_drawing_are_refused_at_load(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_graph('input_stream: "a" output_stream: "b"\n' + text, source="test", registry=REGISTRY)
