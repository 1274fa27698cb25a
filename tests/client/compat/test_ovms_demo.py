"""A script written for the helper of OVMS's demo runs unchanged."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stream_client
from stream_client import StreamClientError
from stream_client.compat.ovms_demo import DemoClient
from tests.support.kserve_server import ScriptedServer, answer
from tests.support.video import picture, read_back

StreamClient: Any = stream_client.StreamClient
"""The demo's scripts have no types."""


@pytest.mark.parametrize("streaming", [True, False])
def test_the_demos_script_writes_every_frame(
    clip: Path, tmp_path: Path, server: ScriptedServer, capsys: pytest.CaptureFixture[str], streaming: bool
) -> None:
    # What demos/real_time_stream_analysis/python/client.py does, with NumPy instead of cv2.cvtColor.
    def preprocess(frame: Any) -> Any:
        return frame[:, :, ::-1]

    def postprocess(frame: Any, result: Any) -> Any:
        timestamps.append(result.get_response().parameters["OVMS_MP_TIMESTAMP"].int64_param)
        return result.as_numpy("output")[:, :, ::-1]

    timestamps: list[int] = []
    client = StreamClient(
        postprocess_callback=postprocess,
        preprocess_callback=preprocess,
        output_backend=StreamClient.OutputBackends.cv2,
        source=str(clip),
        sink=str(tmp_path / "out.mp4"),
        exact=True,
        benchmark=True,
        verbose=False,
    )
    client.start(
        ovms_address=server.address,
        input_name="image",
        model_name="graph",
        datatype=StreamClient.Datatypes.uint8,
        batch=False,
        limit_stream_duration=0,
        limit_frames=0,
        streaming_api=streaming,
    )
    frames = read_back(tmp_path / "out.mp4")
    assert len(frames) == len(timestamps) == 30
    assert timestamps == sorted(timestamps)
    assert np.abs(frames[9][1].astype(int) - picture(9)).mean() < 12
    assert json.loads(capsys.readouterr().out)["frames"] == 30


def test_the_demos_defaults_send_a_batch_of_floats(clip: Path, server: ScriptedServer) -> None:
    seen: list[tuple[int, ...]] = []

    def postprocess(frame: Any, result: Any) -> Any:
        seen.append(result.as_numpy("output").shape)
        return frame

    client = StreamClient(
        postprocess_callback=postprocess, source=str(clip), sink="", output_backend=StreamClient.OutputBackends.none
    )

    def script(request: Any, number: int) -> Iterator[Any]:
        response = answer(request, "output")
        response.outputs[0].datatype = "FP32"
        yield response

    server.script = script
    client.start(ovms_address=server.address, input_name="image", model_name="graph", limit_frames=4)
    assert seen == [(1, 48, 64, 3)] * 4


def show(frame: Any, result: Any) -> Any:
    return frame


def start(client: Any, address: str, limit_frames: int = 0) -> None:
    client.start(
        ovms_address=address,
        input_name="image",
        model_name="graph",
        datatype=StreamClient.Datatypes.uint8,
        batch=False,
        limit_frames=limit_frames,
        streaming_api=True,
    )


def make(source: object, postprocess: Callable[[Any, Any], Any] = show) -> Any:
    return StreamClient(
        postprocess_callback=postprocess, source=source, sink="", output_backend=DemoClient.OutputBackends.none
    )


def test_the_same_name_makes_the_demos_client_or_ours(clip: Path) -> None:
    assert isinstance(make(str(clip)), DemoClient)
    assert type(StreamClient(str(clip))) is stream_client.StreamClient
    assert StreamClient.OutputBackends is DemoClient.OutputBackends
    assert StreamClient.Datatypes is DemoClient.Datatypes


def test_the_demos_client_knows_its_connections_and_its_summary(clip: Path, server: ScriptedServer) -> None:
    with make(str(clip)) as client:
        assert (client.connections, client.summary) == ({}, None)
        start(client, server.address, limit_frames=3)
        assert client.summary.ledger.delivered == 3
        assert client.connections["server"].state == "ended"
        start(client, server.address, limit_frames=2)
        assert client.summary.ledger.delivered == 2


def test_stop_ends_the_start_of_the_demos_client(clip: Path, server: ScriptedServer) -> None:
    asked, waits = threading.Event(), threading.Event()

    def script(request: Any, number: int) -> Iterator[Any]:
        asked.set()
        waits.wait(10)
        yield answer(request, "output")

    server.script = script
    client = make(str(clip))
    client.stop()
    thread = threading.Thread(target=start, args=(client, server.address))
    thread.start()
    assert asked.wait(10)
    client.stop()
    thread.join(10)
    waits.set()
    assert not thread.is_alive()
    assert client.summary.ledger.delivered == 0


def test_a_callback_that_raises_ends_the_demos_run_with_its_error(clip: Path, server: ScriptedServer) -> None:
    with (
        make(str(clip), lambda frame, result: 1 / 0) as client,
        pytest.raises(StreamClientError, match="division by zero"),
    ):
        start(client, server.address)


@pytest.mark.parametrize("wrong", ["preprocess", "sinks", "ovms_address"])
def test_a_keyword_that_the_demo_does_not_have_is_refused(wrong: str) -> None:
    with pytest.raises(TypeError, match=f"DemoClient.*'{wrong}'"):
        StreamClient(postprocess_callback=show, source="a.mp4", sink="", **{wrong: None})
