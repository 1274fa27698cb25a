"""NV12 and I420 to models that take planes, as OVMS's color_format makes them: against the graph server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from graph_server.config.server_config import single_servable
from graph_server.server import GraphServer, ServerOptions
from stream_client import ArraySource, BadInputError, Result, RunOptions, StreamClient, TransportOptions
from stream_client.frames import PlaneFormat, Points
from stream_client.monitoring.statistics import Statistics
from stream_client.sinks.video_file import FileSink
from stream_client.sources.base import Source
from stream_client.sources.file import FileSource
from stream_client.transport.options import Wire
from tests.conftest import ROOT
from tests.support.graph_server import write_onnx
from tests.support.video import write_video

WIDTH, HEIGHT = 64, 48
PLANES = {"layout": "NHWC:NCHW", "precision": "uint8:fp32"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphServer]:
    """Models that send the frame back as floats in 0…255; they take RGB, or planes."""
    folder = tmp_path_factory.mktemp("models")
    write_onnx(folder / "m" / "1" / "m.onnx", inputs={"x": (1, 3, HEIGHT, WIDTH)}, factor=1.0)
    graph = single_servable("graph", ROOT / "graphs" / "pass_through", {})
    colors = {"rgb": {}, "nv12": {"color_format": "RGB:NV12"}, "i420": {"color_format": "RGB:I420"}}
    models = tuple(single_servable(name, folder / "m", PLANES | color).models[0] for name, color in colors.items())
    started = GraphServer(replace(graph, models=models), ServerOptions(port=0, rest_port=0))
    started.start()
    yield started
    started.stop(0)


def run(
    server: GraphServer,
    source: Source,
    wire: Wire,
    model: str,
    *,
    pictures: bool = True,
    planes: bool = False,
    max_side: int | None = None,
) -> tuple[list[Result], int]:
    """Results, and the bytes that were sent."""
    options = TransportOptions(server.address, "unary", model, wire=wire, shared_memory=False)
    results: list[Result] = []
    tally = Statistics()
    StreamClient(
        *(source, results.append, options),
        options=RunOptions(max_side=max_side),
        observers=[tally],
        pictures=pictures,
        planes=planes,
    ).run()
    return results, tally.snapshot().bytes_sent


def seen(result: Result) -> Points:
    """What the network saw, float32 [height, width, 3]."""
    return np.asarray(result.outputs["x_out"].array[0].transpose(1, 2, 0), np.float32)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=2, width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("wire", ["nv12", "i420"])
def test_a_video_is_sent_as_it_was_decoded_in_half_the_bytes(
    server: GraphServer, clip: Path, wire: PlaneFormat
) -> None:
    raw, raw_bytes = run(server, FileSource(clip), "raw", "rgb")
    planes, bytes_sent = run(server, FileSource(clip), wire, wire)
    assert len(planes) == len(raw) == 2
    for ours, theirs in zip(planes, raw, strict=True):
        assert ours.frame.planes is not None
        assert np.abs(seen(ours) - seen(theirs)).mean() < 2
        assert np.abs(ours.frame.image.astype(int) - theirs.frame.image).mean() < 2, "the picture to show"
    assert bytes_sent < 0.55 * raw_bytes


def test_nobody_converts_a_frame_that_nobody_looks_at(server: GraphServer, clip: Path) -> None:
    (first, _), _ = run(server, FileSource(clip), "nv12", "nv12", pictures=False)
    assert not first.frame.image.any()
    assert first.frame.image.shape == (HEIGHT, WIDTH, 3)


def test_frames_of_rgb_become_planes(server: GraphServer) -> None:
    image = np.full((HEIGHT, WIDTH, 3), (200, 30, 90), np.uint8)
    (result,), _ = run(server, ArraySource([image]), "nv12", "nv12")
    assert np.abs(seen(result) - image).max() < 4
    assert np.array_equal(result.frame.image, image)


@pytest.mark.parametrize(
    ("wire", "model", "text"),
    [
        ("nv12", "rgb", r"takes UINT8 \[1, 48, 64, 3\] and no planes: serve a model with color_format RGB:NV12"),
        ("raw", "nv12", r"takes one channel: planes, where the server's color_format says NV12 or I420"),
    ],
)
def test_a_model_that_takes_something_else_is_refused(server: GraphServer, wire: Wire, model: str, text: str) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(BadInputError, match=text):
        run(server, ArraySource([image]), wire, model)


@pytest.mark.parametrize("wire", ["nv12", "i420"])
def test_a_graph_takes_planes_and_sends_them_back(server: GraphServer, clip: Path, wire: PlaneFormat) -> None:
    raw, raw_bytes = run(server, FileSource(clip), "raw", "graph")
    results, bytes_sent = run(server, FileSource(clip), wire, "graph")
    for ours, theirs in zip(results, raw, strict=True):
        assert ours.planes is None
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 2
    assert bytes_sent < 0.55 * raw_bytes


def test_no_image_is_made_of_planes_for_those_who_take_them(server: GraphServer, clip: Path) -> None:
    results, _ = run(server, FileSource(clip), "i420", "graph", planes=True)
    for result in results:
        assert not result.image.any()
        assert result.image.shape == (HEIGHT, WIDTH, 3)
        assert result.planes is not None
        assert result.frame.planes is not None
        assert result.planes.matrix == result.frame.planes.matrix
        assert np.array_equal(result.planes.array, result.frame.planes.array)


def test_a_file_is_written_from_planes(server: GraphServer, clip: Path, tmp_path: Path) -> None:
    options = TransportOptions(server.address, "unary", "graph", wire="i420")
    StreamClient(FileSource(clip), FileSink(tmp_path / "out.mp4"), options, planes=True).run()
    with av.open(str(clip)) as given, av.open(str(tmp_path / "out.mp4")) as written:
        for before, after in zip(given.decode(video=0), written.decode(video=0), strict=True):
            assert np.abs(after.to_ndarray().astype(int) - before.to_ndarray()).mean() < 2


def test_images_stay_where_the_source_has_no_planes(server: GraphServer) -> None:
    image = np.full((HEIGHT, WIDTH, 3), (200, 30, 90), np.uint8)
    (result,), _ = run(server, ArraySource([image]), "i420", "graph", planes=True)
    assert result.planes is None
    assert np.abs(result.image.astype(int) - image).max() < 4


def test_small_planes_come_back_on_the_large_frame(server: GraphServer, clip: Path) -> None:
    (first, _), _ = run(server, FileSource(clip), "i420", "graph", planes=True, max_side=32)
    assert first.planes is None
    assert np.array_equal(first.image, first.frame.image)
    assert first.image.any()


def test_planes_of_a_width_that_graphs_shear_are_refused(server: GraphServer) -> None:
    with pytest.raises(BadInputError, match="width can be divided by 16, the source's is 40: send raw frames"):
        run(server, ArraySource([np.zeros((HEIGHT, 40, 3), np.uint8)]), "i420", "graph")


@pytest.mark.parametrize(("height", "text"), [(46, "takes images of 64x48, the source gives 64x46"), (47, "64x48")])
def test_frames_of_another_size_are_refused(server: GraphServer, height: int, text: str) -> None:
    with pytest.raises(BadInputError, match=text):
        run(server, ArraySource([np.zeros((height, WIDTH, 3), np.uint8)]), "nv12", "nv12")
