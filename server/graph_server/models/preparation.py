"""What a configuration changes in a model before it is compiled: names, shapes, layouts.

Sources: docs/shape_batch_size_and_layout.md, src/modelinstance.cpp; mapping_config.json renames tensors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov
from openvino.preprocess import PrePostProcessor

from graph_server.errors import ConfigError

PerTensor = Mapping[str, str]
"""A value for each tensor by name; under ``""`` the value for a model with one input."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """``batch_size`` and ``shapes`` as OVMS writes them: ``8``, ``1:8``, ``-1``; ``(1,3,224:448,-1)``.

    ``layouts``: ``NHWC:NCHW`` (the client's, the model's) or the model's alone.
    """

    batch_size: str = ""
    shapes: PerTensor = field(default_factory=dict)
    layouts: PerTensor = field(default_factory=dict)

    def apply(self, model: ov.Model, name: str, folder: Path) -> ov.Model:
        """The model as it is to be served; raises :class:`ConfigError`."""
        _rename(model, name, folder / "mapping_config.json")
        try:
            self._reshape(model, name)
            return self._lay_out(model, name)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"model {name}: shape, batch_size or layout does not fit: {last_line(error)}") from error

    def layout_of(self, tensor: str) -> str:
        """The layout in which clients give that input, empty where nothing is said."""
        text = self.layouts.get(tensor, self.layouts.get("", ""))
        return text.replace(" ", "").upper().partition(":")[0]

    def _reshape(self, model: ov.Model, name: str) -> None:
        shapes: dict[Any, ov.PartialShape] = {
            _port(model, name, key, "shape"): partial_shape(text, f"model {name}: shape")
            for key, text in self.shapes.items()
        }
        if shapes:
            model.reshape(shapes)
        elif self.batch_size:
            dimension = partial_shape(f"({self.batch_size})", f"model {name}: batch_size")[0]
            batched: dict[Any, ov.PartialShape] = {}
            for port in model.inputs:
                shape = port.get_partial_shape()
                shape[0] = dimension
                batched[port] = shape
            model.reshape(batched)

    def _lay_out(self, model: ov.Model, name: str) -> ov.Model:
        if not self.layouts:
            return model
        processor = PrePostProcessor(model)
        for key, text in self.layouts.items():
            client, _, own = text.replace(" ", "").upper().partition(":")
            port = _port(model, name, key, "layout")
            side = processor.input(model.inputs.index(port)) if port in model.inputs else None
            if side is None:
                output = processor.output(model.outputs.index(port))
                output.model().set_layout(ov.Layout(own or client))
                if own:
                    output.tensor().set_layout(ov.Layout(client))
                continue
            side.model().set_layout(ov.Layout(own or client))
            if own:
                side.tensor().set_layout(ov.Layout(client))
        return processor.build()


def partial_shape(text: str, where: str) -> ov.PartialShape:
    """``(1,3,224:448,-1)`` as OpenVINO's shape; raises :class:`ConfigError`."""
    inner = text.replace(" ", "").removeprefix("(").removesuffix(")")
    dimensions = []
    for part in inner.split(",") if inner else []:
        low, colon, high = part.partition(":")
        try:
            dimensions.append(ov.Dimension(int(low), int(high)) if colon else ov.Dimension(int(low)))
        except ValueError as error:
            if text.strip("()").lower() == "auto":
                raise ConfigError(f"{where} auto is not served here: write -1 for a free dimension") from error
            raise ConfigError(f"{where}: {text!r} is not a shape such as (1,3,224:448,-1)") from error
    return ov.PartialShape(dimensions)


def last_line(error: BaseException) -> str:
    """The line that matters of OpenVINO's long messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _port(model: ov.Model, name: str, tensor: str, key: str) -> Any:
    if not tensor:
        if len(model.inputs) != 1:
            raise ConfigError(f"model {name}: {key} without a tensor's name, but it has {len(model.inputs)} inputs")
        return model.inputs[0]
    for port in (*model.inputs, *model.outputs):
        if tensor in port.get_names():
            return port
    raise ConfigError(f"model {name}: {key} names {tensor!r}, which is no tensor of the model")


def _rename(model: ov.Model, name: str, path: Path) -> None:
    if not path.is_file():
        return
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
        pairs = [
            (ports, old, new)
            for key, ports in (("inputs", model.inputs), ("outputs", model.outputs))
            for old, new in mapping.get(key, {}).items()
        ]
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"model {name}: {path} is not a mapping of inputs and outputs: {error}") from error
    for ports, old, new in pairs:
        for port in ports:
            if old in port.get_names():
                port.get_tensor().set_names({str(new)})
                break
        else:
            raise ConfigError(f"model {name}: {path} renames {old!r}, which the model does not have")
