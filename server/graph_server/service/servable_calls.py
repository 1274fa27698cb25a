"""Readiness, metadata and inference for one servable, shared by gRPC and REST.

Source: src/kfs_frontend/kfs_grpc_inference_service.cpp, which OVMS's REST handler calls as well.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import grpc

from graph_server.errors import UnknownModelError, UnknownVersionError
from graph_server.metrics.servables import Interface
from graph_server.models.description import ModelInfo, TensorInfo
from graph_server.models.model import Model
from graph_server.models.repository import Version
from graph_server.servables.idle import GroupBusyError
from graph_server.servables.live import LiveServables
from graph_server.servables.served import Servables
from graph_server.service.admission import Budgets
from graph_server.service.messages import InferRequest
from graph_server.service.model_call import infer_model
from graph_server.service.session import Watch, infer_once
from graph_server.service.status import (
    Refusal,
    not_loaded,
    retired,
    retired_graph,
    unknown_model,
    unknown_version,
    version_not_loaded,
)
from kserve_wire.messages import ModelMetadataResponse

LOADING_SECONDS = 10.0
"""How long an inference waits for a version that is being loaded (src/modelmanager.hpp)."""

Decode = Callable[[Callable[[int], None]], InferRequest]
"""Decodes a request. It calls its argument with the bytes of memory that it needs, before it uses them."""


class ServableCalls:
    """Answers for the servables as they are at the moment of each call; raises :class:`Refusal`."""

    def __init__(self, live: LiveServables, budgets: Budgets, *, exact_inputs: bool = True) -> None:
        """``exact_inputs``: a request to a model must have as many inputs as the model."""
        self._live = live
        self._exact_inputs = exact_inputs
        self.budgets = budgets

    def current(self) -> Servables:
        """What is served now."""
        return self._live.current

    def server_ready(self) -> bool:
        """Whether the configuration has been loaded, with or without success."""
        return self._live.ready

    def ready(self, name: str, version: str, interface: Interface) -> bool:
        """Whether a graph or a version of a model is loaded."""
        servables = self.current()
        if name in servables.models.names:
            found = self._version(servables, name, version)
            servables.metrics.request(True, name, found.number, interface, "ModelReady")
            return found.state == "AVAILABLE"
        if name not in servables.loaded and name not in servables.retired:
            raise unknown_model()
        servables.metrics.request(True, name, None, interface, "ModelReady")
        return name in servables.loaded and servables.loaded[name].definition is not None

    def metadata(self, name: str, version: str, interface: Interface) -> ModelMetadataResponse:
        """The metadata of a graph or a model."""
        servables = self.current()
        if name not in servables.models.names:
            return self._graph_metadata(servables, name, interface)
        found = self._version(servables, name, version)
        servables.metrics.request(found.model is not None, name, found.number, interface, "ModelMetadata")
        model = _served(found)
        answer = ModelMetadataResponse(name=name, platform="OpenVINO")
        versions = servables.models.versions(name).items()
        answer.versions.extend(str(number) for number, version in versions if version.state == "AVAILABLE")
        for infos, specs in ((model.inputs, answer.inputs), (model.outputs, answer.outputs)):
            for info in sorted(infos, key=lambda info: info.name):
                specs.add(name=info.name, datatype=info.datatype, shape=info.shape)
        return answer

    def model_info(self, name: str, version: str) -> ModelInfo:
        """The model's own metadata beside its tensors, such as labels. Empty for a graph."""
        servables = self.current()
        return _served(self._version(servables, name, version)).info if name in servables.models.names else {}

    def model_inputs(self, name: str, version: str) -> tuple[TensorInfo, ...]:
        """The inputs of a model's version, by default of the highest that is available; raises :class:`Refusal`."""
        return _served(self._version(self.current(), name, "" if version == "0" else version)).inputs

    def _graph_metadata(self, servables: Servables, name: str, interface: Interface) -> ModelMetadataResponse:
        if name not in servables.loaded and name not in servables.retired:
            raise unknown_model()
        definition = servables.graphs.get(name)
        servables.metrics.request(definition is not None, name, None, interface, "ModelMetadata")
        if definition is None:
            raise retired_graph() if name in servables.retired else not_loaded()
        answer = ModelMetadataResponse(name=name, platform="OpenVINO", versions=["1"])
        for ports, specs in ((definition.input_streams, answer.inputs), (definition.output_streams, answer.outputs)):
            for stream in sorted(port.name for port in ports):
                specs.add(name=stream, datatype="INVALID")
        return answer

    def infer(self, decode: Decode, size: int, interface: Interface, watch: Watch = lambda stop: None) -> bytes:
        """A ``ModelInferResponse`` for a request of ``size`` bytes. It is decoded when there is room."""
        begun = time.perf_counter()
        budgets = self.budgets
        with budgets.inferences.take(), budgets.unary_bytes.reserve() as memory, ExitStack() as stack:
            memory.grow(size)
            request = decode(memory.grow)
            servables = self.current()
            name, version = request.message.model_name, request.message.model_version
            if version:
                _version(version)
            stack.enter_context(self.use(name))
            if name in servables.models.names:
                return self._infer_model(servables, request, interface, begun)
            if not servables.is_pooled(name):  # a call that waits for a pool's graph must not delay others
                stack.enter_context(budgets.running)
            return infer_once(servables, request, interface, watch)

    @contextmanager
    def use(self, name: str) -> Iterator[None]:
        """Keep a servable loaded during a call. Raises :class:`Refusal` where another group is in use for too long."""
        try:
            with self._live.use(name):
                yield
        except GroupBusyError as error:
            raise Refusal(str(error), code=grpc.StatusCode.UNAVAILABLE) from error

    def _infer_model(self, servables: Servables, request: InferRequest, interface: Interface, begun: float) -> bytes:
        name, version = request.message.model_name, request.message.model_version
        found = self._version(servables, name, "" if version == "0" else version)
        if found.state == "LOADING":
            found = servables.models.wait_for(name, found.number, LOADING_SECONDS)
        succeeded = False
        try:
            model = _served(found)
            with self.budgets.running:
                adapt = partial(servables.models.adapt, name, found.number)
                response = infer_model(model, request, adapt, exact=self._exact_inputs)
            succeeded = True
        finally:
            servables.metrics.request(succeeded, name, found.number, interface, "ModelInfer")
        found.metrics.answered(interface, time.perf_counter() - begun)
        return response

    def unreadable(self, name: str, version: str, interface: Interface) -> None:
        """Count an unreadable request as a failure of its model."""
        servables = self.current()
        with suppress(UnknownModelError):
            number = servables.models.find(name, _version(version) if version else 0).number
            servables.metrics.request(False, name, number, interface, "ModelInfer")

    def _version(self, servables: Servables, name: str, version: str) -> Version:
        """A version of a model that is known, by default the highest that is available."""
        try:
            return servables.models.find(name, _version(version) if version else 0)
        except UnknownVersionError as error:
            raise unknown_version() from error


def _served(version: Version) -> Model:
    if version.state == "END":
        raise retired()
    if version.model is None:
        raise version_not_loaded()
    return version.model


def _version(text: str) -> int:
    """A version as OVMS reads it (src/stringutils.cpp, ``stoi64``): no leading zeros, no plus sign.

    A model has no version 0: that number is unknown.
    """
    if re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text) is None or not -(2**63) <= int(text) < 2**63:
        raise Refusal("invalid model version format in request")
    return int(text) or -1
