"""Encoded frames to a server and back, against the same frames raw."""

import os
import signal
import subprocess
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
from stream_client import ConfigurationError, EmbeddedOptions, Result, RunOptions, StreamClient, TransportOptions
from stream_client.embedded import EmbeddedServer
from stream_client.sources.file import FileSource
from tests.conftest import ROOT

FRAMES = 12
SIDE = 640
PIXELS_OFF = {60: 6.0, 90: 4.0}
"""By quality: how far visible landmarks of a JPEG may be from those of the raw frame, the median of a frame."""


@pytest.fixture(scope="module")
def native(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransportOptions]:
    """A server with the graphs of calculators, and one that draws on raw frames."""
    shipped = project_file("server_config/config.json")
    config = read_config(shipped, shipped_mounts(shipped, models_dir))
    drawn = tmp_path_factory.mktemp("drawn") / "graph.pbtxt"
    text = project_file("graphs/holistic_data/graph.pbtxt").read_text()
    text = text.replace('output_stream: "COUNT:', 'output_stream: "IMAGE:output"\n  output_stream: "COUNT:')
    drawn.write_text(f'output_stream: "IMAGE:output"\n{text}')
    data = next(graph for graph in config.graphs if graph.name == "holisticData")
    graphs = (*config.graphs, replace(data, name="drawn", graph_path=drawn))
    server = GraphServer(replace(config, graphs=graphs), ServerOptions(port=0))
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


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clip with B-frames, a width that is no multiple of 16 and a key frame in eight."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    encode = ("-vf", "scale=890:-2", "-c:v", "libx264", "-preset", "fast", "-bf", "2", "-g", "8", "-frames:v", "16")
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "3", "-i", ensure_clip(), *encode, path], check=True)
    return path


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


def results_of(clip: Path, transport: TransportOptions, **options: object) -> list[Result]:
    with StreamClient(clip, transport=transport, options=RunOptions(**options)) as client:  # type: ignore[arg-type]
        return list(client)


def assert_same_data(found: list[Result], expected: list[Result]) -> None:
    """To the bit."""
    assert [result.frame.timestamp for result in found] == [result.frame.timestamp for result in expected]
    assert any(result.landmarks is not None for result in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.outputs.keys() == theirs.outputs.keys()
        for name, tensor in ours.outputs.items():
            np.testing.assert_array_equal(tensor.array, theirs.outputs[name].array, err_msg=name)


def test_data_of_h264_is_that_of_raw_frames_to_the_bit(
    native: TransportOptions, python: TransportOptions, h264: Path
) -> None:
    raw = results_of(h264, replace(native, returned="labels,landmarks"))
    for server in (native, python):
        found = results_of(h264, replace(server, wire="h264", returned="labels,landmarks"))
        assert all(result.frame.encoded is not None for result in found)
        for ours, theirs in zip(found, raw, strict=True):
            np.testing.assert_array_equal(ours.frame.image, theirs.frame.image)
        if server is native:
            assert_same_data(found, raw)


def test_the_client_draws_what_the_server_draws(native: TransportOptions, h264: Path) -> None:
    drawn = results_of(h264, replace(native, model_name="drawn"))
    for wire in ("raw", "h264"):
        found = results_of(h264, replace(native, wire=wire, returned="labels,landmarks"))
        assert len(found) == len(drawn)
        assert not np.array_equal(found[-1].image, found[-1].frame.image)
        for ours, theirs in zip(found, drawn, strict=True):
            np.testing.assert_array_equal(ours.image, theirs.image)


def test_an_automatic_wire_is_what_the_graph_takes(native: TransportOptions, h264: Path) -> None:
    auto = replace(native, wire="auto")
    assert results_of(h264, auto, limit_frames=2)[0].frame.encoded is not None
    raw = replace(auto, model_name="holisticData")
    assert results_of(h264, raw, limit_frames=2)[0].frame.encoded is None
    assert results_of(h264, auto, limit_frames=2, max_side=320)[0].frame.encoded is None
    assert results_of(ensure_clip(), auto, limit_frames=2, max_side=320)[0].frame.encoded is None


def test_dropped_frames_leave_nobody_without_a_picture(native: TransportOptions, h264: Path) -> None:
    """The server takes the frames of a source that does not wait; some are too many."""
    source = FileSource(h264, realtime=True, loop=True)
    options = RunOptions(limit_frames=90, max_inflight=1)
    transport = replace(native, wire="h264", returned="labels,landmarks")
    with StreamClient(source, transport=transport, options=options) as client:
        found = list(client)
    assert client.summary is not None
    books = client.summary.ledger
    assert books.dropped.get("replaced", 0) > 0
    assert set(books.dropped) <= {"replaced", "in_graph", "overwritten"}
    assert not books.failed
    assert books.dropped.get("in_graph", 0) <= 4
    assert all(result.frame.image.any() for result in found)


@pytest.mark.timeout(240)  # it loads all models twice
def test_a_server_that_is_started_again_gets_a_key_frame_first(models_dir: Path, h264: Path) -> None:
    server = EmbeddedServer(EmbeddedOptions(models_dir=models_dir))
    transport = TransportOptions(wire="h264", returned="labels,landmarks")
    options = RunOptions(max_inflight=2, request_timeout=60, reconnect_timeout=200)
    found = []
    with server, StreamClient(h264, transport=transport, embedded=server, options=options) as client:
        for result in client:
            found.append(result)
            if len(found) == 11:
                os.kill(server.pid, signal.SIGKILL)
    assert [result.frame.index for result in found] == list(range(16))
    assert all(result.frame.image.any() for result in found)


@pytest.mark.parametrize(
    ("settings", "options", "text"),
    [
        ({}, {"max_side": 320}, "max_side changes pixels"),
        ({"api": "unary"}, {}, "need a session"),
    ],
)
def test_h264_is_refused_where_it_cannot_be(
    native: TransportOptions, h264: Path, settings: dict[str, str], options: dict[str, int], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        results_of(h264, replace(native, wire="h264", **settings), **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="to be passed on") as refused:
        results_of(ensure_clip(), replace(native, wire="h264"))
    assert refused.value.value == "jpeg"
