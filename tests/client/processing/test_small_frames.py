"""Small frames on the wire, full-size results."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.errors import ConfigurationError
from stream_client.processing.small_frames import put_back, shrink, shrunk_size
from tests.support.kserve_server import ScriptedServer, answer

sides = st.integers(1, 5000)


def scene(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 200, (height, width, 3), dtype=np.uint8)


@given(sides, sides, st.integers(16, 2000))
def test_the_longer_side_fits_and_the_aspect_is_kept_to_the_pixel(width: int, height: int, most: int) -> None:
    small_width, small_height = shrunk_size(width, height, most)
    assert 1 <= max(small_width, small_height) <= max(most, 1)
    scale = min(1.0, most / max(width, height))
    assert abs(small_width - width * scale) <= 1
    assert abs(small_height - height * scale) <= 1


@pytest.mark.parametrize(("height", "width"), [(90, 160), (97, 161), (50, 320), (30, 20)])
def test_a_pixel_is_the_mean_of_those_under_it(height: int, width: int) -> None:
    small = shrink(scene(height, width), 80)
    assert small.shape == (*reversed(shrunk_size(width, height, 80)), 3)
    assert small.mean() == pytest.approx(scene(height, width).mean(), abs=2)


def test_small_frames_are_sent_as_they_are() -> None:
    image = scene(48, 64)
    assert shrink(image, 64) is image


def test_what_the_server_drew_is_put_on_the_full_size_frame_and_nothing_else_changes() -> None:
    full = scene(360, 640)
    sent = shrink(full, 160)
    returned = sent.copy()
    returned[20:30, 40:60] = (255, 0, 0)
    shown = put_back(full, sent, returned)
    assert shown.shape == full.shape
    assert (shown[88:112, 170:230] == (255, 0, 0)).all()
    outside = np.ones(full.shape[:2], bool)
    outside[72:128, 152:248] = False
    assert np.array_equal(shown[outside], full[outside])


def test_a_thin_slanting_line_stays_a_line() -> None:
    full = np.zeros((400, 400, 3), np.uint8)
    sent = shrink(full, 100)
    returned = sent.copy()
    returned[np.arange(10, 90), np.arange(10, 90)] = 255
    along = put_back(full, sent, returned)[np.arange(60, 340), np.arange(60, 340), 0]
    assert along.min() > 150


def test_a_server_that_drew_nothing_leaves_the_full_size_frame() -> None:
    full = scene(360, 640)
    sent = shrink(full, 160)
    assert put_back(full, sent, sent + np.uint8(3)) is full


def test_a_drawing_at_the_very_edge_stays_inside() -> None:
    full = scene(361, 643)
    sent = shrink(full, 160)
    returned = sent.copy()
    returned[-1, -1] = returned[0, 0] = (255, 255, 255)
    shown = put_back(full, sent, returned)
    assert shown.shape == full.shape
    assert not np.array_equal(shown[-4:, -4:], full[-4:, -4:])


def test_a_picture_of_another_size_is_enlarged() -> None:
    full = scene(360, 640)
    shown = put_back(full, shrink(full, 160), np.full((45, 80, 3), 9, np.uint8))
    assert shown.shape == full.shape
    assert (shown == 9).all()


@pytest.mark.parametrize("width", [640, 634])
def test_a_run_sends_small_frames_and_shows_large_ones(server: ScriptedServer, width: int) -> None:
    def draw(request: Any, number: int) -> Iterator[Any]:
        response = answer(request, "output")
        shape = request.inputs[0].shape
        image = np.frombuffer(response.raw_output_contents[0], np.uint8).reshape(shape).copy()
        image[:10, :10] = (0, 255, 0)
        response.raw_output_contents[0] = image.tobytes()
        yield response

    server.script = draw
    results: list[Result] = []
    frames = [scene(360, width) for _ in range(3)]
    transport = TransportOptions(server.address, model_name="graph")
    options = RunOptions(max_side=200, drop_policy="block")
    StreamClient(iter(frames), results.append, transport, options=options).run()
    sent = {tuple(request.inputs[0].shape) for request in server.requests}
    assert {shape[0] for shape in sent} == {shrunk_size(width, 360, 200)[1]}
    assert len(results) == 3
    for result in results:
        assert result.image.shape == (360, width, 3)
        assert (result.image[:20, :20] == (0, 255, 0)).all()
        assert np.array_equal(result.image[60:], frames[0][60:])


def test_sides_too_small_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\(max_side\)$"):
        RunOptions(max_side=8)
