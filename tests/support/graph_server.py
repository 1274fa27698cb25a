"""The graph server in this process or in one of its own, and requests for its pass-through graph."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import numpy.typing as npt

from graph_server.config.server_config import ServerConfig, single_servable
from graph_server.faults.options import parse_faults
from graph_server.resources import cache_folder
from graph_server.server import GraphServer, ServerOptions
from kserve_wire.messages import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from kserve_wire.names import TIMESTAMP
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from tests.conftest import ROOT
from tests.support.calls import calling, streaming
from tests.support.ports import free_port
from tests.support.video import picture

ECHO = ("--model_name", "passThrough", "--model_path", str(ROOT / "graphs" / "pass_through"))
"""Flags of a server with only the graph that gives the frame back."""
CONFORMANCE = (
    *("--config_path", str(ROOT / "tests" / "conformance" / "config.json")),
    *("--mount", f"models={cache_folder() / 'models'}", "--mount", f"project={ROOT / 'graphs'}"),
)
"""Flags of a server with every graph that the rules of the wire need."""


def pass_through() -> ServerConfig:
    return single_servable("passThrough", ROOT / "graphs" / "pass_through")


@contextmanager
def graph_server(
    *faults: str, config: ServerConfig | None = None, port: int = 0, **options: Any
) -> Iterator[GraphServer]:
    """A server on loopback, by default on any port and of the pass-through graph."""
    made = GraphServer(config or pass_through(), ServerOptions(port=port, faults=parse_faults(faults), **options))
    made.start()
    try:
        yield made
    finally:
        made.stop(0)


def request(timestamp: int, name: str = "image", image: npt.NDArray[Any] | None = None) -> ModelInferRequest:
    image = picture(timestamp % 100) if image is None else image
    made = ModelInferRequest(model_name="passThrough", id=str(timestamp))
    made.inputs.add(name=name, datatype="UINT8", shape=image.shape)
    made.raw_input_contents.append(image.tobytes())
    made.parameters[TIMESTAMP].int64_param = timestamp
    return made


def stream(address: str, *requests: ModelInferRequest) -> tuple[list[ModelStreamInferResponse], grpc.StatusCode, str]:
    """All answers of a session, and how it ended."""
    with grpc.insecure_channel(address) as channel:
        return stream_over(channel, *requests)


def stream_over(
    channel: grpc.Channel, *requests: ModelInferRequest
) -> tuple[list[ModelStreamInferResponse], grpc.StatusCode, str]:
    """The same over a channel that is there."""
    answers = []
    call = streaming(channel)(iter([made.SerializeToString() for made in requests]))
    try:
        for data in call:
            answers.append(ModelStreamInferResponse.FromString(data))
    except grpc.RpcError:
        pass
    return answers, call.code(), call.details()


def unary(address: str, made: ModelInferRequest, timeout: float | None = None) -> ModelInferResponse:
    """The answer of a unary call; raises :class:`grpc.RpcError`."""
    with grpc.insecure_channel(address) as channel:
        return ModelInferResponse.FromString(calling(channel)(made.SerializeToString(), timeout=timeout))


def stamps(answers: list[ModelStreamInferResponse]) -> list[int]:
    """The timestamps of the answers, -1 for an error."""
    return [-1 if item.error_message else item.infer_response.parameters[TIMESTAMP].int64_param for item in answers]


def http(address: str | None, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and body of an HTTP exchange."""
    connection = HTTPConnection(str(address), timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, named)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def write_onnx(path: Path, *, inputs: dict[str, tuple[int, ...]], factor: float = 2.0) -> Path:
    """A model that multiplies each float input ``x`` by ``factor`` into ``x_out``; -1 is a free dimension."""
    from onnx import TensorProto, helper, save

    nodes, ins, outs = [], [], []
    for name, shape in inputs.items():
        free: list[int | str] = [f"{name}_{index}" if size < 0 else size for index, size in enumerate(shape)]
        ins.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, free))
        outs.append(helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, free))
        nodes.append(helper.make_node("Mul", [name, "factor"], [f"{name}_out"]))
    weights = [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])]
    graph = helper.make_graph(nodes, "scaled", ins, outs, weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@contextmanager
def graph_server_process(*flags: str) -> Iterator[EmbeddedServer]:
    """A graph server in a process of its own, with REST, on any ports; it has to end by itself."""
    where = ("--grpc_bind_address", "127.0.0.1", "--rest_port", "0")
    options = EmbeddedOptions(arguments=(*where, *flags), stop_timeout=20)
    with EmbeddedServer(options) as server:
        yield server
    assert server.exit_status == 0


class KilledServer:
    """A graph server that is killed and started again, always at the same port."""

    def __init__(self, *flags: str) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._options = EmbeddedOptions(arguments=(*ECHO, "--port", str(port), *flags))
        self.start()

    def start(self) -> None:
        self._server = EmbeddedServer(self._options)
        self._server.start()
        assert self._server.address == self.address

    @property
    def pids(self) -> Sequence[int]:
        """The process, while there is one."""
        return () if self._server.exit_status is not None else (self._server.pid,)

    def signal(self, number: int) -> None:
        os.kill(self._server.pid, number)

    def kill(self) -> None:
        if self._server.exit_status is None:
            self.signal(signal.SIGKILL)
        self._server.close()
