"""Persons who are too small for MediaPipe's pose detector."""

from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from graph_server.assets import ensure_clip
from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import frames
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.holistic.multipose import alignment_points
from graph_server.holistic.person_looks import DetectorName, Detectors
from graph_server.holistic.person_views import views_of
from graph_server.models.repository import ModelRepository
from graph_server.resources import project_file

Image = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 1280, 720
LEFT, TOP, SMALL = 300, 200, (620, 348)


@pytest.fixture(scope="module")
def street() -> list[Image]:
    """The demo's clip from far away: the person who walks is a fifth of the image's height."""
    images = []
    for frame in islice(frames(ensure_clip()), 95, 131, 4):
        image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        image[TOP : TOP + SMALL[1], LEFT : LEFT + SMALL[0]] = cv2.resize(frame, SMALL, interpolation=cv2.INTER_AREA)
        images.append(image)
    return images


WALKER = 0.60, 0.73
"""Her hips in the first of the frames, over the sides of the clip."""


def test_movenet_sees_somebody_whom_the_pose_detector_misses(
    small_person_models: ModelRepository, street: list[Image]
) -> None:
    def finds_walker(name: DetectorName) -> bool:
        detector = Detectors.open(small_person_models, name).small
        found = [points[0] for view in views_of((WIDTH, HEIGHT)) for points in detector.detect_all(street[0], 6, view)]
        places = (np.reshape(found, (-1, 2)) * (WIDTH, HEIGHT) - (LEFT, TOP)) / SMALL
        return bool((np.abs(places - WALKER).max(axis=1, initial=0) < 0.05).any())

    assert finds_walker("movenet")
    assert not finds_walker("pose")


def nodes(graph: str) -> str:
    """A graph's text without the comment at its beginning."""
    text = project_file(f"graphs/{graph}/graph.pbtxt").read_text(encoding="utf-8")
    return text[text.index("input_stream") :]


def test_the_graph_for_small_persons_differs_by_its_detector_only() -> None:
    assert nodes("holistic_persons_small").replace("      detector: AUTO\n", "") == nodes("holistic_persons")


@pytest.mark.parametrize("detector", ["MOVENET", "AUTO"])
def test_the_graph_follows_small_persons_with_the_detector_of_its_options(
    small_person_models: ModelRepository, street: list[Image], detector: str
) -> None:
    text = nodes("holistic_persons_small").replace("detector: AUTO", f"detector: {detector}")
    text = text.replace("max_persons: 4", "max_persons: 2 look_every: 1")
    outputs: dict[str, npt.NDArray[np.float32]] = {}
    graph = Graph(parse_graph(text, source="persons", registry=REGISTRY), REGISTRY, small_person_models)
    graph.start({}, lambda name, value, timestamp: outputs.update({name: value}))
    for index, image in enumerate(street):
        graph.add_packet("first_input_video", image, index * 133_333)
        graph.wait_until_idle()
    graph.cancel()
    assert outputs["person_count"][0] >= 1
    places = outputs["person_landmarks"][:, 23:25, :2].mean(axis=1) * (WIDTH, HEIGHT) - (LEFT, TOP)
    assert any(place == pytest.approx((0.45, 0.73), abs=0.05) for place in (places / SMALL).tolist())


def test_the_circle_around_the_body_reaches_beyond_the_farthest_key_point() -> None:
    points = np.full((17, 2), 0.5, np.float32)
    points[[5, 6]] = [[0.45, 0.3], [0.55, 0.3]]
    points[[15, 16]] = [[0.5, 0.9], [0.5, 0.9]]
    assert alignment_points(points) == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5 - 0.48]]))


def test_an_image_that_is_a_square_is_looked_at_by_both(small_person_models: ModelRepository) -> None:
    both = Detectors.open(small_person_models, "auto")
    assert [detector for detector, _ in both.looks((480, 480))] == [both.near, both.small]
    assert [detector for detector, _ in both.looks((640, 480))] == [both.near, both.small, both.small]
    assert both.look_at(100, 100, 100, (640, 480))[0] is both.small
    assert both.look_at(100, 100, 300, (640, 480))[0] is both.near
