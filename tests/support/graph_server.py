"""The graph server in this process, and requests for its pass-through graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from graph_server.config import ServerConfig, single_servable
from graph_server.fault import parse_faults
from graph_server.server import GraphServer, ServerOptions
from graph_server.service.messages import message_class
from tests.conftest import ROOT
from tests.support.video import picture

STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
UNARY = "/inference.GRPCInferenceService/ModelInfer"
TIMESTAMP = "OVMS_MP_TIMESTAMP"


def pass_through() -> ServerConfig:
    return single_servable("passThrough", ROOT / "graphs" / "pass_through", Path("nowhere"))


@contextmanager
def graph_server(*faults: str, config: ServerConfig | None = None, **options: Any) -> Iterator[GraphServer]:
    """A server on any port of loopback, by default of the pass-through graph."""
    made = GraphServer(config or pass_through(), ServerOptions(port=0, faults=parse_faults(faults), **options))
    made.start()
    try:
        yield made
    finally:
        made.stop(0)


def request(timestamp: int, name: str = "image", image: Any = None) -> Any:
    image = picture(timestamp % 100) if image is None else image
    made = message_class("ModelInferRequest")(model_name="passThrough", id=str(timestamp))
    made.inputs.add(name=name, datatype="UINT8", shape=image.shape)
    made.raw_input_contents.append(image.tobytes())
    made.parameters[TIMESTAMP].int64_param = timestamp
    return made


def stream(address: str, *requests: Any) -> tuple[list[Any], grpc.StatusCode, str]:
    """All answers of a session, and how it ended."""
    answers = []
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream(STREAM)(iter([made.SerializeToString() for made in requests]))
        try:
            for data in call:
                answers.append(message_class("ModelStreamInferResponse").FromString(data))
        except grpc.RpcError:
            pass
        return answers, call.code(), call.details()


def unary(address: str, made: Any, timeout: float | None = None) -> Any:
    """The answer of a unary call; raises :class:`grpc.RpcError`."""
    with grpc.insecure_channel(address) as channel:
        return message_class("ModelInferResponse").FromString(
            channel.unary_unary(UNARY)(made.SerializeToString(), timeout=timeout)
        )


def stamps(answers: list[Any]) -> list[int]:
    """The timestamps of the answers, -1 for an error."""
    return [-1 if item.error_message else item.infer_response.parameters[TIMESTAMP].int64_param for item in answers]
