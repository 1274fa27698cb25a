"""Metadata and states of servables in TensorFlow Serving's messages, and refusals in its words: for gRPC and REST.

Source: src/get_model_metadata_impl.cpp and model_service.cpp of OVMS 2026.2.
"""

import re

from graph_server.metrics.servables import Interface
from graph_server.models.repository import Version
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.status import Refusal, final_text, unknown_model, unknown_version
from graph_server.service.tfs.messages import GetModelMetadataResponse, GetModelStatusResponse, SignatureDefMap
from graph_server.service.tfs.tensors import DATA_TYPES, shape_of

STATES = {"LOADING": 20, "AVAILABLE": 30, "END": 50}
CODES = {"OK": 0, "UNKNOWN": 2, "FAILED_PRECONDITION": 9}


def metadata_of(calls: ServableCalls, name: str, version: int, interface: Interface) -> GetModelMetadataResponse:
    """The inputs and outputs of a model, of its default version for 0; raises :class:`Refusal`."""
    if name not in calls.current().models.names:
        raise unknown_model()
    found = calls.metadata(name, str(version) if version else "", interface)
    signatures = SignatureDefMap()
    signature = signatures.signature_def["serving_default"]
    for specs, infos in ((found.inputs, signature.inputs), (found.outputs, signature.outputs)):
        for tensor in specs:
            info = infos[tensor.name]
            info.name = tensor.name
            info.dtype = DATA_TYPES.get(tensor.datatype, 0)  # type: ignore[assignment]  # of an enumeration
            info.tensor_shape.CopyFrom(shape_of(tensor.shape))
    answer = GetModelMetadataResponse()
    answer.model_spec.name = name
    answer.model_spec.version.value = version or max(int(number) for number in found.versions)
    packed = answer.metadata["signature_def"]
    packed.type_url = f"type.googleapis.com/{SignatureDefMap.DESCRIPTOR.full_name}"
    packed.value = signatures.SerializeToString()
    return answer


def status_of(calls: ServableCalls, name: str, version: int) -> GetModelStatusResponse:
    """The state of a graph, or of a version of a model, of all its versions for 0; raises :class:`Refusal`."""
    servables = calls.current()
    answer = GetModelStatusResponse()
    if name not in servables.models.names:
        if name not in servables.loaded:
            raise unknown_model()
        loaded = servables.loaded[name].definition is not None
        _add(answer, 1, *(("AVAILABLE", "OK") if loaded else ("LOADING", "FAILED_PRECONDITION")))
        return answer
    versions: dict[int, Version] = dict(servables.models.versions(name))
    if version and version not in versions:
        raise unknown_version()
    for number, found in versions.items():
        if version in (0, number):
            _add(answer, number, found.state, "UNKNOWN" if found.failure else "OK")
    return answer


def tfs_text(refusal: Refusal) -> str:
    """OVMS's words for this API: an input's name once, and OVMS's own names of datatypes."""
    text = final_text(refusal).replace("input name: input name: ", "input name: ")
    text = re.sub(r"Actual: (U?)INT(\d+);", lambda found: f"Actual: {found[1] or 'I'}{found[2]};", text)
    return text.replace("Actual: BYTES;", "Actual: STRING;")


def _add(answer: GetModelStatusResponse, version: int, state: str, code: str) -> None:
    entry = answer.model_version_status.add(version=version)
    entry.state = STATES[state]  # type: ignore[assignment]  # the value of an enumeration
    entry.status.error_code, entry.status.error_message = CODES[code], code
