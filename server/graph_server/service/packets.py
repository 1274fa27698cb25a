"""Requests to packets of a graph, and packets to responses.

Source: src/kfs_frontend/kfs_graph_executor_impl.cpp.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graph_server.errors import GraphError
from graph_server.graph.definition import PYTHON_NODES, GraphDefinition
from graph_server.graph.node import Port
from graph_server.graph.packet_types import consistent, named, of_graph_port
from graph_server.graph.pool import CallGraph
from graph_server.graph.timestamps import DONE, MAX_TIMESTAMP, MIN_TIMESTAMP, PRE_STREAM, UNSET, UNSTARTED
from graph_server.servables.served import Servables
from graph_server.service.messages import InferRequest
from graph_server.service.status import (
    Refusal,
    UnmappedRefusal,
    not_loaded,
    precondition_failed,
    retired_graph,
    unknown_graph,
)
from graph_server.service.tensors import (
    check_contents,
    describe_output,
    input_value,
    not_an_array,
    not_of_type,
    output_bytes,
)
from kserve_wire.messages import ModelInferResponse
from kserve_wire.names import TIMESTAMP

_SPECIAL = {
    UNSET: "Timestamp::Unset()",
    UNSTARTED: "Timestamp::Unstarted()",
    PRE_STREAM: "Timestamp::PreStream()",
    MAX_TIMESTAMP + 1: "Timestamp::PostStream()",
    DONE - 1: "Timestamp::OneOverPostStream()",
    DONE: "Timestamp::Done()",
}
_RUN_FAILED, _HAS_ERRORS = "CalculatorGraph::Run() failed: ", "Graph has errors: "


def find_graph(servables: Servables, name: str) -> GraphDefinition:
    """The graph of that name; raises :class:`Refusal`."""
    if name not in servables.graphs:
        raise retired_graph() if name in servables.retired else unknown_graph()
    definition = servables.graphs[name]
    if definition is None:
        raise not_loaded()
    return definition


def side_packets(request: InferRequest, definition: GraphDefinition) -> dict[str, Any]:
    """The parameters of a first request, without the timestamp; raises :class:`Refusal`."""
    packets: dict[str, Any] = {}
    if definition.pool_size is not None and any(name != TIMESTAMP for name in request.message.parameters):
        raise precondition_failed(
            "Failed to initialize mediapipe graph",
            "Input side packets are not supported for graphs with queue enabled",
        )
    for name, value in request.message.parameters.items():
        if name == TIMESTAMP:
            continue
        if name == PYTHON_NODES:
            raise precondition_failed(
                "Failed to initialize mediapipe graph",
                "Incoming input side packet: py is special reserved name and cannot be used",
            )
        kind = value.WhichOneof("parameter_choice")
        if kind is None:
            raise UnmappedRefusal(
                "Functionality not implemented",
                "Handling parameters of other types than: bool, string, int64 is not supported",
            )
        packets[name] = getattr(value, kind)
    return packets


def timestamp_of(request: InferRequest) -> int:
    """The request's timestamp, by default the wall clock, in µs; raises :class:`Refusal`."""
    parameters = request.message.parameters
    if TIMESTAMP not in parameters:
        return time.time_ns() // 1000
    parameter = parameters[TIMESTAMP]
    if parameter.WhichOneof("parameter_choice") != "int64_param":
        raise UnmappedRefusal(
            "Malformed packet timestamp",
            f"Invalid timestamp format in request parameter {TIMESTAMP}. Should be int64",
        )
    timestamp = parameter.int64_param
    if not MIN_TIMESTAMP <= timestamp <= MAX_TIMESTAMP:
        raise UnmappedRefusal("Malformed packet timestamp", _SPECIAL[timestamp])
    return timestamp


def packets_of(request: InferRequest, ports: Mapping[str, Port]) -> Iterator[tuple[Port, Any]]:
    """The request's inputs as streams of the graph and values, in order; raises :class:`Refusal`."""
    check_contents(request)
    places: dict[str, int] = {}
    for index, item in enumerate(request.message.inputs):
        port = ports.get(item.name)
        if port is None:
            raise Refusal("Unexpected input", f"{item.name} is unexpected")
        # OVMS looks inputs up by name: a second one of the same name has the value of the first.
        yield port, input_value(request, places.setdefault(item.name, index), port.tag)


def push(graph: CallGraph, request: InferRequest, ports: Mapping[str, Port], timestamp: int) -> int:
    """Give the request's packets to the graph at ``timestamp`` and return their number; raises :class:`Refusal`.

    As in MediaPipe, a packet with a timestamp that does not increase is accepted silently and puts the graph into
    error. Later packets are refused.
    """
    count = 0
    for port, value in packets_of(request, ports):
        sound = graph.error is None
        try:
            graph.add_packet(port.name, value, timestamp, of_graph_port(port))
        except GraphError as error:
            if not (sound and error.code == "INVALID_ARGUMENT"):
                details = f"{error.code}: {str(error).replace(_RUN_FAILED, _HAS_ERRORS, 1)}"
                raise precondition_failed("Failed to add packet to mediapipe graph input stream", details) from error
        count += 1
    return count


def output_message(
    name: str, definition: GraphDefinition, outputs: Mapping[str, Any], timestamp: int
) -> tuple[ModelInferResponse, list[memoryview]]:
    """A ``ModelInferResponse`` without its raw contents, and those."""
    images = {port.name for port in definition.output_streams if port.tag.startswith("IMAGE")}
    message = ModelInferResponse(model_name=name, model_version="1")
    message.parameters[TIMESTAMP].int64_param = timestamp
    raw = []
    ports = {port.name: port for port in definition.output_streams}
    for stream, value in outputs.items():
        holds, wanted = definition.stream_types.outputs[stream], of_graph_port(ports[stream])
        if not consistent(holds, wanted):
            raise not_of_type(stream, named(holds), named(wanted))
        if not isinstance(value, np.ndarray):
            raise not_an_array(stream)
        output = message.outputs.add()
        describe_output(output, stream, value)
        if stream in images and value.dtype == np.float32 and value.shape[2] == 4:
            output.datatype = "UINT8"  # OVMS has no name for four floats a pixel, and uses this one
        raw.append(output_bytes(value))
    return message, raw
