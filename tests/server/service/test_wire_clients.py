"""Clients that people have: tritonclient in its three ways, and what OVMS's documentation does with it."""

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from graph_server.assets import ensure_clip
from tests.support.graph_server import CONFORMANCE, graph_server_process
from tests.support.video import picture, rgb

TIMESTAMP = "OVMS_MP_TIMESTAMP"
Answers = dict[str, list[tuple[int, bytes]]]


@pytest.fixture(scope="module")
def address(models_dir: Path) -> Iterator[str]:
    """A server with all graphs."""
    with graph_server_process(*CONFORMANCE) as server:
        yield server.address


@pytest.fixture
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as made:
        yield made


def tensor(name: str, value: npt.NDArray[Any], datatype: str = "UINT8") -> triton.InferInput:
    made = triton.InferInput(name, value.shape, datatype)
    made.set_data_from_numpy(value)
    return made


def test_unary_calls_give_arrays(client: triton.InferenceServerClient) -> None:
    result = client.infer(
        "passThrough",
        [tensor("image", picture(3))],
        outputs=[triton.InferRequestedOutput("output")],
        request_id="three",
        timeout=10_000_000,  # a parameter of Triton's, which the graph does not know
    )
    assert np.array_equal(result.as_numpy("output"), picture(3))
    assert result.get_response().id == "three"


def test_unary_calls_that_are_refused_raise_with_ovms_text(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="Unexpected input - foo is unexpected") as caught:
        client.infer("passThrough", [tensor("foo", picture(3))])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_hundred_asynchronous_calls_at_once_come_back_to_their_callers(client: triton.InferenceServerClient) -> None:
    answers: queue.SimpleQueue[tuple[int, Any, Any]] = queue.SimpleQueue()
    for index in range(100):
        client.async_infer(
            "passThrough",
            [tensor("image", picture(index))],
            callback=lambda result, error, index=index: answers.put((index, result, error)),
            request_id=str(index),
        )
    for _ in range(100):
        index, result, error = answers.get(timeout=30)
        assert error is None
        assert result.get_response().id == str(index)
        assert np.array_equal(result.as_numpy("output"), picture(index))


def test_a_stream_tells_of_its_errors_and_goes_on(client: triton.InferenceServerClient) -> None:
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.start_stream(lambda result, error: answers.put(error or result))
    for timestamp, name in enumerate(["image", "foo", "image"]):
        inputs = [tensor(name, picture(timestamp))]
        client.async_stream_infer("passThrough", inputs, parameters={TIMESTAMP: timestamp}, request_id="x")
    client.stop_stream()
    got = [answers.get(timeout=30) for _ in range(3)]
    (error,) = [item for item in got if isinstance(item, InferenceServerException)]
    assert error.message() == "Unexpected input - foo is unexpected; partial deserialization of subsequent requests"
    results = [item for item in got if item is not error]
    assert [item.get_response().parameters[TIMESTAMP].int64_param for item in results] == [0, 2]
    assert [item.get_response().id for item in results] == ["", ""]
    assert np.array_equal(results[1].as_numpy("output"), picture(2))


def test_a_stream_that_fails_ends_with_ovms_text(client: triton.InferenceServerClient) -> None:
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.start_stream(lambda result, error: answers.put(error or result))
    got = []
    for timestamp in (5, 5):
        client.async_stream_infer("passThrough", [tensor("image", picture(1))], parameters={TIMESTAMP: timestamp})
        got.append(answers.get(timeout=30))
    client.stop_stream()
    assert np.array_equal(got[0].as_numpy("output"), picture(1))
    assert isinstance(got[1], InferenceServerException)
    assert "Packet timestamp mismatch" in got[1].message()


def test_the_holistic_demos_loop_works_with_its_defaults(client: triton.InferenceServerClient) -> None:
    # demos/mediapipe/holistic_tracking: read a picture, infer with the output asked for, write what comes.
    with av.open(str(ensure_clip())) as container:
        frame = next(container.decode(video=0))
    image = frame.to_ndarray(width=640, height=360, format="rgb24")
    for _ in range(2):
        inputs = [triton.InferInput("first_input_video", image.shape, "UINT8")]
        inputs[0].set_data_from_numpy(image)
        results = client.infer(
            model_name="holisticTracking", inputs=inputs, outputs=[triton.InferRequestedOutput("output")]
        )
        output = results.as_numpy("output")
        assert (output.shape, output.dtype) == (image.shape, np.uint8)


def test_the_control_plane_speaks_json_too(client: triton.InferenceServerClient) -> None:
    metadata = client.get_model_metadata("twoInputs", as_json=True)
    assert [item["name"] for item in metadata["inputs"]] == ["first", "second"]
    assert client.get_server_metadata(as_json=True)["name"] == "OpenVINO Model Server"
    assert client.is_model_ready("pose_classifier", "1")
    with pytest.raises(InferenceServerException, match="Model with requested version is not found"):
        client.is_model_ready("pose_classifier", "2")


def session(address: str, frames: Sequence[npt.NDArray[np.uint8]]) -> Answers:
    """All packets of each output of a session with these frames."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with triton.InferenceServerClient(address) as client:
        client.start_stream(lambda result, error: answers.put(error or result))
        for index, frame in enumerate(frames):
            inputs = [tensor("first_input_video", frame)]
            client.async_stream_infer("holisticClassifier", inputs, parameters={TIMESTAMP: index * 33_333})
        client.stop_stream()
    packets: Answers = {}
    for _ in range(2 * len(frames)):
        response = answers.get(timeout=30).get_response()
        packet = (response.parameters[TIMESTAMP].int64_param, response.raw_output_contents[0])
        packets.setdefault(response.outputs[0].name, []).append(packet)
    return packets


def test_two_clients_at_once_get_the_same_as_each_alone(address: str) -> None:
    with av.open(str(ensure_clip())) as container:
        frames = [rgb(frame, 384, 216) for frame, _ in zip(container.decode(video=0), range(150), strict=False)]
    # Two people's walks, or two parts of one: each session has regions and smoothing of its own.
    parts = (frames[90:105], frames[140:125:-1])
    alone = [session(address, part) for part in parts]
    together: dict[int, Answers] = {}

    def run(index: int) -> None:
        together[index] = session(address, parts[index % 2])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone[0] != alone[1]
    # Somebody was seen: landmarks are drawn, and the classifier has scores.
    drawn = [data != frame.tobytes() for (_, data), frame in zip(alone[0]["output"], parts[0], strict=True)]
    assert sum(drawn) > len(drawn) // 2
    for index in range(4):
        assert together[index] == alone[index % 2]
