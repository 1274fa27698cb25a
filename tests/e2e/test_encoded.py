"""Encoded frames to a server and back, against the same frames raw."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from graph_server.assets import ensure_clip, shipped_mounts
from graph_server.config.server_config import read_config
from graph_server.resources import project_file
from graph_server.server import GraphServer, ServerOptions
from stream_client import ConfigurationError, Result, RunOptions, StreamClient, TransportOptions
from tests.conftest import ROOT

FRAMES = 12
SIDE = 640
PIXELS_OFF = {60: 6.0, 90: 4.0}
"""By quality: how far visible landmarks of a JPEG may be from those of the raw frame, the median of a frame."""


@pytest.fixture(scope="module")
def native(models_dir: Path) -> Iterator[TransportOptions]:
    """A server with the graphs of calculators."""
    path = project_file("server_config/config.json")
    server = GraphServer(read_config(path, shipped_mounts(path, models_dir)), ServerOptions(port=0))
    server.start()
    try:
        yield TransportOptions(server.address)
    finally:
        server.stop(0)


@pytest.fixture(scope="module")
def python(models_dir: Path) -> Iterator[TransportOptions]:
    """A server with the graphs of Python nodes."""
    path = ROOT / "server_config" / "config_python.json"
    server = GraphServer(read_config(path, {"graphs": project_file("graphs")}), ServerOptions(port=0))
    server.start()
    try:
        yield TransportOptions(server.address)
    finally:
        server.stop(0)


@pytest.fixture(scope="module")
def raw(native: TransportOptions) -> list[Result]:
    """The results of raw frames."""
    return run(replace(native, returned="labels,landmarks"))


def run(transport: TransportOptions, frames: int = FRAMES, options: RunOptions | None = None) -> list[Result]:
    options = options or RunOptions(limit_frames=frames, max_side=SIDE)
    with StreamClient(ensure_clip(), transport=transport, options=options) as client:
        return list(client)


def pixels_off(found: Result, expected: Result) -> npt.NDArray[np.float64]:
    """The distances of the body's visible landmarks, in pixels."""
    assert found.landmarks is not None
    assert expected.landmarks is not None
    here, there = found.landmarks.pose, expected.landmarks.pose
    away = (here[:, :2] - there[:, :2]) * expected.landmarks.size
    return np.asarray(np.hypot(*away.T)[there[:, 3] > 0.5], np.float64)


@pytest.mark.parametrize("quality", PIXELS_OFF)
def test_landmarks_of_jpeg_are_near_those_of_raw_frames(
    native: TransportOptions, raw: list[Result], quality: int
) -> None:
    found = run(replace(native, wire="jpeg", jpeg_quality=quality, returned="labels,landmarks"))
    assert len(found) == len(raw) == FRAMES
    assert any(result.landmarks is not None for result in raw)
    for ours, theirs in zip(found, raw, strict=True):
        assert (ours.landmarks is None) == (theirs.landmarks is None)
        if theirs.landmarks is not None:
            assert np.median(pixels_off(ours, theirs)) < PIXELS_OFF[quality]


def test_the_python_node_answers_as_the_calculators_do(native: TransportOptions, python: TransportOptions) -> None:
    encoded = replace(native, wire="jpeg"), replace(python, wire="jpeg")
    for ours, theirs in zip(*(run(each, 6) for each in encoded), strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
        assert not np.array_equal(ours.image, ours.frame.image)
        assert ours.landmarks is not None
        assert theirs.landmarks is not None
        np.testing.assert_allclose(ours.landmarks.pose, theirs.landmarks.pose, atol=1e-4)
        assert ours.label is not None
        assert theirs.label is not None
        assert ours.label.name == theirs.label.name


def test_each_frame_is_a_unary_call_too(native: TransportOptions) -> None:
    found = run(replace(native, wire="jpeg", api="unary"), 4)
    assert [result.frame.index for result in found] == list(range(4))
    assert all(result.landmarks is not None and result.label is not None for result in found)
    assert all(result.image.shape == result.frame.image.shape for result in found)


def test_pictures_come_back_in_the_width_of_the_source(native: TransportOptions) -> None:
    (only,) = run(replace(native, wire="jpeg"), options=RunOptions(limit_frames=1))
    width = only.frame.image.shape[1]
    assert width % 16
    assert only.image.shape == only.frame.image.shape
    assert np.abs(only.image.astype(int) - only.frame.image).mean() < 4


@pytest.mark.parametrize(
    ("settings", "option"),
    [({"wire": "jpeg", "model_name": "holisticPersons"}, "raw"), ({"model_name": "holisticEncoded"}, "jpeg")],
)
def test_a_graph_that_takes_other_frames_is_refused(
    native: TransportOptions, settings: dict[str, str], option: str
) -> None:
    with pytest.raises(ConfigurationError, match="encoded frames") as refused:
        run(replace(native, **settings), 1)  # type: ignore[arg-type]
    assert (refused.value.option, refused.value.value) == ("wire", option)
