"""Regions and networks' answers that make no sense: nothing raises, and what comes next is found as ever."""

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from openvino import opset13 as ops

from graph_server.assets import ensure_clip, ensure_models, shipped_mounts
from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import default_models, frames
from graph_server.config.server_config import read_config
from graph_server.errors import GraphError
from graph_server.holistic.crops import WHOLE, crop, padded, projected, unpadded
from graph_server.holistic.pose import refined
from graph_server.holistic.regions import (
    HAND_TRACKING,
    Region,
    hand_region_from_landmarks,
    hand_region_from_pose,
    may_keep,
    region_from_alignment_points,
    region_from_box,
)
from graph_server.holistic.smoothing import LandmarkSmoother
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.resources import cache_folder, project_file
from kserve_wire.openvino_core import new_core
from kserve_wire.pictures.drawing import canvas_for, draw, holistic_strokes
from stream_client.landmarks.decoder import coordinate_image
from tests.support.graphs import run_graph

Landmarks = npt.NDArray[np.float32]

ANY = st.floats(width=32)
SIDES = st.one_of(st.just(1), st.integers(1, 40_000))
SIZES = st.tuples(SIDES, SIDES)


def points(count: int) -> st.SearchStrategy[Landmarks]:
    """Landmarks [count, 5], of any values, or all in one point."""
    one = st.tuples(ANY, ANY).map(lambda place: np.full((count, 5), [*place, 0, 0, 0], np.float32))
    return st.one_of(arrays(np.float32, (count, 5), elements=ANY), one)


def frame_of(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """White; no memory but for one pixel."""
    return np.broadcast_to(np.uint8(255), (min(size[1], 300), min(size[0], 300), 3)).copy()


@settings(deadline=None)
@given(st.builds(Region, ANY, ANY, ANY, ANY, ANY), SIZES)
@example(Region(0.5, 0.5, 0.0, 0.0), (1, 1))
@example(Region(0.5, 0.5, 1e-38, 1.0), (1, 40_000))
@example(Region(9.0, -9.0, 0.1, 0.1, 1.0), (640, 480))
def test_a_region_is_empty_or_can_be_cropped(region: Region, size: tuple[int, int]) -> None:
    assert Region(0.5, 0.5, 0.0, 0.2).empty
    assert not WHOLE.empty
    with np.errstate(all="ignore"):
        if region.empty:
            values = (region.x_center, region.y_center, region.width, region.height, region.rotation)
            assert min(region.width, region.height) <= 0 or not all(map(math.isfinite, values))
            return
        image = frame_of(size)
        out = np.zeros((16, 16, 3), np.uint8)
        target, padding = padded(region, (image.shape[1], image.shape[0]), (16, 16))
        crop(image, target, out)
        assert (out == 255).all()
        projected(unpadded(np.full((3, 5), 0.5, np.float32), padding), region)


@settings(deadline=None, max_examples=40)
@given(points(35), points(21), SIZES)
@example(np.zeros((35, 5), np.float32), np.full((21, 5), 0.5, np.float32), (640, 480))
@example(np.full((35, 5), np.nan, np.float32), np.full((21, 5), np.inf, np.float32), (640, 480))
def test_regions_are_made_of_any_landmarks(pose: Landmarks, hand: Landmarks, size: tuple[int, int]) -> None:
    with np.errstate(all="ignore"):
        regions = [
            hand_region_from_pose(pose[15], pose[17], pose[19], size).transformed(size, scale=2.7, shift_y=-0.1),
            hand_region_from_landmarks(hand, size).transformed(size, scale=2.0, shift_y=-0.1),
            region_from_box(pose[:11], size, start=5, end=2).transformed(size, scale=3.0),
        ]
        (x, y), edge = (map(float, pose[index, :2]) for index in (33, 34))
        regions.append(region_from_alignment_points((x, y), tuple(edge), size, 90).transformed(size, scale=1.25))  # type: ignore[arg-type]
        for region in regions:
            assert isinstance(may_keep(region, hand, regions[0], size, HAND_TRACKING), bool)
            if not region.empty:
                crop(frame_of(size), region, np.zeros((8, 8, 3), np.uint8))


@settings(deadline=None, max_examples=20)
@given(points(33), points(21), points(39), st.builds(Region, ANY, ANY, ANY, ANY, ANY), SIZES)
def test_any_landmarks_can_be_drawn_and_refined(
    pose: Landmarks, hand: Landmarks, raw: Landmarks, region: Region, size: tuple[int, int]
) -> None:
    with np.errstate(all="ignore"):
        image = frame_of(size)
        drawn = canvas_for(image)
        extent = None if region is None else (region.width, region.height)
        draw(drawn, holistic_strokes((image.shape[1], image.shape[0]), pose, extent, hand, hand, None))
        refined(raw, np.full((1, 64, 64, 39), np.nan, np.float32))


def test_what_is_not_finite_does_not_stay_in_a_filter() -> None:
    smoother, untouched = (LandmarkSmoother(min_cutoff=0.05, beta=80.0) for _ in range(2))
    there = np.full((3, 5), 0.5, np.float32)
    for filtered in (smoother, untouched):
        filtered.apply(there, (640, 480), 100.0, 1)
    smoother.apply(np.full((3, 5), np.nan, np.float32), (640, 480), 100.0, 2)
    smoother.apply(there, (640, 480), math.nan, 3)
    after = [filtered.apply(there * 2, (640, 480), 100.0, 4) for filtered in (smoother, untouched)]
    np.testing.assert_array_equal(after[0], after[1])


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_alpha_are_looked_at_as_rgb(channels: int) -> None:
    image = np.full((9, 9, channels), 200, np.uint8)
    out = np.zeros((4, 4, 3), np.uint8)
    crop(image, WHOLE, out)
    assert (out == 200).all()


def test_a_frame_of_16_bits_is_refused_as_by_mediapipe() -> None:
    with pytest.raises(GraphError, match="Unsupported format: uint16 with 3 channels"):
        crop(np.zeros((9, 9, 3), np.uint16), WHOLE, np.zeros((4, 4, 3), np.uint8))


PRESENCE = {"Identity_1", "conv2d_31", "classificators"}
"""Outputs that say whether something is there: they stay as they are."""


def models_times(factor: float, changed: str, folder: Path) -> ModelRepository:
    """The project's models; the outputs of ``changed`` are multiplied by ``factor``, but for presence."""
    path = project_file("server_config/config.json")
    config = read_config(path, shipped_mounts(path, ensure_models()))
    model = new_core().read_model(default_models().get(changed).path)
    for result in model.get_results():
        source = result.input_value(0)
        names = source.get_names()
        if not PRESENCE & names:
            product = ops.multiply(source, ops.constant(np.array(factor, np.float32)))
            source.get_tensor().set_names(set())
            product.output(0).get_tensor().set_names(names)
            result.input(0).replace_source_output(product.output(0))
    (folder / "1").mkdir()
    ov.save_model(model, folder / "1" / "model.xml", compress_to_fp16=False)
    models = [replace(each, base_path=folder) if each.name == changed else each for each in config.models]
    return ModelRepository(Runtime(cache_folder() / "openvino"), models)


HANDS, POSE, FACE = ("hand_recrop", "hand_landmark_full"), ("pose_detection", "pose_landmark_full"), ("face_landmark",)


@pytest.mark.parametrize(
    ("changed", "factor"),
    [
        *((name, math.nan) for name in (*POSE, *HANDS, *FACE, "face_detection")),
        ("pose_landmark_full", math.inf),
        ("pose_detection", 0.0),
        ("hand_recrop", 0.0),
    ],
)
def test_no_answer_of_a_network_ends_a_graph(changed: str, factor: float, tmp_path: Path) -> None:
    models = models_times(factor, changed, tmp_path)
    clip = islice(frames(ensure_clip()), 120, 123)
    people = [(index, np.asarray(cv2.resize(frame, (442, 248)), np.uint8)) for index, frame in enumerate(clip)]
    packets = [("first_input_video", index, person) for index, person in people]
    for graph in ("holistic_tracking", "holistic_landmarks"):
        xy = [("coordinates", index, coordinate_image(person.shape[1], person.shape[0])) for index, person in people]
        text = project_file(f"graphs/{graph}/graph.pbtxt").read_text()
        mixed = sorted([*packets, *xy] if graph == "holistic_landmarks" else packets, key=lambda packet: packet[1])
        found = run_graph(text, mixed, registry=REGISTRY, models=models)
        assert [timestamp for timestamp, _ in found["output"]] == [index for index, _ in people]
