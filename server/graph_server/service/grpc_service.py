"""The gRPC service: methods by name, bytes in and out."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc

import graph_server
from graph_server.errors import GraphServerError
from graph_server.service.connections import Endpoint, client_end
from graph_server.service.messages import InferRequest, decode_request, parse
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.session import StreamSession
from graph_server.service.shared_memory import ClientMemory, SharedMemoryRegions
from graph_server.service.shared_memory_calls import SharedMemoryCalls
from graph_server.service.status import Refusal, UnmappedRefusal, final_text, plain
from graph_server.service.traces import Export
from kserve_wire.messages import (
    ModelMetadataRequest,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerLiveResponse,
    ServerMetadataResponse,
    ServerReadyResponse,
)
from kserve_wire.names import SERVICE
from kserve_wire.shared_memory import EXTENSION

logger = logging.getLogger(__name__)
UnaryMethod = Callable[[bytes, Endpoint], bytes]
"""A request's bytes and the connection that it came from, to an answer's bytes."""

SERVER_NAME = "OpenVINO Model Server"


class InferenceService:
    """Passes gRPC calls to :class:`ServableCalls`, and runs streaming sessions."""

    def __init__(
        self, calls: ServableCalls, regions: SharedMemoryRegions | None = None, export: Export | None = None
    ) -> None:
        """``regions``: offer shared memory, which is for clients on this machine only. ``export`` takes spans."""
        self._export = export
        self._calls = calls
        self._regions = regions
        self._budgets = calls.budgets

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to add to a gRPC server."""
        unary: dict[str, UnaryMethod] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
        }
        if self._regions is not None:
            unary |= SharedMemoryCalls(self._regions).methods
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.unary_unary_rpc_method_handler(self._guarded(method)) for name, method in unary.items()
        }
        methods["ModelInfer"] = grpc.unary_unary_rpc_method_handler(self._model_infer)
        methods["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._model_stream_infer)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _guarded(self, method: UnaryMethod) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def call(data: bytes, context: grpc.ServicerContext) -> bytes:
            return _answer(lambda: method(data, client_end(context.peer())), context)

        return call

    def _server_live(self, data: bytes, client: Endpoint) -> bytes:
        return ServerLiveResponse(live=True).SerializeToString()

    def _server_ready(self, data: bytes, client: Endpoint) -> bytes:
        return ServerReadyResponse(ready=self._calls.server_ready()).SerializeToString()

    def _server_metadata(self, data: bytes, client: Endpoint) -> bytes:
        extensions = [EXTENSION] if self._regions is not None else []
        answer = ServerMetadataResponse(name=SERVER_NAME, version=graph_server.__version__, extensions=extensions)
        return answer.SerializeToString()

    def _model_ready(self, data: bytes, client: Endpoint) -> bytes:
        request = parse(ModelReadyRequest, data)
        ready = self._calls.ready(request.name, request.version, "gRPC")
        return ModelReadyResponse(ready=ready).SerializeToString()

    def _model_metadata(self, data: bytes, client: Endpoint) -> bytes:
        request = parse(ModelMetadataRequest, data)
        return self._calls.metadata(request.name, request.version, "gRPC").SerializeToString()

    def _model_infer(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        memory = ClientMemory(self._regions, client_end(context.peer()))

        def decode(take: Callable[[int], None]) -> InferRequest:
            return memory.resolve(decode_request(data, headers.grow), take)

        def watch(stop: Callable[[], None]) -> None:
            if not context.add_callback(stop):
                stop()  # the client is gone already

        with self._budgets.header_bytes.reserve() as headers:
            return _answer(lambda: self._calls.infer(decode, len(data), "gRPC", watch), context)

    def _model_stream_infer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        with ExitStack() as budgets:
            try:
                session = self._begun(requests, context, budgets)
            except Refusal as refusal:
                context.abort(refusal.code, final_text(refusal))
            if session is None:
                return
            try:
                yield from session.responses
            finally:
                session.join()
            if session.refusal is not None:
                context.abort(session.refusal.code, final_text(session.refusal))

    def _begun(
        self, requests: Iterator[bytes], context: grpc.ServicerContext, budgets: ExitStack
    ) -> StreamSession | None:
        """The session of the first request; ``None`` when the client is gone already. Raises :class:`Refusal`."""
        budgets.enter_context(self._budgets.streams.take())
        first = next(requests, None)
        if first is None:
            raise UnmappedRefusal("Client disconnected during reading first streaming request")
        budgets.enter_context(self._budgets.sessions.take())
        reserved = budgets.enter_context(self._budgets.stream_bytes.reserve())
        headers = budgets.enter_context(self._budgets.header_bytes.reserve())
        memory = ClientMemory(self._regions, client_end(context.peer()))

        def decode(data: bytes) -> InferRequest:
            take = reserved.largest()
            take(len(data))
            return memory.resolve(decode_request(data, headers.largest()), take)

        request = decode(first)
        budgets.enter_context(self._calls.use(request.message.model_name))
        session = StreamSession(self._calls.current(), request, requests, self._budgets.limits, decode, self._export)
        if not context.add_callback(session.abandon):
            return None
        session.start()
        return session


def _answer(answer: Callable[[], bytes], context: grpc.ServicerContext) -> bytes:
    try:
        return answer()
    except Refusal as refusal:
        context.abort(refusal.code, final_text(refusal))
    except GraphServerError as error:
        context.abort(grpc.StatusCode.INTERNAL, plain(str(error)))
