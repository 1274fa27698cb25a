"""Calculators of regions, landmarks and detections take values that make no sense: no graph or process ends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as op

from graph_server.calculators.boxes import Detection
from graph_server.holistic.crops import Padding
from graph_server.holistic.regions import Region
from graph_server.models.config import ModelConfig
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from tests.degenerate_frames import kinds
from tests.server.calculators.test_drawing import node
from tests.server.calculators.test_object_detection import DEMO, run_demo
from tests.support.graphs import run_graph

ANY = st.floats(width=32)


def array(*shape: int) -> st.SearchStrategy[Any]:
    """One value everywhere, but for one place."""
    size = int(np.prod(shape))

    def made(everywhere: float, place: int, there: float) -> Any:
        values = np.full(size, everywhere, np.float32)
        values[place] = there
        return values.reshape(shape)

    return st.builds(made, ANY, st.integers(0, size - 1), ANY)


REGION = st.builds(Region, ANY, ANY, ANY, ANY, ANY)
DETECTION = st.builds(Detection, array(4), ANY, st.sampled_from([None, 1]), array(6, 2))
SIZE = st.sampled_from([(1, 1), (640, 480), (1, 40_000), (40_000, 1)])
IMAGE = st.sampled_from([(1, 1), (9, 40), (1, 40_000)]).map(lambda shape: np.zeros((*shape, 3), np.uint8))
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "landmarks": array(478, 5),
    "region": REGION,
    "regions": st.lists(REGION, max_size=2),
    "detection": DETECTION,
    "detections": st.lists(DETECTION, max_size=3),
    "size": SIZE,
    "image": IMAGE,
    "padding": st.builds(Padding, *[st.sampled_from([0.0, 0.25, 0.5])] * 4),
    "scale": ANY,
}
"""Values of a stream by its name."""

KEYPOINTS = "rotation_vector_start_keypoint_index: 0 rotation_vector_end_keypoint_index: 1 "
ROI = "rect_requirements { rotation_degrees: 40 translation: 0.2 scale: 0.4 } "
OVERLAY = node("AnnotationOverlayCalculator", inputs="IMAGE:image drawing", outputs="IMAGE:out")
NODES = {
    "regions of landmarks": "".join(
        node(name, inputs=f"{tag}:landmarks IMAGE_SIZE:size", outputs=f"ROI:out{index}")
        for index, (name, tag) in enumerate({
            "HandLandmarksFromPoseToRecropRoi": "HAND_LANDMARKS_FROM_POSE",
            "HandLandmarksToRoi": "LANDMARKS",
            "FaceLandmarksFromPoseToRecropRoi": "FACE_LANDMARKS_FROM_POSE",
            "FaceLandmarksToRoi": "LANDMARKS",
            "PoseLandmarksToRoi": "LANDMARKS",
        }.items())
    ),
    "regions of a face's detections": node(
        "FaceDetectionFrontDetectionsToRoi", inputs="DETECTIONS:detections IMAGE_SIZE:size", outputs="ROI:out"
    ),
    "regions of detections": node(
        "DetectionsToRectsCalculator", KEYPOINTS + "rotation_vector_target_angle_degrees: 90",
        inputs="DETECTIONS:detections IMAGE_SIZE:size", outputs="NORM_RECTS:out",
    ),
    "regions around a keypoint": node(
        "AlignmentPointsRectsCalculator", inputs="DETECTION:detection IMAGE_SIZE:size", outputs="NORM_RECT:out"
    ).replace(
        "}\n",
        "node_options { [type.googleapis.com/mediapipe.DetectionsToRectsCalculatorOptions] {" + KEYPOINTS + "} } }\n",
    ),
    "transformed regions": node(
        "RectTransformationCalculator", "scale_x: 2 scale_y: 2 shift_y: -0.1 square_long: true rotation_degrees: 9",
        inputs="NORM_RECTS:regions IMAGE_SIZE:size", outputs="out",
    ),
    "tracking": node(
        "RoiTrackingCalculator", ROI + "landmarks_requirements { recrop_rect_margin: -0.1 }",
        inputs="PREV_LANDMARKS:landmarks PREV_LANDMARKS_RECT:region RECROP_RECT:region IMAGE_SIZE:size",
        outputs="TRACKING_RECT:out",
    ),
    "crops": node(
        "ImageToTensorCalculator",
        "output_tensor_width: 8 output_tensor_height: 9 keep_aspect_ratio: true output_tensor_float_range { max: 1 }",
        inputs="IMAGE:image NORM_RECT:region", outputs="TENSORS:out LETTERBOX_PADDING:bars",
    ),
    "projection": node(
        "LandmarkProjectionCalculator", inputs="NORM_LANDMARKS:landmarks NORM_RECT:region", outputs="NORM_LANDMARKS:out"
    ),
    "letterboxes": node(
        "DetectionLetterboxRemovalCalculator",
        inputs="DETECTIONS:detections LETTERBOX_PADDING:padding", outputs="DETECTIONS:out",
    ),
    "suppression": node(
        "NonMaxSuppressionCalculator",
        "min_suppression_threshold: 0.3 algorithm: WEIGHTED overlap_type: INTERSECTION_OVER_UNION",
        inputs="detections", outputs="out",
    ),
    "smoothing": node(
        "LandmarksSmoothingCalculator", "one_euro_filter { min_cutoff: 0.05 beta: 80 derivate_cutoff: 1 }",
        inputs="NORM_LANDMARKS:landmarks IMAGE_SIZE:size OBJECT_SCALE_ROI:region",
        outputs="NORM_FILTERED_LANDMARKS:out",
    ),
    "drawn landmarks": node(
        "LandmarksToRenderDataCalculator", "landmark_connections: [0, 1] visualize_landmark_depth: true",
        inputs="NORM_LANDMARKS:landmarks RENDER_SCALE:scale", outputs="RENDER_DATA:drawing",
    ) + OVERLAY,
    "drawn regions": node(
        "RectToRenderDataCalculator", inputs="NORM_RECTS:regions", outputs="RENDER_DATA:drawing"
    ) + OVERLAY,
    "drawn detections": node(
        "DetectionsToRenderDataCalculator", inputs="DETECTIONS:detections", outputs="RENDER_DATA:drawing"
    ) + OVERLAY,
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_values_that_make_no_sense_end_no_graph(name: str) -> None:
    nodes = NODES[name]
    names = [stream for stream in VALUES if f':{stream}"' in nodes or f'"{stream}"' in nodes]
    outputs = [stream for stream in ("out", *(f"out{index}" for index in range(5))) if f':{stream}"' in nodes]
    text = "".join(f'input_stream: "{"IMAGE:" if stream == "image" else ""}{stream}"\n' for stream in names)
    drawn = OVERLAY in nodes
    text += "".join(f'output_stream: "{"IMAGE:" if drawn else ""}{stream}"\n' for stream in outputs or ["out"]) + nodes

    @settings(deadline=None, max_examples=25, database=None)
    @given(st.lists(st.tuples(*(VALUES[stream] for stream in names)), min_size=2, max_size=2))
    def runs(frames: list[tuple[Any, ...]]) -> None:
        run_graph(
            text,
            [
                (stream, timestamp, value)
                for timestamp, values in enumerate(frames)
                for stream, value in zip(names, values, strict=True)
            ],
        )

    runs()


@pytest.mark.parametrize("kind", ["1x1", "1x50", "50x1", "10000x10", "1x40000", "black", "white", "noise", "thin"])
def test_no_frame_ends_the_demo_graph(kind: str, tmp_path: Path) -> None:
    person = np.full((248, 442, 3), 90, np.uint8)
    frame = kinds(person, np.random.default_rng(0))[kind]
    assert run_demo(DEMO, detector(tmp_path / "detector", [0, 0, 0, 0], 0.9), frame).shape == (32, 32, 3)


def detector(folder: Path, box: list[float], score: float) -> ModelRepository:
    """A model that gives four times the same box and score."""
    image = op.parameter([1, 32, 32, 3], np.float32, name="image")
    nothing = op.multiply(op.reduce_mean(image, [0, 1, 2, 3], keep_dims=False), np.float32(0))
    boxes = op.add(op.constant(np.full((1, 4, 4), box, np.float32)), nothing)
    scores = op.add(op.constant(np.full((1, 4, 3), score, np.float32)), nothing)
    results = [op.result(boxes), op.result(scores)]
    for result, name in zip(results, ("raw/boxes", "raw/scores"), strict=True):
        result.output(0).tensor.set_names({name})
    image.output(0).tensor.set_names({"image"})
    (folder / "1").mkdir(parents=True)
    ov.save_model(ov.Model(results, [image]), folder / "1" / "model.xml", compress_to_fp16=False)
    return ModelRepository(Runtime(), (ModelConfig("detector", folder),))


@pytest.mark.parametrize(
    ("box", "score"),
    [
        ([0, 0, 0, 0], np.nan),
        ([0, 0, 0, 0], np.inf),
        ([-np.inf] * 4, 0.9),
        ([0, np.nan, 0, 0], 0.9),
        ([0, 0, np.inf, 0], 0.9),
        ([0, 0, 50, 50], 0.9),  # sizes of exp(10)
        ([0, 0, 400, 0], 0.9),  # exp(80): a text so tall that OpenCV crashes
    ],
)
def test_no_answer_of_a_detector_ends_the_demo_graph(box: list[float], score: float, tmp_path: Path) -> None:
    frame = np.full((20, 30, 3), 90, np.uint8)
    assert run_demo(DEMO, detector(tmp_path / "detector", box, score), frame).shape == (32, 32, 3)
