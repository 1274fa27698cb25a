"""The gRPC service: methods by name, bytes in and out."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import grpc

import graph_server
from graph_server.errors import GraphServerError, UnknownModelError
from graph_server.models import Model
from graph_server.servables import Servables
from graph_server.service.messages import decode_request, encode_response, message_class
from graph_server.service.session import StreamSession, infer_once
from graph_server.service.status import Refusal, UnmappedRefusal, final_text, not_loaded, unknown_model
from graph_server.service.tensors import check_contents, describe_output, input_value, output_bytes

logger = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"
SERVER_NAME = "OpenVINO Model Server"


class InferenceService:
    """Answers for the servables that ``current`` gives at the moment of each call."""

    def __init__(self, current: Callable[[], Servables]) -> None:
        self._current = current

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
        self._model(servables, request.name)
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
            answer.versions.append(str(model.version))
            for infos, specs in ((model.inputs, answer.inputs), (model.outputs, answer.outputs)):
                for info in infos:
                    specs.add(name=info.name, datatype=info.datatype, shape=info.shape)
        return bytes(answer.SerializeToString())

    def _model_infer(self, data: bytes) -> bytes:
        request = decode_request(data)
        servables = self._current()
        name = request.message.model_name
        if name in servables.models.names:
            return _infer_model(self._model(servables, name), request)
        version = request.message.model_version
        if version and not version.isdigit():
            raise Refusal("invalid model version format in request")
        return infer_once(servables, request)

    def _model_stream_infer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            first = next(requests, None)
            if first is None:
                raise UnmappedRefusal("Client disconnected during reading first streaming request")
            session = StreamSession(self._current(), decode_request(first), requests)
            if not context.add_callback(session.abandon):
                return  # the client is gone already
            session.start()
        except Refusal as refusal:
            context.abort(refusal.code, final_text(refusal))
        try:
            yield from session.responses
        finally:
            session.join()
        if session.refusal is not None:
            context.abort(session.refusal.code, final_text(session.refusal))

    def _model(self, servables: Servables, name: str) -> Model:
        try:
            return servables.models.get(name)
        except UnknownModelError as error:
            raise unknown_model() from error


def _infer_model(model: Model, request: Any) -> bytes:
    """A model served by itself: every input by its name, all outputs in the answer."""
    check_contents(request)
    known = {info.name: info for info in model.inputs}
    values = {}
    for index, item in enumerate(request.message.inputs):
        info = known.get(item.name)
        if info is None:
            raise Refusal("Missing input with specific name", f"Required input: {', '.join(sorted(known))}")
        value = input_value(request, index, "OVTENSOR")
        if item.datatype != info.datatype:
            raise Refusal("Invalid input precision", f"Expected: {info.datatype}; Actual: {item.datatype}")
        fits = len(value.shape) == len(info.shape) and all(
            want in (-1, got) for want, got in zip(info.shape, value.shape, strict=False)
        )
        if not fits:
            raise Refusal(
                "Invalid input shape",
                f"Expected: {list(info.shape)}; Actual: {list(value.shape)}; input: {item.name}",
            )
        values[item.name] = value
    if len(values) != len(known):
        raise Refusal("Invalid number of inputs", f"Expected: {len(known)}; Actual: {len(values)}")
    message = message_class("ModelInferResponse")(
        model_name=model.name, model_version=str(model.version), id=request.message.id
    )
    raw = []
    for name, value in model.infer(values).items():
        describe_output(message.outputs.add(), name, value)
        raw.append(output_bytes(value))
    return encode_response(message, raw)


def _parse(name: str, data: bytes) -> Any:
    try:
        return message_class(name).FromString(data)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a KServe v2 {name}: {error}") from error


def _bytes(message: str, /, **fields: Any) -> bytes:
    return bytes(message_class(message)(**fields).SerializeToString())
