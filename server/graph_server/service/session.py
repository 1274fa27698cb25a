"""Graph calls: a streaming session, and a single unary one.

Source: src/mediapipe_internal/mediapipegraphexecutor.hpp.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from graph_server.errors import GraphError
from graph_server.graph.definition import GraphDefinition
from graph_server.graph.pool import CallGraph
from graph_server.graph.runtime import OutputListener
from graph_server.metrics.servables import GraphCall, Interface
from graph_server.servables.served import Servables
from graph_server.service.admission import Limits
from graph_server.service.messages import InferRequest, encode_response, encode_stream_error, encode_stream_response
from graph_server.service.packets import find_graph, output_message, push, side_packets, timestamp_of
from graph_server.service.responses import ResponseQueue
from graph_server.service.shared_memory import SessionPlaces, deliver
from graph_server.service.status import Refusal, UnmappedRefusal, execution_failed, graph_failed, precondition_failed
from graph_server.service.traces import Export, SessionTraces

_FIRST = "partial deserialization of first request"
_SUBSEQUENT = "partial deserialization of subsequent requests"
_VALIDATE = "validate subsequent requests"


Watch = Callable[[Callable[[], None]], object]
"""Registers a function that is called when the client of a unary call is gone. It must not wait."""


class StreamSession:
    """One ``ModelStreamInfer`` call. It reads in its own thread. Iterate :attr:`responses`."""

    RESPONSES = 16
    RESPONSE_BYTES = 32 << 20

    def __init__(
        self,
        servables: Servables,
        first: InferRequest,
        requests: Iterator[bytes],
        limits: Limits,
        decode: Callable[[bytes], InferRequest],
        export: Export | None = None,
    ) -> None:
        """``decode`` raises :class:`Refusal` for a request that is none, or for which there is no memory.

        ``export`` takes the spans of requests that name their trace.
        """
        self._name = first.message.model_name
        self._definition = definition = find_graph(servables, self._name)
        self._first = first
        self._requests = requests
        self._decode = decode
        self._places = SessionPlaces()
        self._ports = {port.name: port for port in definition.input_streams}
        self._call = servables.metrics.graph_call(self._name, "gRPC", "ModelInferStream")
        try:
            self._graph = servables.graph_for_call(self._name)
        except GraphError as error:
            raise graph_failed(error) from error
        self._graph.limit_queue(min(definition.max_queue_size, limits.queued_packets), limits.session_bytes)
        outputs = (port.name for port in definition.output_streams)
        self._traces = None if export is None else SessionTraces(export, self._name, outputs)
        if self._traces is not None:
            self._graph.watch(self._traces.node_listener)
        self.responses = ResponseQueue(self.RESPONSES, self.RESPONSE_BYTES)
        self.refusal: Refusal | None = None
        """Why the call failed, if it did. Set before :attr:`responses` ends."""

    def start(self) -> None:
        """Start the graph and the reader; raises :class:`Refusal`."""
        try:
            self._graph.start(side_packets(self._first, self._definition), self._send)
        except GraphError as error:
            raise precondition_failed("Failed to start mediapipe graph", str(error)) from error
        self._thread = threading.Thread(target=self._run, name=f"session {self._name}", daemon=True)
        self._thread.start()

    def abandon(self) -> None:
        """The client is gone: free everything. gRPC's only event thread calls this, so it must not wait."""
        self.responses.abandon()
        self._graph.abort()

    def join(self) -> None:
        """Wait for the reader and the graph's workers."""
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._call:
                self._run_graph()
        except GraphError as error:
            self.refusal = graph_failed(error)
        except Exception as error:  # noqa: BLE001 - ends the call with its text
            self.refusal = execution_failed(f"INTERNAL: {type(error).__name__}: {error}")
        finally:
            self._graph.cancel()
            if self._traces is not None:
                self._traces.close()
            self.responses.end()

    def _run_graph(self) -> None:
        try:
            self._push(self._first, _FIRST)
            del self._first  # otherwise its frame would live as long as the session
            while self._read_one():
                pass
            self._graph.close_inputs()
            self._graph.wait_until_done()
        except GraphError:
            self._call.failed()
            raise
        self._call.completed()

    def _read_one(self) -> bool:
        """Turn a request into packets, and keep nothing of it. Returns whether another request may follow.

        As in OVMS, a graph's failure is noticed only after another request. A client that only waits does not learn of
        it.
        """
        try:
            data = next(self._requests, None)
        except Exception as error:  # noqa: BLE001 - gRPC raises when the client vanishes
            error.with_traceback(None)  # gRPC keeps the error, and its stack frames refer to this session
            return False
        if data is None:
            return False
        received = time.monotonic()
        try:
            request = self._decode(data)
            self._validate(request)
        except Refusal as refusal:
            self._tell(refusal, _VALIDATE)
        else:
            self._push(request, _SUBSEQUENT, received)
        if self._graph.error is not None:
            self._call.failed()  # and once more when the graph has ended, as OVMS counts
            return False
        return True

    def _push(self, request: InferRequest, stage: str, received: float | None = None) -> None:
        """``received``: when it came, for its trace; ``None`` for the first one, which cannot have any."""
        try:
            timestamp = timestamp_of(request)
            self._places.expect(request, timestamp)
            if self._traces is not None and received is not None:
                self._traces.received(request, timestamp, received)
            push(self._graph, request, self._ports, timestamp)
            if self._traces is not None:
                self._traces.pushed(timestamp)
        except Refusal as refusal:
            self._tell(refusal, stage)
        else:
            self._call.accepted()

    def _tell(self, refusal: Refusal, stage: str) -> None:
        self._call.rejected()
        self.responses.put(encode_stream_error(f"{refusal}; {stage}"))

    def _validate(self, request: InferRequest) -> None:
        message = request.message
        if message.model_name != self._name:
            raise UnmappedRefusal("Subsequent request with incorrect servable name")
        if message.model_version not in ("", "0", "1"):
            raise UnmappedRefusal("Subsequent request with incorrect servable version")

    def _send(self, stream: str, value: Any, timestamp: int) -> None:
        message, raw = output_message(self._name, self._definition, {stream: value}, timestamp)
        self.responses.put(encode_stream_response(message, deliver(message, raw, self._places.of(timestamp))))
        self._call.responded(timestamp)
        if self._traces is not None:
            self._traces.answered(stream, timestamp)


def infer_once(servables: Servables, request: InferRequest, interface: Interface, watch: Watch) -> bytes:
    """A unary call: a graph of its own, all outputs in one response; raises :class:`Refusal`."""
    name = request.message.model_name
    definition = find_graph(servables, name)
    with servables.metrics.graph_call(name, interface, "ModelInfer") as call:
        try:
            graph = servables.graph_for_call(name)
        except GraphError as error:
            call.failed()
            raise graph_failed(error) from error
        watch(graph.abort)
        found = _run_once(graph, definition, request, call)
        if not found:
            return b""  # a graph of a pool may answer nothing
        timestamp = max(timestamp for _, timestamp in found.values())
        values = {stream: value for stream, (value, _) in found.items()}
        message, raw = output_message(name, definition, values, timestamp)
        message.id = request.message.id
        response = encode_response(message, deliver(message, raw, request.places))
        if not servables.is_pooled(name):  # OVMS reports neither for graphs of a pool
            call.completed()
            call.responded()
        return response


def _run_once(
    graph: CallGraph, definition: GraphDefinition, request: InferRequest, call: GraphCall
) -> dict[str, tuple[Any, int]]:
    """The first packet of each output and its timestamp."""
    found: dict[str, tuple[Any, int]] = {}

    def keep_first(stream: str, value: Any, timestamp: int) -> None:
        found.setdefault(stream, (value, timestamp))

    try:
        _start_and_push(graph, definition, request, keep_first, call)
    except Refusal:
        call.rejected()
        graph.cancel()
        raise
    call.accepted()
    try:
        graph.close_inputs()
        graph.wait_until_done()
    except GraphError as error:
        call.failed()
        raise graph_failed(error) from error
    finally:
        graph.cancel()
    if len(found) != len(definition.output_streams) and definition.pool_size is None:
        raise execution_failed("Unknown error during mediapipe execution")
    return found


def _start_and_push(
    graph: CallGraph, definition: GraphDefinition, request: InferRequest, listener: OutputListener, call: GraphCall
) -> None:
    ports = {port.name: port for port in definition.input_streams}
    try:
        graph.start(side_packets(request, definition), listener)
    except GraphError as error:
        raise precondition_failed("Failed to start mediapipe graph", str(error)) from error
    try:
        count = push(graph, request, ports, timestamp_of(request))
    except Refusal:
        call.failed()
        raise
    if count < len(ports):
        raise Refusal("Invalid number of inputs", "Not all input packets created")
