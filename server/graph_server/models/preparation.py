"""What a configuration changes in a model before it is compiled: names, layouts, colors, precision, shapes.

Sources: src/modelinstance.cpp (loadTensors), src/shape.cpp, src/layout_configuration.cpp,
src/color_format_configuration.cpp, src/precision_configuration.cpp; mapping_config.json renames tensors.
"""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from graph_server.errors import LoadError

logger = logging.getLogger(__name__)

MAPPING = "mapping_config.json"
"""The file beside a model that renames its tensors."""

PerTensor = Mapping[str, str]
"""A value for each tensor by name; under ``""`` the value for a model with one input."""

_COLORS = {
    "RGB": ColorFormat.RGB, "BGR": ColorFormat.BGR, "GRAY": ColorFormat.GRAY,
    "NV12": ColorFormat.NV12_SINGLE_PLANE, "NV12_2": ColorFormat.NV12_TWO_PLANES,
    "I420": ColorFormat.I420_SINGLE_PLANE, "I420_3": ColorFormat.I420_THREE_PLANES,
}  # fmt: skip
_PRECISIONS = {
    "BF16": ov.Type.bf16, "FP64": ov.Type.f64, "FP32": ov.Type.f32, "FP16": ov.Type.f16, "INT64": ov.Type.i64,
    "INT32": ov.Type.i32, "INT16": ov.Type.i16, "INT8": ov.Type.i8, "INT4": ov.Type.i4, "UINT64": ov.Type.u64,
    "UINT32": ov.Type.u32, "UINT16": ov.Type.u16, "UINT8": ov.Type.u8, "UINT4": ov.Type.u4, "UINT1": ov.Type.u1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Requested:
    """What a request asks for, where a model's batch size or shapes are ``auto``."""

    batch_size: int | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


NOTHING_REQUESTED = Requested()


@dataclass(frozen=True, slots=True)
class Preparation:
    """``batch_size`` as OVMS writes it: ``8``, ``1:8``, ``-1``; ``shapes``: ``(1,3,224:448,-1)``; both may be ``auto``.

    ``layouts``: ``NHWC:NCHW`` (the client's, the model's) or one for both. ``mean`` is subtracted from the values of
    the only input, ``scale`` divides them: one number or one for each channel. ``color_format`` and ``precision``:
    ``TARGET:SOURCE``, as in ``BGR:RGB`` and ``uint8:fp32``.
    """

    batch_size: str = ""
    shapes: PerTensor = field(default_factory=dict)
    layouts: PerTensor = field(default_factory=dict)
    mean: float | tuple[float, ...] | None = None
    scale: float | tuple[float, ...] | None = None
    color_format: str = ""
    precision: str = ""

    def apply(self, model: ov.Model, name: str, folder: Path, requested: Requested = NOTHING_REQUESTED) -> ov.Model:
        """The model as it is to be served; raises :class:`LoadError`."""
        _rename(model, folder / MAPPING)
        self._check(model, name)
        for index, output in enumerate(model.outputs):
            if not output.get_names():
                output.get_tensor().set_names({f"out_{index}"})
        try:
            model = self._preprocess(model)
        except (RuntimeError, ValueError) as error:
            text = f"model {name}: layout or preprocessing does not fit: {last_line(error)}"
            raise LoadError(text, "MODEL_NOT_LOADED") from error
        try:
            self._reshape(model, requested)
        except RuntimeError as error:
            text = f"model {name}: shape or batch_size does not fit: {last_line(error)}"
            raise LoadError(text, "RESHAPE_ERROR") from error
        return model

    def layout_of(self, tensor: str) -> str:
        """The layout in which clients send that input, empty where none is set."""
        return _pair(self.layouts.get(tensor, self.layouts.get("", "")))[0]

    def shape_is_auto(self, tensor: str) -> bool:
        """Whether that input takes the shape of each request."""
        return self.shapes.get(tensor, self.shapes.get("")) == "auto"

    def _check(self, model: ov.Model, name: str) -> None:
        """Refuse settings for an unknown tensor, or without a name where the model has several."""
        if not model.inputs or not model.outputs:
            raise LoadError(f"model {name} has no inputs or no outputs", "UNKNOWN_ERROR")
        inputs = {tensor for port in model.inputs for tensor in port.get_names()}
        outputs = {tensor for port in model.outputs for tensor in port.get_names()}
        several = len(model.inputs) > 1
        for key, given, known in (("shape", self.shapes, inputs), ("layout", self.layouts, inputs | outputs)):
            if "" in given and several and given[""] != "auto":
                text = f"model {name}: {key} without a tensor's name, but it has {len(model.inputs)} inputs"
                raise LoadError(text, "UNKNOWN_ERROR")
            unknown = given.keys() - known - {""}
            if unknown:
                text = f"model {name}: {key} names {min(unknown)!r}, which is no tensor of the model"
                raise LoadError(text, "UNKNOWN_ERROR")

    def _preprocess(self, model: ov.Model) -> ov.Model:
        values = (self.mean, self.scale)
        if not (self.layouts or self.color_format or self.precision or any(value is not None for value in values)):
            return model
        processor = PrePostProcessor(model)
        for index, port in enumerate(model.inputs):
            if text := self._layout_text(port, self.layouts.get("", "")):
                _lay_out(processor.input(index), text)
        for index, port in enumerate(model.outputs):
            if text := self._layout_text(port, ""):
                _lay_out(processor.output(index), text)
        if self.color_format:
            target, source = _pair(self.color_format)
            processor.input().tensor().set_color_format(_COLORS[source])
            processor.input().preprocess().convert_color(_COLORS[target])
        if self.precision:
            target, source = _pair(self.precision)
            processor.input().tensor().set_element_type(_PRECISIONS[target])
            processor.input().preprocess().convert_element_type(_PRECISIONS[source])
        if self.mean is not None:
            processor.input().preprocess().mean(self.mean if isinstance(self.mean, float) else list(self.mean))
        if self.scale is not None:
            processor.input().preprocess().scale(self.scale if isinstance(self.scale, float) else list(self.scale))
        return processor.build()

    def _layout_text(self, port: Any, otherwise: str) -> str:
        return next((self.layouts[tensor] for tensor in port.get_names() if tensor in self.layouts), otherwise)

    def _reshape(self, model: ov.Model, requested: Requested) -> None:
        batch = str(requested.batch_size or ("" if self.batch_size == "auto" else self.batch_size))
        if batch:
            for port in model.inputs:
                node = port.get_node()
                if node.layout.empty and len(port.get_partial_shape()):
                    node.layout = ov.Layout("N...")
            ov.set_batch(model, _dimension(batch))
            return
        shapes: dict[Any, ov.PartialShape] = {}
        for port in model.inputs:
            names = port.get_names()
            text = next((self.shapes[tensor] for tensor in names if tensor in self.shapes), self.shapes.get("", ""))
            asked = next((requested.shapes[tensor] for tensor in names if tensor in requested.shapes), None)
            if text == "auto" and asked is not None:
                shapes[port] = ov.PartialShape(list(asked))
            elif text not in ("", "auto"):
                shapes[port] = partial_shape(text)
        if shapes:
            model.reshape(shapes)


def is_dimension(text: str) -> bool:
    """Whether OVMS reads a batch size: ``8``, ``1:8`` or ``-1``."""
    low, colon, high = text.partition(":")
    if colon:
        return low.isdecimal() and high.isdecimal() and 0 < int(low) <= int(high)
    return text == "-1" or text.isdecimal()


def is_shape(text: str) -> bool:
    """Whether OVMS reads a shape such as ``(1,3,224:448,-1)``."""
    found = re.fullmatch(r"\(([^()]+)\)", text.replace(" ", ""))
    return found is not None and all(_is_shape_dimension(part) for part in found[1].split(","))


def _is_shape_dimension(text: str) -> bool:
    low, colon, high = text.partition(":")
    if colon:
        return low.isdecimal() and high.isdecimal() and int(low) < int(high)
    return text == "-1" or text.isdecimal()


def is_layout(text: str) -> bool:
    """Whether OVMS reads a layout such as ``NHWC``, ``N...`` or ``NHWC:NCHW``."""
    return re.fullmatch(r"[NCHWD.?]*(:[NCHWD.?]*)?", text.replace(" ", "").upper()) is not None


def partial_shape(text: str) -> ov.PartialShape:
    """A shape for which :func:`is_shape` holds, as OpenVINO's."""
    return ov.PartialShape([_dimension(part) for part in text.replace(" ", "").strip("()").split(",")])


def _dimension(text: str) -> ov.Dimension:
    low, colon, high = text.partition(":")
    return ov.Dimension(int(low), int(high)) if colon else ov.Dimension(int(low))


def parse_preprocessing(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``mean``, ``scale``, ``color_format`` and ``precision`` that are given; raises :class:`ValueError`."""
    parsed: dict[str, Any] = {key: _values(key, given[key]) for key in ("mean", "scale") if key in given}
    for key, known in (("color_format", _COLORS), ("precision", _PRECISIONS)):
        if key in given:
            parsed[key] = str(given[key]).upper()
            target, colon, source = parsed[key].partition(":")
            if not colon or target not in known or source not in known:
                raise ValueError(f"{key} {given[key]!r} is not TARGET:SOURCE, each one of {', '.join(known)}")
    return parsed


def _values(key: str, text: str) -> float | tuple[float, ...]:
    inner = text.replace(" ", "")
    listed = inner[:1] + inner[-1:] in ("[]", "()")
    try:
        values = tuple(float(part) for part in (inner[1:-1].split(",") if listed else [inner]))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{key} {text!r} is neither a number nor a list such as [123.7,116.3,103.5]")
    return values if listed else values[0]


def last_line(error: BaseException) -> str:
    """The last line of OpenVINO's long messages: the one that matters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _pair(text: str) -> tuple[str, str]:
    """The parts before and after the colon. Without a colon, the same text twice."""
    first, _, second = text.replace(" ", "").upper().partition(":")
    return first, second or first


def _lay_out(side: Any, text: str) -> None:
    client, own = _pair(text)
    side.tensor().set_layout(ov.Layout(client))
    side.model().set_layout(ov.Layout(own))


def _rename(model: ov.Model, path: Path) -> None:
    """Give tensors the names of a mapping. An unreadable mapping, or one with unknown names, changes nothing."""
    if not path.is_file():
        return
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
        inputs, outputs = (dict[str, str](mapping.get(key, {})) for key in ("inputs", "outputs"))
        if not all(isinstance(name, str) for name in (*inputs.values(), *outputs.values())):
            raise ValueError("a name is no text")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.error("%s is not a mapping of inputs and outputs, and is ignored: %s", path, error)
        return
    for ports, names in ((model.inputs, inputs), (model.outputs, outputs)):
        for port in ports:
            new = next((names[old] for old in port.get_names() if old in names), None)
            if new is not None:
                port.get_tensor().set_names({new})
