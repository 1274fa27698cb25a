"""The gRPC service: methods by name, bytes in and out."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import grpc

import graph_server
from graph_server.errors import GraphServerError, UnknownModelError
from graph_server.models import Model
from graph_server.servables import Servables
from graph_server.service.limits import Budgets
from graph_server.service.messages import decode_request, message_class
from graph_server.service.model_call import infer_model
from graph_server.service.session import StreamSession, infer_once
from graph_server.service.status import (
    Refusal,
    UnmappedRefusal,
    final_text,
    not_loaded,
    unknown_model,
    unknown_version,
)

logger = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"
SERVER_NAME = "OpenVINO Model Server"


class InferenceService:
    """Answers for the servables that ``current`` gives at the moment of each call."""

    def __init__(self, current: Callable[[], Servables], budgets: Budgets) -> None:
        self._current = current
        self._budgets = budgets

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to add to a gRPC server."""
        unary = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.unary_unary_rpc_method_handler(self._guarded(method)) for name, method in unary.items()
        }
        methods["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._model_stream_infer)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _guarded(self, method: Callable[[bytes], bytes]) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def call(data: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return method(data)
            except Refusal as refusal:
                context.abort(refusal.code, final_text(refusal))
            except GraphServerError as error:
                context.abort(grpc.StatusCode.INTERNAL, str(error))

        return call

    def _server_live(self, data: bytes) -> bytes:
        return _bytes("ServerLiveResponse", live=True)

    def _server_ready(self, data: bytes) -> bytes:
        return _bytes("ServerReadyResponse", ready=True)

    def _server_metadata(self, data: bytes) -> bytes:
        return _bytes("ServerMetadataResponse", name=SERVER_NAME, version=graph_server.__version__)

    def _model_ready(self, data: bytes) -> bytes:
        request = _parse("ModelReadyRequest", data)
        servables = self._current()
        if request.name in servables.graphs:
            return _bytes("ModelReadyResponse", ready=servables.graphs[request.name] is not None)
        _check_version(self._model(servables, request.name), request.version)
        return _bytes("ModelReadyResponse", ready=True)

    def _model_metadata(self, data: bytes) -> bytes:
        request = _parse("ModelMetadataRequest", data)
        servables = self._current()
        answer = message_class("ModelMetadataResponse")(name=request.name, platform="OpenVINO")
        if request.name in servables.graphs:
            definition = servables.graphs[request.name]
            if definition is None:
                raise not_loaded()
            answer.versions.append("1")
            for ports, specs in (
                (definition.input_streams, answer.inputs),
                (definition.output_streams, answer.outputs),
            ):
                for name in sorted(port.name for port in ports):
                    specs.add(name=name, datatype="INVALID")
        else:
            model = self._model(servables, request.name)
            _check_version(model, request.version)
            answer.versions.append(str(model.version))
            for infos, specs in ((model.inputs, answer.inputs), (model.outputs, answer.outputs)):
                for info in infos:
                    specs.add(name=info.name, datatype=info.datatype, shape=info.shape)
        return bytes(answer.SerializeToString())

    def _model_infer(self, data: bytes) -> bytes:
        budgets = self._budgets
        with budgets.inferences.take(), budgets.unary_bytes.take(len(data)), budgets.running:
            request = decode_request(data)
            servables = self._current()
            name, version = request.message.model_name, request.message.model_version
            if version and _version(version) is None:
                raise _invalid_version()
            if name in servables.models.names:
                model = self._model(servables, name)
                _check_version(model, "" if version == "0" else version)
                return infer_model(model, request)
            return infer_once(servables, request)

    def _model_stream_infer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            with self._budgets.streams.take():
                first = next(requests, None)
                if first is None:
                    raise UnmappedRefusal("Client disconnected during reading first streaming request")
                with self._budgets.sessions.take():
                    yield from self._session(first, requests, context)
        except Refusal as refusal:
            context.abort(refusal.code, final_text(refusal))

    def _session(self, first: bytes, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        session = StreamSession(self._current(), decode_request(first), requests, self._budgets.limits)
        if not context.add_callback(session.abandon):
            return  # the client is gone already
        session.start()
        try:
            yield from session.responses
        finally:
            session.join()
        if session.refusal is not None:
            raise session.refusal

    def _model(self, servables: Servables, name: str) -> Model:
        try:
            return servables.models.get(name)
        except UnknownModelError as error:
            raise unknown_model() from error


def _version(text: str) -> int | None:
    """A version as OVMS reads it (src/stringutils.cpp, ``stoi64``): no leading zeros, no plus sign."""
    if re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text) is None or not -(2**63) <= int(text) < 2**63:
        return None
    return int(text)


def _invalid_version() -> Refusal:
    return Refusal("invalid model version format in request")


def _check_version(model: Model, text: str) -> None:
    """A model's version has to be the one that is served; empty means that one."""
    if not text:
        return
    version = _version(text)
    if version is None:
        raise _invalid_version()
    if version != model.version:
        raise unknown_version()


def _parse(name: str, data: bytes) -> Any:
    try:
        return message_class(name).FromString(data)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a KServe v2 {name}: {error}") from error


def _bytes(message: str, /, **fields: Any) -> bytes:
    return bytes(message_class(message)(**fields).SerializeToString())
