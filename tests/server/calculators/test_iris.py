"""Iris tracking against MediaPipe, and where nobody is seen.

``tests/data/iris_tracking.npz`` is what MediaPipe 0.10.21 gives for the first frames of the shared clip sign-again.mkv:
``python benchmarks/mediapipe_peer.py iris sign-again.mkv iris_tracking.npz 12``.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import default_models, frames
from graph_server.errors import GraphError
from graph_server.holistic.iris import FACE_POINTS_OF_EYES, refined
from graph_server.resources import project_file
from tests.conftest import ROOT, shared
from tests.support.graphs import run_graph

GOLDEN = ROOT / "tests" / "data" / "iris_tracking.npz"
GRAPH = project_file("graphs/iris_tracking/graph.pbtxt").read_text()
STREAMS = {
    "face_landmarks": 468,
    "left_eye_contour_landmarks": 71,
    "right_eye_contour_landmarks": 71,
    "left_iris_landmarks": 5,
    "right_iris_landmarks": 5,
    "updated_face_landmarks": 468,
}
SIZE = (640, 480)

Packets = dict[str, list[tuple[int, Any]]]


def found(images: Sequence[npt.NDArray[np.uint8]], graph: str = GRAPH) -> Packets:
    """The packets of the shipped graph's inner streams, and its output, with the face's detections."""
    text = "".join(f'output_stream: "{name}"\n' for name in (*STREAMS, "face_detections")) + graph
    packets = [("first_input_video", index, image) for index, image in enumerate(images)]
    return run_graph(text, packets, registry=REGISTRY, models=default_models())


@pytest.fixture(scope="module")
def clip(models_dir: Path) -> list[npt.NDArray[np.uint8]]:
    return [np.asarray(frame) for frame in islice(frames(shared("clips/sign-again.mkv")), 12)]


@pytest.fixture(scope="module")
def tracked(clip: list[npt.NDArray[np.uint8]]) -> Packets:
    return found(clip)


def points(packets: Packets, stream: str) -> npt.NDArray[np.float32]:
    """The stream's landmarks in pixels, [frames, points, 2]."""
    assert [timestamp for timestamp, _ in packets[stream]] == list(range(12))
    return np.asarray(np.stack([value[:, :2] for _, value in packets[stream]]) * SIZE, np.float32)


def test_face_landmarks_agree_with_mediapipe(tracked: Packets) -> None:
    apart = np.linalg.norm(points(tracked, "face_landmarks") - np.load(GOLDEN)["face"] * SIZE, axis=-1)
    assert np.median(apart) < 0.1
    assert apart.max() < 1.0


@pytest.mark.parametrize(("stream", "part"), [("eye_contour", "eyes"), ("iris", "irises")])
def test_eyes_and_irises_agree_with_mediapipe(tracked: Packets, stream: str, part: str) -> None:
    ours = np.stack([points(tracked, f"{side}_{stream}_landmarks") for side in ("left", "right")], axis=1)
    apart = np.linalg.norm(ours - np.load(GOLDEN)[part] * SIZE, axis=-1)
    assert np.median(apart) < 0.1
    assert apart.max() < 1.0


def test_the_eyes_replace_those_of_the_face(tracked: Packets) -> None:
    updated = points(tracked, "updated_face_landmarks")
    eyes = [points(tracked, f"{side}_eye_contour_landmarks") for side in ("left", "right")]
    np.testing.assert_array_equal(updated[:, FACE_POINTS_OF_EYES], np.concatenate(eyes, axis=1))
    others = np.setdiff1d(np.arange(468), FACE_POINTS_OF_EYES)
    assert len(others) == 468 - 142
    np.testing.assert_array_equal(updated[:, others], points(tracked, "face_landmarks")[:, others])


def test_a_face_is_detected_once_and_followed(tracked: Packets, clip: list[npt.NDArray[np.uint8]]) -> None:
    assert [timestamp for timestamp, _ in tracked["face_detections"]] == [0]
    (detection,) = tracked["face_detections"][0][1]
    assert 0.5 < detection.score < 1
    assert (detection.keypoints[:2] > detection.box[:2]).all()
    assert (detection.keypoints[:2] < detection.box[2:]).all()
    side_packet = 'input_side_packet: "NUM_FACES:num_faces"'
    anew = (
        GRAPH.replace(side_packet, side_packet + ' input_side_packet: "USE_PREV_LANDMARKS:follow"')
        .replace(
            'output_side_packet: "PACKET:0:num_faces"',
            'output_side_packet: "PACKET:0:num_faces" output_side_packet: "PACKET:1:follow"',
        )
        .replace("packet { int_value: 1 }", "packet { int_value: 1 } packet { bool_value: false }")
    )
    assert [timestamp for timestamp, _ in found(clip[:3], anew)["face_detections"]] == [0, 1, 2]


def test_the_drawing_has_the_iris_in_green_and_blue(tracked: Packets, clip: list[npt.NDArray[np.uint8]]) -> None:
    (_, drawn), image = tracked["output"][5], clip[5]
    assert drawn.shape == image.shape
    x, y = np.rint(points(tracked, "left_iris_landmarks")[5, 0]).astype(int)
    assert drawn[y, x].tolist() == [0, 255, 0]
    assert (drawn == (0, 0, 255)).all(axis=2).any()
    assert (drawn != image).any(axis=2).mean() < 0.2


def test_without_a_face_the_frame_comes_back_as_it_is(models_dir: Path) -> None:
    empty = np.full((48, 64, 3), 90, np.uint8)
    packets = found([empty, empty])
    assert set(packets) == {"output"}
    for _, image in packets["output"]:
        np.testing.assert_array_equal(image, empty)


def test_more_than_one_face_is_refused_by_name(models_dir: Path) -> None:
    with pytest.raises(GraphError, match="NUM_FACES is 2, and only 1 is implemented here"):
        found([np.zeros((8, 8, 3), np.uint8)], GRAPH.replace("int_value: 1", "int_value: 2"))


def test_eyes_of_another_number_of_points_are_an_error_as_in_mediapipe() -> None:
    with pytest.raises(GraphError, match="Wrong number of face landmarks"):
        refined(np.zeros((468, 5), np.float32), np.zeros((71, 5), np.float32))
