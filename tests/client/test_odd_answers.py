"""Whole runs against a server with answers that nobody should give: they end, or go on, and say why in a line."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelMetadataResponse
from kserve_wire.names import TIMESTAMP
from kserve_wire.pictures import MAX_PIXELS
from stream_client import Result, RunOptions, StreamClient, Summary, TransportOptions
from stream_client.errors import ProtocolError, StreamClientError
from stream_client.transport.options import Api
from tests.support.kserve_server import Reply, Script, ScriptedServer, answer, echo

APIS = pytest.mark.parametrize("api", ["stream", "unary"])


def run(
    clip: Path, server: ScriptedServer, script: Script, api: Api = "stream", **options: Any
) -> tuple[Summary, list[Result]]:
    server.script = script
    results: list[Result] = []
    transport = TransportOptions(server.address, api=api, model_name="graph")
    return StreamClient(clip, results.append, transport, options=RunOptions(**options)).run(), results


def tensor(name: str, shape: list[int], data: bytes, datatype: str = "UINT8") -> Script:
    """Beside the image of the request, another output."""

    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        response = answer(request, "output")
        response.outputs.add(name=name, datatype=datatype, shape=shape)
        response.raw_output_contents.append(data)
        yield response

    return script


def empty(request: ModelInferRequest, number: int) -> Iterator[Reply]:
    response = ModelInferResponse(model_name=request.model_name)
    response.parameters[TIMESTAMP].CopyFrom(request.parameters[TIMESTAMP])
    yield response


@APIS
def test_an_answer_without_an_output_is_no_delivered_frame(clip: Path, server: ScriptedServer, api: Api) -> None:
    with pytest.raises(ProtocolError, match="has no output"):
        run(clip, server, empty, api)


def test_an_empty_message_is_no_delivered_frame(clip: Path, server: ScriptedServer) -> None:
    with pytest.raises(ProtocolError, match="has no output"):
        run(clip, server, lambda request, number: iter([b""]))


@APIS
def test_an_answer_without_an_output_fails_its_frame_only(clip: Path, server: ScriptedServer, api: Api) -> None:
    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        return (empty if number == 5 else echo)(request, number)

    summary, results = run(clip, server, script, api, max_inflight=1)
    assert summary.ledger.failed == {"server_error": 1}
    assert [result.frame.index for result in results] == [index for index in range(30) if index != 5]


@APIS
@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_no_label_and_are_said_once(
    clip: Path, server: ScriptedServer, api: Api, score: float, caplog: pytest.LogCaptureFixture
) -> None:
    server.outputs = ["output", "label_scores"]
    scores = tensor("label_scores", [1, 2], np.array([0.5, score], "<f4").tobytes(), "FP32")
    summary, results = run(clip, server, scores, api)
    assert summary.ledger.delivered == 30
    assert {result.label for result in results} == {None}
    assert [record.message for record in caplog.records] == [
        "scores of output 'label_scores' are NaN or infinite: such a frame has no label"
    ]


def test_a_score_of_any_size_is_drawn(clip: Path, server: ScriptedServer) -> None:
    server.outputs = ["output", "label_scores"]
    scores = tensor("label_scores", [1, 2], np.array([1.7e308, -1.7e308], "<f8").tobytes(), "FP64")
    summary, _ = run(clip, server, scores)
    assert summary.ledger.delivered == 30


def test_images_of_numbers_out_of_range_are_clipped(clip: Path, server: ScriptedServer) -> None:
    values = np.zeros((16, 16, 3), "<f8")
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf

    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        response = answer(request)
        response.outputs.add(name="output", datatype="FP64", shape=values.shape)
        response.raw_output_contents.append(values.tobytes())
        yield response

    _, results = run(clip, server, script)
    assert [image.tolist() for image in results[0].image[0, :3]] == [[0, 0, 0], [255, 255, 255], [0, 0, 0]]


def test_an_image_of_too_many_pixels_is_refused(clip: Path, server: ScriptedServer) -> None:
    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        response = answer(request)
        response.outputs.add(name="output", datatype="UINT8", shape=[MAX_PIXELS // 8 + 1, 8, 1])
        response.raw_output_contents.append(bytes(MAX_PIXELS + 8))
        yield response

    with pytest.raises(ProtocolError, match="pixels"):
        run(clip, server, script, limit_frames=1)


@APIS
def test_an_answer_above_the_bound_for_messages_ends_the_run(
    clip: Path, server: ScriptedServer, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_client.transport.channel._OPTIONS", [("grpc.max_receive_message_length", 1 << 20)])
    monkeypatch.setattr("stream_client.transport.http2.stream.MAX_ANSWER_BYTES", 1 << 20)
    with pytest.raises(StreamClientError, match="too long"):
        run(clip, server, tensor("extra", [2 << 20], bytes(2 << 20)), api, on_server_loss="fail")


def test_answers_to_no_frame_are_said_once_and_counted(
    clip: Path, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        yield answer(request, "output", timestamp=request.parameters[TIMESTAMP].int64_param + 7)
        yield answer(request, "output")

    summary, _ = run(clip, server, script)
    assert (summary.ledger.delivered, summary.ledger.strays) == (30, 30)
    assert "30 answers to no frame ignored" in summary.ledger.line()
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "which no frame has" in warnings[0]


def test_a_server_whose_answers_are_to_no_frame_counts_as_gone(clip: Path, server: ScriptedServer) -> None:
    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        yield answer(request, "output", timestamp=-1)

    with pytest.raises(StreamClientError, match="stopped answering"):
        run(clip, server, script, request_timeout=0.2, on_server_loss="fail")


def test_answers_that_come_too_late_are_said_once(
    clip: Path, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Frames 0 and 10 are answered together with the next one, which is sent when they have failed."""
    held: list[ModelInferRequest] = []

    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        held.append(request)
        if number not in (0, 10):
            yield from (answer(each, "output") for each in held)
            held.clear()

    summary, _ = run(clip, server, script, request_timeout=0.5, on_server_loss="fail", max_inflight=1)
    assert (summary.ledger.late, summary.ledger.failed) == (2, {"deadline": 2})
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 1
    assert "when its frame had failed" in warnings[0]
    assert "request_timeout" in warnings[0]


@pytest.mark.parametrize("identifier", ["9" * 6000, "9" * 20, "-", "x"])
def test_an_id_that_is_no_timestamp_is_none(clip: Path, server: ScriptedServer, identifier: str) -> None:
    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        response = answer(request, "output")
        response.parameters.clear()
        response.id = identifier
        yield response

    summary, _ = run(clip, server, script)
    assert summary.ledger.delivered == 30


@pytest.mark.parametrize("dimensions", [65, 5_000_000])
def test_metadata_of_absurd_shapes_is_refused(clip: Path, server: ScriptedServer, dimensions: int) -> None:
    server.metadata = ModelMetadataResponse(name="graph", platform="onnx")
    server.metadata.inputs.add(name="image", datatype="UINT8", shape=[1] * dimensions)
    with pytest.raises(ProtocolError, match="at most"):
        run(clip, server, echo)
