"""What may be asked of a servable, whichever way the question came: readiness, metadata, inference.

Source: src/kfs_frontend/kfs_grpc_inference_service.cpp, which OVMS's REST handler calls as well.
"""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack

from graph_server.errors import ConfigError, GraphServerError, UnknownModelError, UnknownVersionError
from graph_server.metrics.servables import Interface
from graph_server.models.model import Model
from graph_server.servables.load import Servables
from graph_server.service.admission import Budgets
from graph_server.service.messages import InferRequest
from graph_server.service.model_call import infer_model
from graph_server.service.session import Watch, infer_once
from graph_server.service.status import (
    Refusal,
    not_loaded,
    retired,
    unknown_model,
    unknown_version,
    version_not_loaded,
)
from kserve_wire.messages import ModelMetadataResponse


class ServableCalls:
    """Answers for the servables that ``current`` gives at the moment of each call; raises :class:`Refusal`."""

    def __init__(self, current: Callable[[], Servables], budgets: Budgets) -> None:
        self._current = current
        self.budgets = budgets

    def current(self) -> Servables:
        """What is served now."""
        return self._current()

    def ready(self, name: str, version: str, interface: Interface) -> bool:
        """Whether a graph or a version of a model is loaded."""
        servables = self._current()
        if name in servables.graphs:
            servables.metrics.request(True, name, None, interface, "ModelReady")
            return servables.graphs[name] is not None
        if _loaded(servables, name, version):
            served = self._model(servables, name, version).version
            servables.metrics.request(True, name, served, interface, "ModelReady")
            return True
        return False

    def metadata(self, name: str, version: str, interface: Interface) -> ModelMetadataResponse:
        """The metadata of a graph or a model."""
        servables = self._current()
        answer = ModelMetadataResponse(name=name, platform="OpenVINO")
        if name in servables.graphs:
            definition = servables.graphs[name]
            servables.metrics.request(definition is not None, name, None, interface, "ModelMetadata")
            if definition is None:
                raise not_loaded()
            answer.versions.append("1")
            for ports, specs in (
                (definition.input_streams, answer.inputs),
                (definition.output_streams, answer.outputs),
            ):
                for stream in sorted(port.name for port in ports):
                    specs.add(name=stream, datatype="INVALID")
            return answer
        model = self._model(servables, name, version)
        answer.versions.extend(str(served) for served in servables.models.versions(name))
        for infos, specs in ((model.inputs, answer.inputs), (model.outputs, answer.outputs)):
            for info in sorted(infos, key=lambda info: info.name):
                specs.add(name=info.name, datatype=info.datatype, shape=info.shape)
        servables.metrics.request(True, name, model.version, interface, "ModelMetadata")
        return answer

    def infer(
        self, decode: Callable[[], InferRequest], size: int, interface: Interface, watch: Watch = lambda stop: None
    ) -> bytes:
        """A ``ModelInferResponse`` for a request of ``size`` bytes, which is decoded once there is room for it."""
        begun = time.perf_counter()
        budgets = self.budgets
        with budgets.inferences.take(), budgets.unary_bytes.take(size), ExitStack() as stack:
            request = decode()
            servables = self._current()
            name, version = request.message.model_name, request.message.model_version
            if version:
                _version(version)
            if not servables.is_pooled(name):  # who waits for a pool's graph must not keep others waiting
                stack.enter_context(budgets.running)
            if name not in servables.models.names:
                return infer_once(servables, request, interface, watch)
            model = self._model(servables, name, "" if version == "0" else version)
            try:
                response = infer_model(model, request)
            except GraphServerError:
                servables.metrics.request(False, name, model.version, interface, "ModelInfer")
                raise
            servables.metrics.request(True, name, model.version, interface, "ModelInfer")
            model.metrics.answered(interface, time.perf_counter() - begun)
            return response

    def _model(self, servables: Servables, name: str, version: str) -> Model:
        """The model, by default in its highest version."""
        try:
            return servables.models.get(name, _version(version) if version else 0)
        except UnknownVersionError as error:
            raise unknown_version() from error
        except UnknownModelError as error:
            raise (retired() if name in servables.retired else unknown_model()) from error
        except ConfigError as error:
            raise (unknown_version() if version else version_not_loaded()) from error


def _loaded(servables: Servables, name: str, version: str) -> bool:
    """``False`` for a model that is configured but could not be loaded; its version may be asked for or not."""
    if version:
        _version(version)
    return servables.models.failure(name) is None


def _version(text: str) -> int:
    """A version as OVMS reads it (src/stringutils.cpp, ``stoi64``): no leading zeros, no plus sign.

    A model has no version 0: asked for by that number it is unknown.
    """
    if re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text) is None or not -(2**63) <= int(text) < 2**63:
        raise Refusal("invalid model version format in request")
    return int(text) or -1
