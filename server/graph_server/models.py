"""Models on the OpenVINO runtime, laid out as OVMS lays them out: NAME/VERSION/FILE."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
import openvino as ov

from graph_server.errors import ConfigError, GraphServerError, UnknownModelError, UnknownVersionError
from graph_server.preparation import Preparation, last_line
from graph_server.servable_metrics import ServableMetrics
from graph_server.versions import VersionPolicy, find_versions

logger = logging.getLogger(__name__)

_DATATYPES = {
    "boolean": "BOOL", "u8": "UINT8", "u16": "UINT16", "u32": "UINT32", "u64": "UINT64", "i8": "INT8",
    "i16": "INT16", "i32": "INT32", "i64": "INT64", "f16": "FP16", "f32": "FP32", "f64": "FP64",
}  # fmt: skip
_HINTS = ("PERFORMANCE_HINT", "NUM_STREAMS")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model as the configuration names it. ``plugin_config`` goes to OpenVINO as it is.

    ``nireq``: infer requests of the model served by itself, 0 for as many as OpenVINO advises.
    """

    name: str
    base_path: Path
    plugin_config: Mapping[str, str | bool | int | float] = field(default_factory=dict)
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    preparation: Preparation = field(default_factory=Preparation)
    device: str = "CPU"
    nireq: int = 0


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: name, KServe's datatype, shape with -1 for free dimensions, layout if one is configured."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    layout: str = ""


class Runtime:
    """OpenVINO, with its model cache: compiled models are read back in a fraction of the time."""

    def __init__(self, cache: Path | None = None) -> None:
        self.core = ov.Core()
        if cache is not None:
            try:
                cache.mkdir(parents=True, exist_ok=True)
                self.core.set_property({"CACHE_DIR": str(cache)})
            except OSError:
                pass  # without the cache it only starts slower


class Model:
    """One version of a model; compiled at first use, then shared by every session."""

    def __init__(
        self, runtime: Runtime, config: ModelConfig, version: int, path: Path, metrics: ServableMetrics
    ) -> None:
        self._core = runtime.core
        self._config = config
        self.name = config.name
        self.version, self.path = version, path
        self.metrics = metrics.model(config.name, version)
        # OVMS's default (src/modelinstance.cpp), unless the configuration says how many streams it wants.
        hinted = any(key in config.plugin_config for key in _HINTS)
        self.plugin_config = {**({} if hinted else {"PERFORMANCE_HINT": "LATENCY"}), **config.plugin_config}
        self._lock = threading.Lock()
        self._variants: dict[str, ov.CompiledModel] = {}
        self._pool_lock = threading.Lock()
        self._pool: _RequestPool | None = None

    @cached_property
    def _model(self) -> ov.Model:
        try:
            model = self._core.read_model(str(self.path))
        except RuntimeError as error:
            raise ConfigError(f"model {self.name}: {self.path} cannot be read: {last_line(error)}") from error
        return self._config.preparation.apply(model, self.name, self.path.parent)

    @cached_property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs, in the model's order."""
        described = (_describe(port) for port in self._model.inputs)
        return tuple(replace(info, layout=self._config.preparation.layout_of(info.name)) for info in described)

    @cached_property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs, in the model's order."""
        return tuple(_describe(port) for port in self._model.outputs)

    def variant(self, key: str, change: Callable[[ov.Model], ov.Model]) -> ov.CompiledModel:
        """The model after ``change``, compiled once for each ``key``."""
        with self._lock:
            compiled = self._variants.get(key)
            if compiled is None:
                try:
                    model = change(self._model.clone())
                    compiled = self._core.compile_model(model, self._config.device, self.plugin_config)
                except RuntimeError as error:
                    raise ConfigError(f"model {self.name}: {last_line(error)}") from error
                self.metrics.streams.set(int(compiled.get_property("NUM_STREAMS")))
                _warm_up(compiled)
                self._variants[key] = compiled
            return compiled

    def run(self, request: ov.InferRequest, inputs: Mapping[str, Any] | None = None) -> None:
        """Run a request of one of the variants, whose inputs are set or given, and report it."""
        if not self.metrics.served:
            request.infer(inputs)
            return
        with self.metrics.inferring():
            request.infer(inputs)

    def infer(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run the model as it is; safe from several threads. Raises :class:`GraphServerError`."""
        requests = self._requests()
        begun = time.perf_counter()
        with requests.take() as request, self.metrics.inferring(time.perf_counter() - begun):
            try:
                request.infer(dict(inputs))
                return {
                    info.name: request.get_output_tensor(index).data.copy() for index, info in enumerate(self.outputs)
                }
            except RuntimeError as error:
                raise GraphServerError(f"model {self.name}: {last_line(error)}") from error

    def compile(self) -> None:
        """Make ready for :meth:`infer`; raises :class:`ConfigError`."""
        self._requests()

    def forget_source(self) -> None:
        """Let go of the model as it was read: what is compiled does without it, and for more it is read again."""
        _ = self.inputs, self.outputs
        with self._lock:
            vars(self).pop("_model", None)

    def _requests(self) -> "_RequestPool":
        with self._pool_lock:
            if self._pool is None:
                compiled = self.variant("as it is", lambda model: model)
                count = self._config.nireq or int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
                self.metrics.requests.set(count)
                self._pool = _RequestPool(compiled, count)
            return self._pool


def _warm_up(compiled: ov.CompiledModel) -> None:
    """The first inference makes kernels and takes memory: let it not be that of somebody's first frame."""
    if any(port.partial_shape.is_dynamic for port in compiled.inputs):
        return
    request = compiled.create_infer_request()
    for index in range(len(compiled.inputs)):
        request.get_input_tensor(index).data[...] = 0
    try:
        request.infer()
    except RuntimeError as error:  # zeros may be no input that it takes
        logger.debug("a first inference with zeros failed: %s", last_line(error))


class _RequestPool:
    """At most ``size`` infer requests, made as they are needed; who finds none waits."""

    def __init__(self, compiled: ov.CompiledModel, size: int) -> None:
        self._compiled = compiled
        self._left = size
        self._idle: list[ov.InferRequest] = []
        self._changed = threading.Condition()

    @contextmanager
    def take(self) -> Iterator[ov.InferRequest]:
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._left)
            if self._idle:
                request = self._idle.pop()
            else:
                self._left -= 1
                request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            with self._changed:
                self._idle.append(request)
                self._changed.notify()


class ModelRepository:
    """The models of a configuration, by name and version. ``before`` gives what need not be loaded again."""

    def __init__(
        self,
        runtime: Runtime,
        configs: tuple[ModelConfig, ...],
        metrics: ServableMetrics | None = None,
        before: "ModelRepository | None" = None,
    ) -> None:
        self._configs = {config.name: config for config in configs}
        self._failures: dict[str, ConfigError] = {}
        self._models: dict[str, dict[int, Model]] = {}
        metrics = metrics or ServableMetrics()
        for config in configs:
            kept = before._models.get(config.name, {}) if before and before._configs.get(config.name) == config else {}
            try:
                self._models[config.name] = _readable(runtime, config, metrics, kept)
            except ConfigError as error:
                self._failures[config.name] = error

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured model."""
        return tuple(self._configs)

    def get(self, name: str, version: int = 0) -> Model:
        """The model of that name, by default its highest version.

        Raises :class:`UnknownModelError`, :class:`UnknownVersionError`, or the :class:`ConfigError` that kept
        it from being loaded.
        """
        if name not in self._configs:
            raise UnknownModelError(f"no model named {name!r} is configured")
        if name in self._failures:
            raise self._failures[name]
        versions = self._models[name]
        if version and version not in versions:
            raise UnknownVersionError(f"model {name} has no version {version}, only {sorted(versions)}")
        return versions[version or max(versions)]

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model that are served, from the lowest."""
        return tuple(sorted(self._models.get(name, ())))

    def compile(self, name: str) -> None:
        """Compile every version as it is now rather than at its first request; what fails is not served."""
        try:
            for model in self._models.get(name, {}).values():
                model.compile()
        except ConfigError as error:
            self._failures[name] = error
            del self._models[name]

    def forget_sources(self) -> None:
        """Free what only compiling needs."""
        for versions in self._models.values():
            for model in versions.values():
                model.forget_source()

    def failure(self, name: str) -> ConfigError | None:
        """Why a configured model is not served."""
        return self._failures.get(name)


def _readable(
    runtime: Runtime, config: ModelConfig, metrics: ServableMetrics, kept: Mapping[int, Model]
) -> dict[int, Model]:
    """The versions that the policy chooses of those that can be read; raises :class:`ConfigError` where none can.

    As in OVMS, one that cannot be read, perhaps since it is still being copied, makes way for the next.
    """
    paths = find_versions(config.name, config.base_path)
    found: dict[int, Model] = {}
    failures: list[ConfigError] = []
    while wanted := config.policy.choose(tuple(paths)):
        for version in wanted:
            model = found.get(version) or kept.get(version)
            if model is None or model.path != paths[version]:
                model = Model(runtime, config, version, paths[version], metrics)
            try:
                _ = model.inputs  # what cannot be read shows now
            except ConfigError as error:
                failures.append(error)
                del paths[version]
            else:
                found[version] = model
        if all(version in found for version in wanted):
            for failure in failures:
                logger.error("%s", failure)
            return {version: found[version] for version in wanted}
    if failures:
        raise failures[0]
    versions = ", ".join(str(version) for version in config.policy.versions)
    raise ConfigError(f"model {config.name}: {config.base_path} has no version {versions} (model_version_policy)")


class UsedModels(ModelRepository):
    """The same models, and a note of which were asked for."""

    def __init__(self, models: ModelRepository) -> None:
        self._all = models
        self.used: dict[str, Model] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured model."""
        return self._all.names

    def get(self, name: str, version: int = 0) -> Model:
        """The model of that name, noted."""
        model = self._all.get(name, version)
        self.used[name] = model
        return model


def _describe(port: Any) -> TensorInfo:
    shape = tuple(-1 if size.is_dynamic else size.get_length() for size in port.get_partial_shape())
    datatype = _DATATYPES.get(port.get_element_type().get_type_name(), "INVALID")
    names = sorted(port.get_names())
    return TensorInfo(names[0] if names else port.get_any_name(), datatype, shape)
