"""The gRPC services of TensorFlow Serving's API: Predict, GetModelMetadata, GetModelStatus.

Source: src/prediction_service.cpp of OVMS 2026.2.
"""

from collections.abc import Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from graph_server.errors import GraphServerError
from graph_server.service.messages import InferRequest
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.status import Refusal, plain
from graph_server.service.tfs.calls import metadata_of, status_of, tfs_text
from graph_server.service.tfs.messages import (
    PACKAGE,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    PredictRequest,
)
from graph_server.service.tfs.tensors import as_infer_request, as_predict_response

_Request = TypeVar("_Request", bound=Message)
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
        return metadata_of(self._calls, spec.name, spec.version.value, "gRPC").SerializeToString()

    def _status(self, data: bytes) -> bytes:
        spec = _parse(GetModelStatusRequest, data).model_spec
        return status_of(self._calls, spec.name, spec.version.value).SerializeToString()


def _handler(method: Callable[[bytes], bytes]) -> "grpc.RpcMethodHandler[bytes, bytes]":
    def call(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return method(data)
        except Refusal as refusal:
            context.abort(refusal.code, tfs_text(refusal))
        except GraphServerError as error:
            context.abort(grpc.StatusCode.INTERNAL, plain(str(error)))

    return grpc.unary_unary_rpc_method_handler(call)


def _parse(kind: type[_Request], data: bytes) -> _Request:
    try:
        return kind.FromString(data)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise Refusal(f"the request is not a TensorFlow Serving {kind.DESCRIPTOR.name}: {error}") from error
