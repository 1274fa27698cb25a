"""The REST calls of TensorFlow Serving's API: ``:predict``, metadata and status of a model.

Source: src/http_rest_api_handler.cpp of OVMS 2026.2.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from graph_server.service.messages import InferRequest
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.status import Refusal, unknown_model
from graph_server.service.tfs.calls import CODES, STATES, metadata_of, status_of, tfs_text
from graph_server.service.tfs.json_tensors import Order, decode_predict, encode_predict
from graph_server.service.tfs.messages import SignatureDefMap, TensorInfo
from graph_server.service.tfs.tensors import TYPE_NAMES, as_infer_request

_NAME = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/[A-Za-z0-9_]+)?"
PREDICT = re.compile(f"{_NAME}:predict")
METADATA = re.compile(f"{_NAME}/metadata")
STATUS = re.compile(_NAME)
_CODES, _STATES = ({number: name for name, number in table.items()} for table in (CODES, STATES))


def predict(calls: ServableCalls, name: str, version: str, body: bytes | bytearray) -> bytes:
    """The answer's body; raises :class:`Refusal`."""
    orders: list[Order] = []
    with calls.budgets.json_bytes.reserve() as memory:

        def decode(take: Callable[[int], None]) -> InferRequest:
            if name not in calls.current().models.names:
                raise unknown_model()
            request, order = decode_predict(body, calls.model_inputs(name, version), memory.grow)
            request.model_spec.name = name
            if version:
                request.model_spec.version.value = int(version)
            orders.append(order)
            return as_infer_request(request)

        try:
            data = calls.infer(decode, len(body), "REST")
        except Refusal as refusal:
            raise _in_its_words(refusal) from refusal
        return encode_predict(data, orders[0], memory.grow)


def metadata(calls: ServableCalls, name: str, version: str) -> Mapping[str, Any]:
    """The inputs and outputs of a model, as protobuf writes ``GetModelMetadataResponse`` in JSON with all fields."""
    found = metadata_of(calls, name, int(version or 0), "REST")
    packed = found.metadata["signature_def"]
    signatures = {
        key: {
            "inputs": {name: _tensor(info) for name, info in sorted(signature.inputs.items())},
            "outputs": {name: _tensor(info) for name, info in sorted(signature.outputs.items())},
            "methodName": "",
        }
        for key, signature in SignatureDefMap.FromString(packed.value).signature_def.items()
    }
    return {
        "modelSpec": {"name": name, "signatureName": "", "version": str(found.model_spec.version.value)},
        "metadata": {"signature_def": {"@type": packed.type_url, "signatureDef": signatures}},
    }


def status(calls: ServableCalls, name: str, version: str) -> Mapping[str, Any]:
    """The states of a model's versions, or of a graph."""
    versions = [
        {
            "version": str(entry.version),
            "state": _STATES[entry.state],
            "status": {"error_code": _CODES[entry.status.error_code], "error_message": entry.status.error_message},
        }
        for entry in status_of(calls, name, int(version or 0)).model_version_status
    ]
    return {"model_version_status": versions}


def _tensor(info: TensorInfo) -> Mapping[str, Any]:
    sizes = [{"size": str(dim.size), "name": ""} for dim in info.tensor_shape.dim]
    return {"dtype": TYPE_NAMES[info.dtype], "tensorShape": {"dim": sizes, "unknownRank": False}, "name": info.name}


def _in_its_words(refusal: Refusal) -> Refusal:
    if type(refusal) is not Refusal or refusal.code is grpc.StatusCode.UNKNOWN:
        return refusal
    return Refusal(tfs_text(refusal), code=refusal.code)
