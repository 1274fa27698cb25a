"""A real KServe v2 server over gRPC, with plain protobuf, that misbehaves on request."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc

from kserve_wire.messages import (
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelMetadataResponse,
    ModelStreamInferResponse,
    ServerMetadataResponse,
)
from kserve_wire.names import SERVICE, TIMESTAMP

Reply = ModelInferResponse | bytes | str | tuple[grpc.StatusCode, str]
"""A response, a message's own bytes, the text of an error, or a status to end with."""
Script = Callable[[ModelInferRequest, int], Iterator[Reply]]
"""From a request and its number to what is sent back."""


def answer(request: ModelInferRequest, *outputs: str, timestamp: int | None = None) -> ModelInferResponse:
    """A response with the request's image, or scores, under each of the names in ``outputs``."""
    response = ModelInferResponse(model_name=request.model_name, model_version="1")
    key = request.parameters[TIMESTAMP].int64_param if timestamp is None else timestamp
    response.parameters[TIMESTAMP].int64_param = key
    for name in outputs:
        if name == "label_scores":
            response.outputs.add(name=name, datatype="FP32", shape=[1, 2])
            response.raw_output_contents.append(bytes.fromhex("0000803e0000403f"))  # 0.25, 0.75
        else:
            response.outputs.add(name=name, datatype="UINT8", shape=request.inputs[0].shape)
            response.raw_output_contents.append(request.raw_input_contents[0])
    return response


def echo(request: ModelInferRequest, number: int) -> Iterator[Reply]:
    """The image comes back."""
    yield answer(request, "output")


def image_and_label(request: ModelInferRequest, number: int) -> Iterator[Reply]:
    """Two outputs, each as its own message, the label first."""
    yield answer(request, "label_scores")
    yield answer(request, "output")


class ScriptedServer:
    """Serves ``graph`` with the outputs that :attr:`outputs` lists, answering by :attr:`script`."""

    def __init__(self, address: str = "", credentials: grpc.ServerCredentials | None = None) -> None:
        self._address = address
        self._credentials = credentials
        self.script: Script = echo
        self.outputs = ["output"]
        self.name, self.version = "scripted", "1"
        self.graphs: tuple[str, ...] = ("holisticClassifier", "graph")
        self.requests: list[ModelInferRequest] = []
        self.deadlines: list[float] = []  # seconds that each unary call gives the server
        self.metadata: ModelMetadataResponse | None = None
        self._pool = ThreadPoolExecutor(16)
        self._server: grpc.Server | None = None
        self.port = 0
        self.sessions = 0
        self.ends: queue.Queue[str] = queue.Queue()  # "closed" or "cancelled" by the client

    def __enter__(self) -> "ScriptedServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._pool.shutdown()

    @property
    def address(self) -> str:
        return self._address or f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, on the same port as before if there was one."""
        self._server = grpc.server(self._pool, options=[("grpc.max_receive_message_length", -1)])
        unary = {"ModelMetadata": self._model_metadata, "ServerMetadata": self._server_metadata}
        methods: dict[str, Any] = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in unary.items()}
        methods["ModelInfer"] = grpc.unary_unary_rpc_method_handler(self._infer)
        methods["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._stream)
        handler = grpc.method_handlers_generic_handler(SERVICE, methods)
        self._server.add_generic_rpc_handlers((handler,))
        if self._credentials is not None:
            self.port = self._server.add_secure_port(self.address, self._credentials)
        else:
            self.port = self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        """Cut every connection."""
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    def _server_metadata(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        return ServerMetadataResponse(name=self.name, version=self.version).SerializeToString()

    def _model_metadata(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        request = ModelMetadataRequest.FromString(data)
        if request.name not in self.graphs:
            context.abort(grpc.StatusCode.NOT_FOUND, "Model with requested name is not found")
        if self.metadata is not None:
            return self.metadata.SerializeToString()
        made = ModelMetadataResponse(name=request.name, platform="OpenVINO", versions=["1"])
        made.inputs.add(name="image", datatype="INVALID")
        for name in self.outputs:
            made.outputs.add(name=name, datatype="INVALID")
        return made.SerializeToString()

    def _infer(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        request = ModelInferRequest.FromString(data)
        self.requests.append(request)
        self.deadlines.append(context.time_remaining())
        merged = ModelInferResponse()
        for item in self.script(request, len(self.requests) - 1):
            if isinstance(item, tuple):
                context.abort(*item)
            assert isinstance(item, ModelInferResponse)
            merged.MergeFrom(item)
        merged.id = request.id
        return merged.SerializeToString()

    def _stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self.sessions += 1
        try:
            for data in requests:
                request = ModelInferRequest.FromString(data)
                self.requests.append(request)
                for item in self.script(request, len(self.requests) - 1):
                    if isinstance(item, tuple):
                        context.abort(*item)
                    elif isinstance(item, str):
                        yield ModelStreamInferResponse(error_message=item).SerializeToString()
                    elif isinstance(item, bytes):
                        yield item
                    else:
                        yield ModelStreamInferResponse(infer_response=item).SerializeToString()
        except grpc.RpcError:
            self.ends.put("cancelled")
        else:
            self.ends.put("closed")


def slow(seconds: float) -> Script:
    """Echo after a pause."""

    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        time.sleep(seconds)
        yield answer(request, "output")

    return script


def gate(opened: threading.Event) -> Script:
    """Echo once ``opened`` is set."""

    def script(request: ModelInferRequest, number: int) -> Iterator[Reply]:
        opened.wait(10)
        yield answer(request, "output")

    return script
