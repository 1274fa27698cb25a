"""Calls over plain gRPC and protobuf: what a rule sends, and what it looks at."""

import queue
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from kserve_wire import messages
from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from kserve_wire.names import method_path
from tests.support.calls import calling, refusal, streaming

TIMESTAMP = "OVMS_MP_TIMESTAMP"
SECONDS = 50.0  # a deadline instead of a test that hangs

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
NOT_FOUND = grpc.StatusCode.NOT_FOUND
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
UNKNOWN = grpc.StatusCode.UNKNOWN
OK = grpc.StatusCode.OK

DATATYPES = {
    np.dtype("?"): "BOOL", np.dtype("u1"): "UINT8", np.dtype("<u2"): "UINT16", np.dtype("<u4"): "UINT32",
    np.dtype("<u8"): "UINT64", np.dtype("i1"): "INT8", np.dtype("<i2"): "INT16", np.dtype("<i4"): "INT32",
    np.dtype("<i8"): "INT64", np.dtype("<f2"): "FP16", np.dtype("<f4"): "FP32", np.dtype("<f8"): "FP64",
}  # fmt: skip


def request(
    graph: str, *inputs: tuple[str, npt.NDArray[Any]], timestamp: Any = None, version: str = "", identity: str = ""
) -> ModelInferRequest:
    """A request with raw contents; a ``timestamp`` that is a text or bool is sent as that type."""
    made = ModelInferRequest(model_name=graph, model_version=version, id=identity)
    for name, value in inputs:
        made.inputs.add(name=name, datatype=DATATYPES[value.dtype], shape=value.shape)
        made.raw_input_contents.append(value.tobytes())
    if timestamp is not None:
        parameter(made, TIMESTAMP, timestamp)
    return made


def parameter(made: ModelInferRequest, name: str, value: Any) -> ModelInferRequest:
    """Set a request's parameter; ``None`` sets one without a value."""
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param"}
    if value is None:
        made.parameters[name].SetInParent()
    else:
        setattr(made.parameters[name], kinds[type(value)], value)
    return made


def image(seed: int = 0, height: int = 48, width: int = 64, channels: int = 3) -> npt.NDArray[np.uint8]:
    """Noise that tells one frame from another."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, channels), np.uint8)


def echo(timestamp: Any = None, seed: int = 0, **fields: Any) -> ModelInferRequest:
    """A request for the graph that gives an image back."""
    return request("passThrough", ("image", image(seed)), timestamp=timestamp, **fields)


def tensor(value: Any, timestamp: Any = None, graph: str = "tensor") -> ModelInferRequest:
    """A request for the graph that gives a tensor back."""
    return request(graph, ("in", np.asarray(value)), timestamp=timestamp)


def stamp(answer: ModelStreamInferResponse | ModelInferResponse) -> int:
    """The timestamp of an answer in a stream, or of a unary one."""
    response = answer if isinstance(answer, ModelInferResponse) else answer.infer_response
    return response.parameters[TIMESTAMP].int64_param


class Ended:
    """How a stream went: its answers, and the status that it ended with."""

    def __init__(self, answers: Sequence[ModelStreamInferResponse], code: grpc.StatusCode, details: str) -> None:
        self.answers = [item.infer_response for item in answers if item.HasField("infer_response")]
        self.errors = [item.error_message for item in answers if item.error_message]
        self.messages = list(answers)
        self.code = code
        self.details = details


class Conversation:
    """A stream whose requests are sent one by one."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._call = streaming(channel)(iter(self._requests.get, None), timeout=SECONDS)

    def send(self, *made: ModelInferRequest | bytes) -> None:
        for item in made:
            self._requests.put(item if isinstance(item, bytes) else item.SerializeToString())

    def receive(self) -> ModelStreamInferResponse:
        """The next message."""
        return ModelStreamInferResponse.FromString(next(self._call))

    def close(self) -> Ended:
        """Close the client's side and read the rest."""
        self._requests.put(None)
        return self.rest()

    def rest(self) -> Ended:
        """Read until the server ends the call, without closing before it does."""
        answers = []
        try:
            for data in self._call:
                answers.append(ModelStreamInferResponse.FromString(data))
        except grpc.RpcError:
            pass
        finally:
            self._requests.put(None)
        return Ended(answers, self._call.code(), self._call.details())

    def cancel(self) -> None:
        """Vanish."""
        self._call.cancel()
        self._requests.put(None)


class Wire:
    """A server, as its clients see it."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(
            address, [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        )

    def disconnect(self) -> None:
        self._channel.close()

    def call(self, method: str, **fields: Any) -> Any:
        """A call of the control plane; raises :class:`grpc.RpcError`."""
        data = getattr(messages, f"{method}Request")(**fields).SerializeToString()
        answer = calling(self._channel, method_path(method))(data, timeout=SECONDS)
        return getattr(messages, f"{method}Response").FromString(answer)

    def infer(self, made: ModelInferRequest) -> ModelInferResponse:
        """A unary inference; raises :class:`grpc.RpcError`."""
        answer = calling(self._channel)(made.SerializeToString(), timeout=SECONDS)
        return ModelInferResponse.FromString(answer)

    def refusal(self, made: ModelInferRequest) -> tuple[grpc.StatusCode, str]:
        """How a unary inference is refused."""
        try:
            self.infer(made)
        except grpc.RpcError as error:
            return refusal(error)
        return OK, ""

    def refused_call(self, method: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
        """How a call of the control plane is refused."""
        try:
            self.call(method, **fields)
        except grpc.RpcError as error:
            return refusal(error)
        return OK, ""

    def converse(self) -> Conversation:
        return Conversation(self._channel)

    def stream(self, *made: ModelInferRequest | bytes) -> Ended:
        """A whole session: everything is sent, the client's side closed, the rest read."""
        conversation = self.converse()
        conversation.send(*made)
        return conversation.close()
