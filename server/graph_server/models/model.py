"""Models on the OpenVINO runtime. Their files are laid out as for OVMS: NAME/VERSION/FILE."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy.typing as npt
import openvino as ov

from graph_server.errors import GraphServerError, LoadError
from graph_server.metrics.servables import ModelMetrics
from graph_server.models.changes.excerpt import Excerpt, revision
from graph_server.models.config import ModelConfig
from graph_server.models.copies import IN_CALLER, MOST_COPIES, Copies
from graph_server.models.description import ModelInfo, TensorInfo, tensor_info, texts
from graph_server.models.precision import HINT
from graph_server.models.preparation import MAPPING, NOTHING_REQUESTED, Requested, last_line
from graph_server.models.request_pool import RequestPool
from graph_server.models.runtime import Runtime
from graph_server.models.tensors import array_of, tensor_of

logger = logging.getLogger(__name__)

MOST_REQUESTS = 100_000
"""The largest number of infer requests of one model in OVMS (src/modelinstance.cpp)."""
_HINTS = ("PERFORMANCE_HINT", "NUM_STREAMS")


class Model:
    """One version of a model; compiled at first use, then shared by every session."""

    def __init__(
        self,
        runtime: Runtime,
        config: ModelConfig,
        version: int,
        path: Path,
        metrics: ModelMetrics,
        requested: Requested = NOTHING_REQUESTED,
    ) -> None:
        """``requested``: the batch size or shapes that a request has asked for, where these are ``auto``."""
        self.requested = requested
        self._runtime = runtime
        self.config = config
        self.name = config.name
        self.version, self.path = version, path
        self.metrics = metrics
        self.precision: str | None = None
        """The types that the model computes in, such as ``f32`` or ``bf16 f32``, once it is compiled and if the device
        tells them."""
        # OVMS's default (src/modelinstance.cpp), unless the configuration says how many streams it wants.
        hinted = any(key in config.plugin_config for key in _HINTS)
        self.plugin_config = {
            **({} if hinted else {"PERFORMANCE_HINT": "LATENCY"}),
            **({} if config.cached else {"CACHE_DIR": ""}),
            **config.plugin_config,
        }
        self._lock = threading.Lock()
        self._copies: dict[tuple[Excerpt, str | None], Copies] = {}
        self._forgotten = False
        self._strings = False  # of which OpenVINO has no view
        self._pool_lock = threading.Lock()
        self._pool: RequestPool | None = None

    @cached_property
    def _model(self) -> ov.Model:
        try:
            model = self._runtime.read(self.path)
        except RuntimeError as error:
            raise LoadError(f"{self.path} cannot be read: {last_line(error)}", "INTERNAL_ERROR") from error
        return self.config.preparation.apply(model, self.name, self.path.parent, self.requested)

    @cached_property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs, in the model's order."""
        described = (tensor_info(port) for port in self._model.inputs)
        return tuple(replace(info, layout=self.config.preparation.layout_of(info.name)) for info in described)

    @cached_property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs, in the model's order."""
        return tuple(tensor_info(port) for port in self._model.outputs)

    @cached_property
    def info(self) -> ModelInfo:
        """The file's ``model_info``, which OpenVINO's Model API reads; empty where it has none."""
        if not self._model.has_rt_info(["model_info"]):
            return {}
        return texts(self._model.rt_info["model_info"])

    def request(
        self,
        excerpt: Excerpt,
        *,
        most_copies: int = MOST_COPIES,
        precision: str | None = None,
    ) -> ov.InferRequest:
        """An infer request of an excerpt of the model, for one thread at a time. A new one compiles.

        ``precision`` is the type to compute in, such as ``bf16``, if not the configured one.

        If the configuration asks for throughput and does not set threads, the request runs in the calling thread, on
        one of ``most_copies``. Otherwise it runs in OpenVINO's threads. Raises :class:`LoadError`.
        """
        with self._lock:
            copies = self._copies.get((excerpt, precision))
            if copies is None:
                in_caller = self._in_caller
                asked = {} if precision is None else {HINT: precision}
                compile_one = partial(self._copy if in_caller else self._configured, excerpt, asked)
                copies = self._copies[excerpt, precision] = Copies(compile_one, most_copies if in_caller else 1)
        return copies.request()

    def run(self, *requests: ov.InferRequest, inputs: Mapping[str, Any] | None = None) -> None:
        """Run requests of above one after the other, as one inference; their inputs are set, or given to the first."""
        with self.metrics.inferring() if self.metrics.served else nullcontext():
            for request in requests:
                self._ask(request, inputs)
                inputs = None

    def _ask(self, request: ov.InferRequest, inputs: Mapping[str, Any] | None) -> None:
        request.infer(inputs, share_outputs=not self._strings)  # else it copies outputs that nobody takes

    def infer(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run the model as it is; safe from several threads. Raises :class:`GraphServerError`.

        A tensor of strings is an array of ``bytes`` objects.
        """
        requests = self._requests()
        begun = time.perf_counter()
        with requests.take() as request, self.metrics.inferring(time.perf_counter() - begun):
            try:
                self._ask(request, {name: tensor_of(value) for name, value in inputs.items()})
                return {
                    info.name: array_of(request.get_output_tensor(index)) for index, info in enumerate(self.outputs)
                }
            except RuntimeError as error:
                raise GraphServerError(f"model {self.name}: {last_line(error)}") from error

    def compile(self) -> None:
        """Make ready for :meth:`infer`; raises :class:`LoadError`."""
        self._requests()

    def unload(self) -> None:
        """Free what is compiled. The next use compiles again. Requests that run keep theirs."""
        with self._lock:
            self._copies.clear()
        with self._pool_lock:
            self._pool = None
        self.metrics.streams.set(0)

    def forget_source(self) -> None:
        """Free the model as it was read. Compiled models do not need it; for another one it is read again."""
        if "_model" in vars(self):
            _ = self.inputs, self.outputs, self.info
        with self._lock:
            self._forgotten = True
            vars(self).pop("_model", None)

    @property
    def _in_caller(self) -> bool:
        hinted, threads = self.plugin_config.get("PERFORMANCE_HINT"), {"NUM_STREAMS", "INFERENCE_NUM_THREADS"}
        return self.config.device == "CPU" and hinted == "THROUGHPUT" and not threads & self.plugin_config.keys()

    def _configured(self, excerpt: Excerpt | None, asked: Mapping[str, str] = MappingProxyType({})) -> ov.CompiledModel:
        with self._lock:
            compiled = self._compiled(excerpt, {**self.plugin_config, **asked})
        self.metrics.streams.set(_property(compiled, "NUM_STREAMS", "OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        return compiled

    def _copy(self, excerpt: Excerpt, asked: Mapping[str, str]) -> ov.CompiledModel:
        kept = {name: value for name, value in self.plugin_config.items() if name != "PERFORMANCE_HINT"}
        with self._lock:
            compiled = self._compiled(excerpt, {**kept, **IN_CALLER, **asked})
        self.metrics.streams.add()
        return compiled

    def _compiled(self, excerpt: Excerpt | None, properties: Mapping[str, Any]) -> ov.CompiledModel:
        """The model or an excerpt of it, warm; needs the lock. Raises :class:`LoadError`."""
        try:
            network = self._model if excerpt is None else self._excerpt(excerpt)
            compiled = self._runtime.compile(network, self.config.device, properties)
        except RuntimeError as error:
            text = f"model {self.name} cannot be compiled: {last_line(error)}"
            raise LoadError(text, "CANNOT_COMPILE_MODEL_INTO_TARGET_DEVICE") from error
        finally:
            if self._forgotten:
                vars(self).pop("_model", None)
        self._strings |= any(port.get_element_type() == ov.Type.string for port in compiled.outputs)
        with suppress(RuntimeError):  # AUTO and HETERO may not have the property
            self._report(compiled.get_property(HINT).to_string())
        _warm_up(compiled)
        return compiled

    def _excerpt(self, excerpt: Excerpt) -> ov.Model:
        mapping = self.path.with_name(MAPPING)
        renamed = mapping.read_bytes() if mapping.is_file() else b""
        change = f"{self.config.preparation} {self.requested} {renamed!r} {excerpt} {revision()}"
        return self._runtime.kept(self.path, change, lambda: excerpt.of(self._model.clone()))

    def _report(self, precision: str) -> None:
        known = set() if self.precision is None else set(self.precision.split())
        if precision not in known:
            logger.info("model %s, version %d, computes in %s", self.name, self.version, precision)
        self.precision = " ".join(sorted(known | {precision}))

    def _requests(self) -> "RequestPool":
        with self._pool_lock:
            if self._pool is None:
                if self.config.nireq > MOST_REQUESTS:
                    text = f"model {self.name}: nireq {self.config.nireq} is more than {MOST_REQUESTS}"
                    raise LoadError(text, "INVALID_NIREQ")
                compiled = self._configured(None)
                count = self.config.nireq or _property(compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS")
                self.metrics.requests.set(count)
                self._pool = RequestPool(compiled, count)
            return self._pool


def _property(compiled: ov.CompiledModel, *names: str) -> int:
    """The first of these properties that the device has. 1 where it has none, as with AUTO and HETERO."""
    for name in names:
        with suppress(RuntimeError):
            return int(compiled.get_property(name))
    return 1


def _warm_up(compiled: ov.CompiledModel) -> None:
    """The first inference makes kernels and allocates memory. Do it before the first frame."""
    if any(port.partial_shape.is_dynamic or port.element_type == ov.Type.string for port in compiled.inputs):
        return
    request = compiled.create_infer_request()
    for index in range(len(compiled.inputs)):
        request.get_input_tensor(index).data[...] = 0
    try:
        request.infer()
    except RuntimeError as error:  # zeros may be no input that it takes
        logger.debug("a first inference with zeros failed: %s", last_line(error))
