"""Graph calls: a streaming session, and a single unary one.

Source: src/mediapipe_internal/mediapipegraphexecutor.hpp.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graph_server.errors import GraphError
from graph_server.graph.definition import GraphDefinition
from graph_server.graph.node import Port
from graph_server.graph.runtime import MAX_TIMESTAMP, MIN_TIMESTAMP, Graph
from graph_server.servables import Servables
from graph_server.service.messages import (
    InferRequest,
    decode_request,
    encode_response,
    encode_stream_error,
    encode_stream_response,
    message_class,
)
from graph_server.service.status import Refusal, UnmappedRefusal, execution_failed, not_loaded, unknown_graph
from graph_server.service.tensors import (
    check_contents,
    describe_output,
    input_value,
    not_an_array,
    output_bytes,
)

TIMESTAMP = "OVMS_MP_TIMESTAMP"
_RESERVED = "py"
_SPECIAL = {
    -(2**63): "Timestamp::Unset()",
    -(2**63) + 1: "Timestamp::Unstarted()",
    -(2**63) + 2: "Timestamp::PreStream()",
    2**63 - 3: "Timestamp::PostStream()",
    2**63 - 2: "Timestamp::OneOverPostStream()",
    2**63 - 1: "Timestamp::Done()",
}


def find_graph(servables: Servables, name: str) -> GraphDefinition:
    """The graph of that name; raises :class:`Refusal`."""
    if name not in servables.graphs:
        raise unknown_graph()
    definition = servables.graphs[name]
    if definition is None:
        raise not_loaded()
    return definition


def side_packets(request: InferRequest) -> dict[str, Any]:
    """The parameters of a first request, without the timestamp; raises :class:`Refusal`."""
    packets: dict[str, Any] = {}
    for name, value in request.message.parameters.items():
        if name == TIMESTAMP:
            continue
        if name == _RESERVED:
            raise precondition_failed(
                "Failed to initialize mediapipe graph",
                "Incoming input side packet: py is special reserved name and cannot be used",
            )
        kind = value.WhichOneof("parameter_choice")
        if kind is None:
            raise UnmappedRefusal("Not implemented")
        packets[name] = getattr(value, kind)
    return packets


def precondition_failed(text: str, details: str) -> Refusal:
    """A graph that could not be set up."""
    import grpc

    return Refusal(text, details, code=grpc.StatusCode.FAILED_PRECONDITION)


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
    timestamp = int(parameter.int64_param)
    if not MIN_TIMESTAMP <= timestamp <= MAX_TIMESTAMP:
        raise UnmappedRefusal("Malformed packet timestamp", _SPECIAL[timestamp])
    return timestamp


def packets_of(request: InferRequest, ports: Mapping[str, Port]) -> Iterator[tuple[str, Any]]:
    """The request's inputs as stream names and values, in order; raises :class:`Refusal`."""
    check_contents(request)
    for index, item in enumerate(request.message.inputs):
        port = ports.get(item.name)
        if port is None:
            raise Refusal("Unexpected input", f"{item.name} is unexpected")
        yield port.name, input_value(request, index, port.tag)


class ResponseQueue:
    """Encoded responses between a graph's workers and the network: bounded, so a slow reader is felt."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[bytes] = deque()
        self._ended = False
        self._abandoned = False
        self._changed = threading.Condition()

    def put(self, item: bytes) -> None:
        """Wait for room; raises :class:`GraphError` when the client is gone."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._capacity or self._abandoned)
            if self._abandoned:
                raise GraphError("the client is gone", "CANCELLED")
            self._items.append(item)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._abandoned = self._ended = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


class StreamSession:
    """One ``ModelStreamInfer`` call. :meth:`run` reads in a thread of its own; iterate :attr:`responses`."""

    CAPACITY = 16

    def __init__(self, servables: Servables, first: InferRequest, requests: Iterator[bytes]) -> None:
        self._name = first.message.model_name
        self._definition = find_graph(servables, self._name)
        self._first = first
        self._requests = requests
        self._ports = {port.name: port for port in self._definition.input_streams}
        self._graph: Graph = servables.new_graph(self._definition)
        self.responses = ResponseQueue(self.CAPACITY)
        self.refusal: Refusal | None = None
        """Why the call ends, when it does not end well; set before :attr:`responses` ends."""
        self._thread = threading.Thread(target=self._run, name=f"session {self._name}", daemon=True)

    def start(self) -> None:
        """Start the graph and the reader; raises :class:`Refusal`."""
        try:
            self._graph.start(side_packets(self._first), self._send)
        except GraphError as error:
            raise precondition_failed("Failed to start mediapipe graph", str(error)) from error
        self._thread.start()

    def abandon(self) -> None:
        """The client is gone: free everything. Called by gRPC's only event thread, so it must not wait."""
        self.responses.abandon()
        self._graph.abort()

    def join(self) -> None:
        """Wait for the reader and the graph's workers."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._read()
            self._graph.close_inputs()
            self._graph.wait_until_done()
        except GraphError as error:
            self.refusal = execution_failed(f"{error.code}: {error}")
        except Exception as error:  # noqa: BLE001 - ends the call with its text
            self.refusal = execution_failed(f"INTERNAL: {type(error).__name__}: {error}")
        finally:
            self._graph.cancel()
            self.responses.end()

    def _read(self) -> None:
        request: InferRequest | None = self._first
        stage = "partial deserialization of first request"
        while request is not None:
            try:
                if request is not self._first:
                    self._validate(request)
                self._push(request)
            except Refusal as refusal:
                suffix = getattr(refusal, "stage", stage)
                self.responses.put(encode_stream_error(f"{refusal}; {suffix}"))
            stage = "partial deserialization of subsequent requests"
            request = self._next(stage)
            # As OVMS does: a graph's failure is noticed after a read, not before.
            if self._graph.error is not None:
                raise self._graph.error

    def _next(self, stage: str) -> InferRequest | None:
        while True:
            try:
                data = next(self._requests, None)
            except Exception:  # noqa: BLE001 - gRPC raises when the client vanishes
                return None
            if data is None:
                return None
            try:
                return decode_request(data)
            except Refusal as refusal:
                self.responses.put(encode_stream_error(f"{refusal}; {stage}"))

    def _validate(self, request: InferRequest) -> None:
        message = request.message
        if message.model_name != self._name:
            raise _Staged("Subsequent request with incorrect servable name")
        if message.model_version not in ("", "0", "1"):
            raise _Staged("Subsequent request with incorrect servable version")

    def _push(self, request: InferRequest) -> None:
        timestamp = timestamp_of(request)
        for stream, value in packets_of(request, self._ports):
            try:
                self._graph.add_packet(stream, value, timestamp)
            except GraphError:
                # Noticed after the next read.
                return

    def _send(self, stream: str, value: Any, timestamp: int) -> None:
        message, raw = output_message(self._name, {stream: value}, timestamp)
        self.responses.put(encode_stream_response(message, raw))


class _Staged(UnmappedRefusal):
    stage = "validate subsequent requests"


def infer_once(servables: Servables, request: InferRequest) -> bytes:
    """A unary call: a graph of its own, all outputs in one response; raises :class:`Refusal`."""
    name = request.message.model_name
    definition = find_graph(servables, name)
    ports = {port.name: port for port in definition.input_streams}
    timestamp = timestamp_of(request)
    packets = list(packets_of(request, ports))
    if {stream for stream, _ in packets} != set(ports):
        raise Refusal("Invalid number of inputs", "Not all input packets created")
    found: dict[str, Any] = {}
    graph = servables.new_graph(definition)
    try:
        graph.start(side_packets(request), lambda stream, value, _: found.setdefault(stream, value))
    except GraphError as error:
        raise precondition_failed("Failed to start mediapipe graph", str(error)) from error
    try:
        for stream, value in packets:
            graph.add_packet(stream, value, timestamp)
        graph.close_inputs()
        graph.wait_until_done()
    except GraphError as error:
        raise execution_failed(f"{error.code}: {error}") from error
    finally:
        graph.cancel()
    if len(found) != len(definition.output_streams):
        raise execution_failed("Unknown error during mediapipe execution")
    message, raw = output_message(name, found, timestamp)
    message.id = request.message.id
    return encode_response(message, raw)


def output_message(name: str, outputs: Mapping[str, Any], timestamp: int) -> tuple[Any, list[memoryview]]:
    """A ``ModelInferResponse`` without its raw contents, and those."""
    message = message_class("ModelInferResponse")(model_name=name, model_version="1")
    message.parameters[TIMESTAMP].int64_param = timestamp
    raw = []
    for stream, value in outputs.items():
        if not isinstance(value, np.ndarray):
            raise not_an_array(stream)
        describe_output(message.outputs.add(), stream, value)
        raw.append(output_bytes(value))
    return message, raw
