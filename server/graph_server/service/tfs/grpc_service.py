"""The gRPC services of TensorFlow Serving's API: Predict, GetModelMetadata, GetModelStatus.

Source: src/prediction_service.cpp, get_model_metadata_impl.cpp and model_service.cpp of OVMS 2026.2.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from graph_server.errors import GraphServerError
from graph_server.models.repository import Version
from graph_server.service.messages import InferRequest
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.status import Refusal, final_text, plain, unknown_model, unknown_version
from graph_server.service.tfs.messages import (
    PACKAGE,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    SignatureDefMap,
)
from graph_server.service.tfs.tensors import DATA_TYPES, as_infer_request, as_predict_response, shape_of

_Request = TypeVar("_Request", bound=Message)
_STATES = {"LOADING": 20, "AVAILABLE": 30, "END": 50}
_OK, _UNKNOWN, _FAILED_PRECONDITION = (0, "OK"), (2, "UNKNOWN"), (9, "FAILED_PRECONDITION")

_PARSED_SIZE = 16
"""Bytes of memory for a byte of a ``PredictRequest``: an empty text has 2 bytes on the wire. Tensors take far less."""


class TensorFlowServing:
    """Puts the calls to :class:`ServableCalls`, in KServe's form."""

    def __init__(self, calls: ServableCalls) -> None:
        self._calls = calls

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What to add to a gRPC server."""
        services = {
            "PredictionService": {"Predict": self._predict, "GetModelMetadata": self._metadata},
            "ModelService": {"GetModelStatus": self._status},
        }
        return tuple(
            grpc.method_handlers_generic_handler(
                f"{PACKAGE}.{service}", {name: _handler(method) for name, method in methods.items()}
            )
            for service, methods in services.items()
        )

    def _predict(self, data: bytes) -> bytes:
        def decode(take: Callable[[int], None]) -> InferRequest:
            take(len(data) * _PARSED_SIZE)
            request = _parse(PredictRequest, data)
            if request.model_spec.name not in self._calls.current().models.names:
                raise Refusal("Pipeline with requested name is not found", code=grpc.StatusCode.NOT_FOUND)
            return as_infer_request(request)

        answer = self._calls.infer(decode, len(data), "gRPC")
        return as_predict_response(answer).SerializeToString()

    def _metadata(self, data: bytes) -> bytes:
        request = _parse(GetModelMetadataRequest, data)
        spec = request.model_spec
        if not request.HasField("model_spec"):
            raise Refusal("model_spec missing in request")
        if list(request.metadata_field) != ["signature_def"]:
            raise Refusal("Invalid signature name")
        if spec.name not in self._calls.current().models.names:
            raise unknown_model()
        version = str(spec.version.value) if spec.version.value else ""
        metadata = self._calls.metadata(spec.name, version, "gRPC")
        signatures = SignatureDefMap()
        signature = signatures.signature_def["serving_default"]
        for specs, infos in ((metadata.inputs, signature.inputs), (metadata.outputs, signature.outputs)):
            for tensor in specs:
                info = infos[tensor.name]
                info.name = tensor.name
                info.dtype = DATA_TYPES.get(tensor.datatype, 0)  # type: ignore[assignment]  # of an enumeration
                info.tensor_shape.CopyFrom(shape_of(tensor.shape))
        answer = GetModelMetadataResponse()
        answer.model_spec.name = spec.name
        answer.model_spec.version.value = int(version or max(metadata.versions, key=int))
        packed = answer.metadata["signature_def"]
        packed.type_url = f"type.googleapis.com/{SignatureDefMap.DESCRIPTOR.full_name}"
        packed.value = signatures.SerializeToString()
        return answer.SerializeToString()

    def _status(self, data: bytes) -> bytes:
        spec = _parse(GetModelStatusRequest, data).model_spec
        servables = self._calls.current()
        answer = GetModelStatusResponse()
        if spec.name not in servables.models.names:
            if spec.name not in servables.loaded:
                raise unknown_model()
            loaded = servables.loaded[spec.name].definition is not None
            state, status = ("AVAILABLE", _OK) if loaded else ("LOADING", _FAILED_PRECONDITION)
            _add(answer, 1, state, status)
            return answer.SerializeToString()
        versions: dict[int, Version] = dict(servables.models.versions(spec.name))
        wanted = spec.version.value
        if wanted and wanted not in versions:
            raise unknown_version()
        for number, version in versions.items():
            if wanted in (0, number):
                _add(answer, number, version.state, _UNKNOWN if version.failure else _OK)
        return answer.SerializeToString()


def _add(answer: GetModelStatusResponse, version: int, state: str, status: tuple[int, str]) -> None:
    entry = answer.model_version_status.add(version=version)
    entry.state = _STATES[state]  # type: ignore[assignment]  # the value of an enumeration
    entry.status.error_code, entry.status.error_message = status


def _handler(method: Callable[[bytes], bytes]) -> "grpc.RpcMethodHandler[bytes, bytes]":
    def call(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return method(data)
        except Refusal as refusal:
            context.abort(refusal.code, _text(refusal))
        except GraphServerError as error:
            context.abort(grpc.StatusCode.INTERNAL, plain(str(error)))

    return grpc.unary_unary_rpc_method_handler(call)


def _text(refusal: Refusal) -> str:
    """OVMS's words for this API: an input's name once, and OVMS's own names of datatypes."""
    text = final_text(refusal).replace("input name: input name: ", "input name: ")
    text = re.sub(r"Actual: (U?)INT(\d+);", lambda found: f"Actual: {found[1] or 'I'}{found[2]};", text)
    return text.replace("Actual: BYTES;", "Actual: STRING;")


def _parse(kind: type[_Request], data: bytes) -> _Request:
    try:
        return kind.FromString(data)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a TensorFlow Serving {kind.DESCRIPTOR.name}: {error}") from error
