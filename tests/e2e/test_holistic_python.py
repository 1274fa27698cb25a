"""Holistic inference as a Python node gives the client what the server's own calculators give."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from graph_server.assets import ensure_clip, shipped_mounts
from graph_server.config.server_config import ServerConfig, read_config
from graph_server.resources import project_file
from graph_server.server import GraphServer, ServerOptions
from kserve_wire.messages import ModelInferRequest
from stream_client import Result, RunOptions, StreamClient, TransportOptions
from tests.conftest import ROOT
from tests.support.graph_server import unary

FRAMES = 40


@contextmanager
def serving(config: ServerConfig) -> Iterator[TransportOptions]:
    server = GraphServer(config, ServerOptions(port=0))
    server.start()
    try:
        yield TransportOptions(server.address, model_name="holisticClassifier")
    finally:
        server.stop(0)


@pytest.fixture(scope="module")
def native(models_dir: Path) -> Iterator[TransportOptions]:
    """The graph of calculators."""
    path = project_file("server_config/config.json")
    with serving(read_config(path, shipped_mounts(path, models_dir))) as transport:
        yield transport


@pytest.fixture(scope="module")
def python(models_dir: Path) -> Iterator[TransportOptions]:
    """The graph of one Python node."""
    path = ROOT / "server_config" / "config_python.json"
    with serving(read_config(path, {"graphs": project_file("graphs")})) as transport:
        yield transport


@pytest.fixture(scope="module")
def demo() -> Path:
    """The demo's clip: one person, who moves."""
    return ensure_clip()


def labeled(clip: Path, transport: TransportOptions, *, frames: int = FRAMES) -> list[Result]:
    with StreamClient(clip, transport=transport, options=RunOptions(limit_frames=frames)) as client:
        return list(client)


def scores(result: Result) -> list[float]:
    """None where nobody is seen."""
    return [] if result.label is None else list(result.label.scores.values())


def test_the_outputs_are_those_of_the_native_graph(
    native: TransportOptions, python: TransportOptions, demo: Path
) -> None:
    expected = labeled(demo, native)
    found = labeled(demo, python)
    assert [result.frame.index for result in found] == list(range(FRAMES))
    assert any(result.label is not None for result in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert scores(ours) == pytest.approx(scores(theirs), abs=1e-3)
        # A landmark on the border between two pixels may be drawn on either.
        assert np.any(ours.image != theirs.image, axis=2).mean() < 0.002


def test_unary_calls_are_served_too(native: TransportOptions, python: TransportOptions, demo: Path) -> None:
    expected = labeled(demo, replace(native, api="unary"), frames=8)
    found = labeled(demo, replace(python, api="unary"), frames=8)
    assert any(result.label is not None for result in expected)
    assert [scores(result) for result in found] == [pytest.approx(scores(result), abs=1e-3) for result in expected]


def test_sessions_have_a_tracking_of_their_own(python: TransportOptions, demo: Path) -> None:
    alone = labeled(demo, python, frames=20)
    together: list[list[Result]] = []
    threads = [threading.Thread(target=lambda: together.append(labeled(demo, python, frames=20))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 2
    for results in together:
        for ours, theirs in zip(results, alone, strict=True):
            assert np.array_equal(ours.image, theirs.image)


@pytest.mark.parametrize(
    ("datatype", "shape"), [("FP32", (4, 4, 3)), ("UINT8", (4, 4)), ("UINT8", (4, 4, 2)), ("UINT8", (0, 4, 3))]
)
def test_what_is_no_frame_fails_the_call_and_leaves_the_server(
    python: TransportOptions, demo: Path, datatype: str, shape: tuple[int, ...]
) -> None:
    made = ModelInferRequest(model_name="holisticClassifier")
    made.inputs.add(name="first_input_video", datatype=datatype, shape=shape)
    made.inputs.add(name="frame_timestamp", datatype="INT64", shape=[1])
    image = np.zeros(shape, np.float32 if datatype == "FP32" else np.uint8)
    made.raw_input_contents.extend([image.tobytes(), np.array([1], np.int64).tobytes()])
    with pytest.raises(grpc.RpcError) as refused:
        unary(python.address, made)
    assert "Error occurred during graph execution" in str(refused.value.details())
    assert len(labeled(demo, python, frames=2)) == 2
