"""The graph server on the wire, asked by tritonclient and by hand."""

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from kserve_wire.messages import ModelInferRequest, ModelInferResponse
from stream_client.embedded import EmbeddedServer
from tests.conftest import ROOT
from tests.support.calls import calling, refusal, streaming
from tests.support.graph_server import ECHO, graph_server_process, stream_over
from tests.support.video import picture


@pytest.fixture(scope="module")
def server(models_dir: Path) -> Iterator[EmbeddedServer]:
    with graph_server_process() as made:
        yield made


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.address) as made:
        yield made


@pytest.fixture
def channel(server: EmbeddedServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as made:
        yield made


def request(image: Any = None, timestamp: Any = None, **changes: Any) -> Any:
    """A request for the pass-through graph."""
    image = picture(1) if image is None else image
    made = ModelInferRequest(model_name=changes.pop("model_name", "passThrough"))
    made.model_version = changes.pop("version", "")
    tensor = {"name": "image", "datatype": "UINT8", "shape": image.shape, **changes}
    made.inputs.add(**tensor)
    made.raw_input_contents.append(image.tobytes())
    if isinstance(timestamp, str):
        made.parameters["OVMS_MP_TIMESTAMP"].string_param = timestamp
    elif timestamp is not None:
        made.parameters["OVMS_MP_TIMESTAMP"].int64_param = timestamp
    return made


def unary_error(channel: grpc.Channel, made: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        calling(channel)(made.SerializeToString())
    return refusal(caught.value)


def test_the_control_plane_answers_as_ovms_does(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata().name == "OpenVINO Model Server"
    assert client.is_model_ready("holisticClassifier")
    metadata = client.get_model_metadata("holisticClassifier")
    assert (list(metadata.versions), metadata.platform) == (["1"], "OpenVINO")
    assert [(item.name, item.datatype, list(item.shape)) for item in metadata.inputs] == [
        ("first_input_video", "INVALID", [])
    ]
    assert [item.name for item in metadata.outputs] == ["label_scores", "output"]
    model = client.get_model_metadata("pose_classifier")
    assert [(item.name, item.datatype, list(item.shape)) for item in model.inputs] == [
        ("pose_landmarks", "FP32", [1, 195])
    ]
    with pytest.raises(InferenceServerException, match="Model with requested name is not found"):
        client.get_model_metadata("nothing")


def test_a_model_is_served_by_unary_calls(client: triton.InferenceServerClient) -> None:
    values = triton.InferInput("pose_landmarks", [1, 195], "FP32")
    values.set_data_from_numpy(np.random.default_rng(0).random((1, 195), np.float32))
    scores = client.infer("pose_classifier", [values]).as_numpy("scores")
    assert scores.shape == (1, 4)
    assert scores.sum() == pytest.approx(1.0, abs=1e-5)


def test_tritonclient_streams_and_gets_one_response_an_output(client: triton.InferenceServerClient) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put(error or result))
    image = np.zeros((96, 128, 3), np.uint8)
    for _ in range(3):
        value = triton.InferInput("first_input_video", image.shape, "UINT8")
        value.set_data_from_numpy(image)
        client.async_stream_infer("holisticClassifier", [value])
    got = [answers.get(timeout=30).get_response() for _ in range(6)]
    client.stop_stream()
    assert sorted(item.outputs[0].name for item in got) == ["label_scores"] * 3 + ["output"] * 3
    assert {item.id for item in got} == {""}
    stamps = {item.parameters["OVMS_MP_TIMESTAMP"].int64_param for item in got}
    assert len(stamps) == 3
    assert min(stamps) > 1_600_000_000_000_000


def test_unary_returns_all_outputs_and_the_id(client: triton.InferenceServerClient) -> None:
    value = triton.InferInput("first_input_video", [96, 128, 3], "UINT8")
    value.set_data_from_numpy(np.zeros((96, 128, 3), np.uint8))
    result = client.infer("holisticClassifier", [value], request_id="seven")
    assert result.get_response().id == "seven"
    assert result.as_numpy("output").shape == (96, 128, 3)
    assert result.as_numpy("label_scores").tolist() == [[0.0, 0.0, 0.0, 0.0]]


def test_unary_fails_as_a_whole_when_an_output_has_no_packet(channel: grpc.Channel) -> None:
    made = request(np.zeros((96, 128, 3), np.uint8), name="first_input_video", model_name="holisticClassifierSparse")
    assert unary_error(channel, made) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Mediapipe execution failed. MP status - Unknown error during mediapipe execution",
    )


def test_a_session_keeps_timestamps_and_drains_at_half_close(channel: grpc.Channel) -> None:
    answers, code, _ = stream_over(channel, *[request(picture(index), index * 1000) for index in range(10)])
    assert code is grpc.StatusCode.OK
    assert [item.infer_response.parameters["OVMS_MP_TIMESTAMP"].int64_param for item in answers] == [
        index * 1000 for index in range(10)
    ]
    assert answers[3].infer_response.raw_output_contents[0] == picture(3).tobytes()


def test_a_timestamp_that_does_not_rise_closes_the_call(channel: grpc.Channel) -> None:
    answers, code, details = stream_over(channel, request(timestamp=5), request(timestamp=5), request(timestamp=6))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(
        "Mediapipe execution failed. MP status - INVALID_ARGUMENT: CalculatorGraph::Run() failed: "
    )
    assert 'stream "image". Current minimum expected timestamp is 6 but received 5' in details
    assert all(not item.error_message for item in answers)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            request(timestamp="now"),
            "Malformed packet timestamp - Invalid timestamp format in request parameter OVMS_MP_TIMESTAMP. "
            "Should be int64; partial deserialization of subsequent requests",
        ),
        (
            request(timestamp=2**63 - 1),
            "Malformed packet timestamp - Timestamp::Done(); partial deserialization of subsequent requests",
        ),
        (request(name="foo"), "Unexpected input - foo is unexpected; partial deserialization of subsequent requests"),
        (
            request(shape=[48, 64]),
            "Invalid input shape - Invalid Mediapipe Image input shape size. Expected: 3; Actual: 2; "
            "partial deserialization of subsequent requests",
        ),
        (
            request(shape=[48, 0, 3]),
            "Invalid input shape - Invalid Mediapipe Image input width. Expected greater than 0; Actual: 0; "
            "Expected layout - HWC.; partial deserialization of subsequent requests",
        ),
        (
            request(shape=[48, 63, 3]),
            "Invalid content size of tensor proto - Invalid Mediapipe Image input buffer size. "
            "Actual: 9216; Expected: 9072; partial deserialization of subsequent requests",
        ),
        (
            request(datatype="FP32", shape=[16, 48, 3]),
            "Inputs inside buffer does not match expected format. - Invalid KFS request datatype, conversion to "
            "Mediapipe ImageFrame format failed.; partial deserialization of subsequent requests",
        ),
        (
            request(model_name="other"),
            "Subsequent request with incorrect servable name; validate subsequent requests",
        ),
        (request(version="2"), "Subsequent request with incorrect servable version; validate subsequent requests"),
    ],
)
def test_a_bad_request_is_answered_inside_the_stream_which_goes_on(channel: grpc.Channel, made: Any, text: str) -> None:
    answers, code, _ = stream_over(channel, request(timestamp=1), made, request(timestamp=2))
    assert code is grpc.StatusCode.OK
    assert [item.error_message for item in answers if item.error_message] == [text]
    assert sum(1 for item in answers if item.HasField("infer_response")) == 2


def test_calls_end_with_the_codes_of_ovms(channel: grpc.Channel) -> None:
    not_found = "Mediapipe graph definition with requested name is not found"
    assert stream_over(channel, request(model_name="x"))[1:] == (grpc.StatusCode.NOT_FOUND, not_found)
    assert stream_over(channel, request(model_name="pose_classifier"))[1:] == (grpc.StatusCode.NOT_FOUND, not_found)
    assert stream_over(channel)[1:] == (grpc.StatusCode.UNKNOWN, "Unknown error")
    assert unary_error(channel, request(model_name="x")) == (grpc.StatusCode.NOT_FOUND, not_found)
    assert unary_error(channel, request(timestamp="now")) == (grpc.StatusCode.UNKNOWN, "Unknown error")
    assert unary_error(channel, request(version="a"))[1] == "invalid model version format in request"
    empty = ModelInferRequest(model_name="passThrough")
    assert unary_error(channel, empty)[1] == "Invalid number of inputs - Not all input packets created"
    reserved = request()
    reserved.parameters["py"].string_param = "x"
    assert stream_over(channel, reserved)[1] is grpc.StatusCode.FAILED_PRECONDITION


def test_any_bytes_get_a_clear_status_and_the_next_client_is_served(channel: grpc.Channel) -> None:
    noise = np.random.default_rng(0)
    valid = request().SerializeToString()
    for _ in range(300):
        damaged = bytearray(valid[: noise.integers(0, 120)])
        for _ in range(3):
            if damaged:
                damaged[noise.integers(0, len(damaged))] = noise.integers(0, 256)
        with pytest.raises(grpc.RpcError) as caught:
            calling(channel)(bytes(damaged))
        assert caught.value.code() is not grpc.StatusCode.UNAVAILABLE
    answers, code, _ = stream_over(channel, request())
    assert (len(answers), code) == (1, grpc.StatusCode.OK)


def test_clients_that_vanish_free_their_sessions(server: EmbeddedServer, channel: grpc.Channel) -> None:
    for _ in range(50):
        with grpc.insecure_channel(server.address) as short:
            call = streaming(short)(iter([request().SerializeToString()] * 3))
            next(call)
            call.cancel()
    assert stream_over(channel, request())[1] is grpc.StatusCode.OK


@contextmanager
def child() -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A server as a person starts it, which signals end and not its standard input, and its address."""
    command = [sys.executable, "-m", "graph_server", *ECHO, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["grpc"]
        finally:
            process.kill()


def test_sigterm_takes_nothing_new_and_lets_sessions_end() -> None:
    with child() as (process, address):
        requests: queue.Queue[bytes | None] = queue.Queue()
        with grpc.insecure_channel(address) as channel:
            call = streaming(channel)(iter(requests.get, None))
            requests.put(request(timestamp=1).SerializeToString())
            next(call)
            process.send_signal(signal.SIGTERM)
            code = grpc.StatusCode.OK
            while code is grpc.StatusCode.OK:  # until the server takes nothing new
                with grpc.insecure_channel(address) as other:
                    code = calling(other).future(request().SerializeToString(), timeout=20).code()
            assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            requests.put(request(timestamp=2).SerializeToString())
            requests.put(None)
            assert len(list(call)) == 1
            assert call.code() is grpc.StatusCode.OK
        assert process.wait(30) == 0


def test_a_signal_that_reaches_another_thread_than_the_first_ends_the_server() -> None:
    with child() as (process, _):
        *_, thread = sorted(map(int, os.listdir(f"/proc/{process.pid}/task")))
        assert ctypes.CDLL(None).tgkill(process.pid, thread, signal.SIGTERM) == 0
        assert process.wait(30) == 0


def test_a_width_that_is_no_multiple_of_16_comes_back_sheared_as_from_ovms(channel: grpc.Channel) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    made = request(image, name="first_input_video", model_name="holisticTracking")
    response = ModelInferResponse.FromString(calling(channel)(made.SerializeToString()))
    rows = np.zeros((40, 160), np.uint8)
    rows[:, :150] = image.reshape(40, 150)
    assert response.raw_output_contents[0] == rows.tobytes()[: 40 * 50 * 3]


def test_rest_answers_health_and_metadata(server: EmbeddedServer) -> None:
    def get(path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://{server.rest_address}{path}", timeout=10) as answer:
                body = answer.read()
                return answer.status, json.loads(body) if body else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    assert get("/v2/health/live") == (200, None)
    assert get("/v2/health/ready") == (200, None)
    assert get("/v2")[1]["name"] == "OpenVINO Model Server"
    assert get("/v2/models/holisticTracking/ready") == (200, None)
    assert get("/v2/models/holisticTracking")[1]["outputs"] == [{"name": "output", "datatype": "INVALID", "shape": []}]
    assert get("/v2/models/nothing")[0] == 404
    assert get("/metrics") == (400, {"error": "Invalid request URL"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--config_path", "missing.json", "--port", "0"], "cannot read missing.json"),
        (["--model_name", "x", "--model_path", "missing", "--port", "0"], f"cannot read {ROOT}/missing"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(arguments: list[str], text: str) -> None:
    command = [sys.executable, "-m", "graph_server", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=110, check=False)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
