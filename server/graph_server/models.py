"""Models on the OpenVINO runtime, laid out as OVMS lays them out: NAME/VERSION/FILE."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
import openvino as ov

from graph_server.errors import ConfigError, GraphServerError, UnknownModelError

_PATTERNS = ("*.xml", "*.onnx", "*.tflite")

_DATATYPES = {
    "boolean": "BOOL", "u8": "UINT8", "u16": "UINT16", "u32": "UINT32", "u64": "UINT64", "i8": "INT8",
    "i16": "INT16", "i32": "INT32", "i64": "INT64", "f16": "FP16", "f32": "FP32", "f64": "FP64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model as the configuration names it. ``plugin_config`` goes to OpenVINO as it is."""

    name: str
    base_path: Path
    plugin_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output: name, KServe's datatype, shape with -1 for free dimensions."""

    name: str
    datatype: str
    shape: tuple[int, ...]


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

    def __init__(self, runtime: Runtime, config: ModelConfig) -> None:
        self._core = runtime.core
        self.name = config.name
        self.plugin_config = dict(config.plugin_config)
        self.version, self.path = _latest_version(config)
        self._lock = threading.Lock()
        self._variants: dict[str, ov.CompiledModel] = {}
        self._requests: list[ov.InferRequest] = []

    @cached_property
    def _model(self) -> ov.Model:
        try:
            return self._core.read_model(str(self.path))
        except RuntimeError as error:
            raise ConfigError(f"model {self.name}: {self.path} cannot be read: {_first_line(error)}") from error

    @cached_property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The inputs, in the model's order."""
        return tuple(_describe(port) for port in self._model.inputs)

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
                    model = change(self._core.read_model(str(self.path)))
                    compiled = self._core.compile_model(model, "CPU", dict(self.plugin_config))
                except RuntimeError as error:
                    raise ConfigError(f"model {self.name}: {_first_line(error)}") from error
                self._variants[key] = compiled
            return compiled

    def infer(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Run the model as it is; safe from several threads. Raises :class:`GraphServerError`."""
        compiled = self.variant("as it is", lambda model: model)
        with self._lock:
            request = self._requests.pop() if self._requests else None
        request = request or compiled.create_infer_request()
        try:
            request.infer(dict(inputs))
            return {info.name: request.get_output_tensor(index).data.copy() for index, info in enumerate(self.outputs)}
        except RuntimeError as error:
            raise GraphServerError(f"model {self.name}: {_first_line(error)}") from error
        finally:
            with self._lock:
                self._requests.append(request)


class ModelRepository:
    """The models of a configuration, by name."""

    def __init__(self, runtime: Runtime, configs: tuple[ModelConfig, ...]) -> None:
        self._runtime = runtime
        self._configs = {config.name: config for config in configs}
        self._models: dict[str, Model] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured model."""
        return tuple(self._configs)

    def get(self, name: str) -> Model:
        """The model of that name; raises :class:`UnknownModelError` or :class:`ConfigError`."""
        with self._lock:
            if name not in self._configs:
                raise UnknownModelError(f"no model named {name!r} is configured")
            if name not in self._models:
                self._models[name] = Model(self._runtime, self._configs[name])
            return self._models[name]


def _latest_version(config: ModelConfig) -> tuple[int, Path]:
    folders = sorted(
        (int(path.name), path)
        for path in (config.base_path.iterdir() if config.base_path.is_dir() else ())
        if path.is_dir() and path.name.isdigit() and int(path.name) > 0
    )
    for version, folder in reversed(folders):
        for pattern in _PATTERNS:
            files = sorted(folder.glob(pattern))
            if files:
                return version, files[0]
    raise ConfigError(
        f"model {config.name}: no version folder with an .xml, .onnx or .tflite file in {config.base_path} "
        "(fetch the models with `python -m graph_server assets`)"
    )


def _describe(port: Any) -> TensorInfo:
    shape = tuple(-1 if size.is_dynamic else size.get_length() for size in port.get_partial_shape())
    datatype = _DATATYPES.get(port.get_element_type().get_type_name(), "INVALID")
    names = sorted(port.get_names())
    return TensorInfo(names[0] if names else port.get_any_name(), datatype, shape)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
