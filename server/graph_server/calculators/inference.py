"""Calculators for inference with OpenVINO: model sessions, inference.

Sources: mediapipe/calculators/ovms/openvinoinferencecalculator.cc and openvinomodelserversessioncalculator.cc
of the fork.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt
import openvino as ov
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError, MissingModelError
from graph_server.graph.calculator import Calculator, Services
from graph_server.graph.messages import (
    OpenVINOInferenceCalculatorOptions,
    OpenVINOModelServerSessionCalculatorOptions,
    SplitVectorCalculatorOptions,
)
from graph_server.graph.node import Node, Port
from graph_server.graph.packet_types import MP_TENSOR, OV_TENSOR, TF_TENSOR, NodeTypes, PacketType, vector_of
from graph_server.models.changes.excerpt import Excerpt
from graph_server.models.model import Model
from graph_server.models.repository import Models

_VECTOR_TAGS = ("TENSORS", "OVTENSORS", "TFTENSORS")
# Source: GetContract of mediapipe/calculators/ovms/openvinoinferencecalculator.cc. Longer tags come first.
_TYPES_BY_TAG = {
    "OVTENSORS": vector_of(OV_TENSOR),
    "OVTENSOR": OV_TENSOR,
    "TENSORS": vector_of(MP_TENSOR),
    "TENSOR": MP_TENSOR,
    "TFTENSORS": vector_of(TF_TENSOR),
    "TFTENSOR": TF_TENSOR,
}


@dataclass(frozen=True, slots=True)
class Session:
    """A servable that is found for each inference, so that a stream takes up a new version of its model.

    Source: OVMSInferenceAdapter::infer of mediapipe/calculators/ovms/modelapiovmsadapter.cc makes each request anew
    with the servable's name and version, and version 0 is the newest.
    """

    models: Models
    name: str
    version: int

    def model(self) -> Model:
        """The model that is served now. Raises :class:`MissingModelError`."""
        return self.models.get(self.name, self.version)


@REGISTRY.register("OpenVINOModelServerSessionCalculator")
class ModelSession(Calculator):
    """Gives inference nodes a configured model."""

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        options = node.options.get(OpenVINOModelServerSessionCalculatorOptions)
        if options is None or not options.servable_name:
            raise ConfigError(f"{node.calculator} needs a servable_name")
        self._session = Session(services.models, options.servable_name, _version(options.servable_version))
        self._session.model()

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"SESSION": self._session}

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        return ()


@dataclass(frozen=True, slots=True)
class _InUse:
    """A model as a node uses it: the tensors' names for each port, the outputs that are computed, the request."""

    model: Model
    inputs: Sequence[Sequence[str]]
    outputs: Sequence[Sequence[str]]
    computed: Sequence[str]
    request: ov.InferRequest

    def run(self, tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The outputs by name. Raises :class:`GraphError`."""
        try:
            for name, value in tensors.items():
                _check_type(name, value, self.request)
            self.model.run(self.request, inputs=tensors)
        except RuntimeError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise GraphError(f"inference failed: {lines[-1] if lines else error}") from error
        # Copy the outputs: the next frame, which may already be in progress, uses the request's memory again.
        return {name: self.request.get_output_tensor(index).data.copy() for index, name in enumerate(self.computed)}


@REGISTRY.register("OpenVINOInferenceCalculator")
class Inference(Calculator):
    """Runs a model. The options map streams to tensors, with order lists for vectors and maps for single tensors.

    The model does not compute outputs that no node reads.
    """

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        """Refuse what OVMS refuses: no session, a map together with a list, a vector without its list."""
        if not any(port.tag == "SESSION" for port in node.input_side_packets):
            raise ConfigError(f"{node.calculator} needs input side packet SESSION")
        if not node.inputs or not node.outputs:
            raise ConfigError(f"{node.calculator} needs input and output streams")
        options = node.options.of(OpenVINOInferenceCalculatorOptions)
        for what in ("input", "output"):
            if getattr(options, f"tag_to_{what}_tensor_names") and getattr(options, f"{what}_order_list"):
                raise ConfigError(f"Use tag_to_{what}_tensor_names or {what}_order_list not both at once")
        if any(port.tag.startswith(_VECTOR_TAGS) for port in node.inputs) and not options.input_order_list:
            raise ConfigError(f"{node.calculator} needs input_order_list for vectors of tensors")

    @classmethod
    @override
    def types(cls, node: Node) -> NodeTypes:
        """The beginning of a tag gives the type. It is ``ov::Tensor`` for other tags."""
        return NodeTypes([_type_of(port) for port in node.inputs], [_type_of(port) for port in node.outputs])

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._options = node.options.of(OpenVINOInferenceCalculatorOptions)
        self._session: Session | None = None
        self._in_use: _InUse | None = None

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        session: Session = side_packets["SESSION"]
        self._session = session
        self._in_use = self._use(session.model())
        return {}

    def _use(self, model: Model) -> _InUse:
        inputs = self._names("input", self.node.inputs, model)
        outputs = self._names("output", self.node.outputs, model)
        computed = self._consumed(outputs)
        # Compile now, so that the first frame does not wait.
        return _InUse(model, inputs, outputs, computed, model.request(Excerpt(computed)))

    def _newest(self) -> _InUse:
        """Take up a new version. While there is none, the model stays as it is."""
        assert self._session is not None
        assert self._in_use is not None
        with suppress(MissingModelError):
            model = self._session.model()
            if model is not self._in_use.model:
                self._in_use = self._use(model)
        return self._in_use

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        if any(value is None for value in inputs):
            raise GraphError("expects all input packets at the same time for each call to Process()")
        in_use = self._newest()
        tensors: dict[str, Any] = {}
        for value, names, port in zip(inputs, in_use.inputs, self.node.inputs, strict=True):
            parts = value if port.tag.startswith(_VECTOR_TAGS) else [value]
            if len(parts) != len(names):
                raise GraphError(f"the vector has {len(parts)} tensors for {len(names)} names of input_order_list")
            tensors.update(zip(names, parts, strict=True))
        results = in_use.run(tensors)
        return [
            [results.get(name) for name in names] if port.tag.startswith(_VECTOR_TAGS) else results[names[0]]
            for names, port in zip(in_use.outputs, self.node.outputs, strict=True)
        ]

    @override
    def close(self) -> None:
        self._in_use = None

    def _names(self, what: Literal["input", "output"], ports: Sequence[Port], model: Model) -> list[list[str]]:
        """The names of the tensors of each port. Raises :class:`GraphError` for one that the model does not have."""
        known = [info.name for info in (model.inputs if what == "input" else model.outputs)]
        names = [_names_of(port, self._options, what, known) for port in ports]
        for name in (name for group in names for name in group):
            if name not in known:
                raise GraphError(f"model {model.name} has no {what} {name!r}, only {sorted(known)}")
        return names

    def _consumed(self, outputs: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """Those of ``outputs`` that some node reads."""
        kept: list[str] = []
        for names, port in zip(outputs, self.node.outputs, strict=True):
            consumers = self.services.consumers.get(port.name, ())
            used: Collection[int] = range(len(names))
            if len(consumers) == 1 and consumers[0][0].calculator == "SplitTensorVectorCalculator":
                used = self._used_of_split(consumers[0][0])
            kept += [name for index, name in enumerate(names) if index in used and name not in kept]
        return tuple(kept)

    def _used_of_split(self, split: Node) -> set[int]:
        """The indices in the vector that nodes behind ``split`` read."""
        ranges = split.options.needed(SplitVectorCalculatorOptions).ranges
        return {
            index
            for item, output in zip(ranges, split.outputs, strict=False)
            for index in range(item.begin, item.end)
            if any(
                node.calculator != "GateCalculator" or self._gate_used(node, output.name)
                for node, _ in self.services.consumers.get(output.name, ())
            )
        }

    def _gate_used(self, gate: Node, stream: str) -> bool:
        """Whether a node reads the gate's output for ``stream``."""
        data = [port for port in gate.inputs if port.tag not in ("ALLOW", "DISALLOW")]
        place = next(index for index, port in enumerate(data) if port.name == stream)
        return place >= len(gate.outputs) or bool(self.services.consumers.get(gate.outputs[place].name))


def _type_of(port: Port) -> PacketType:
    return next((kind for tag, kind in _TYPES_BY_TAG.items() if port.tag.startswith(tag)), OV_TENSOR)


def _version(text: str) -> int:
    """The version as OVMS reads it. A text without a number is 0, the latest version."""
    digits = re.match(r"\+?\d+", re.sub(r"\s", "", text))
    return int(digits[0]) if digits else 0


def _check_type(name: str, value: npt.NDArray[Any], request: ov.InferRequest) -> None:
    """Raise :class:`GraphError` for a wrong dtype. OVMS refuses it, but OpenVINO's Python would convert it silently."""
    expected = request.get_tensor(name).element_type
    if value.dtype.kind in "biuf" and ov.Type(value.dtype) != expected:
        raise GraphError(
            f"Invalid input precision - input {name!r} is {value.dtype}, the model's {expected.to_string()}"
        )


def _names_of(port: Port, options: OpenVINOInferenceCalculatorOptions, what: str, of_model: list[str]) -> list[str]:
    """The names of the tensors in a stream.

    A vector has the order list, or without one all tensors by name. Other streams have the map's tensor for their tag.
    """
    if port.tag.startswith(_VECTOR_TAGS):
        return list(getattr(options, f"{what}_order_list")) or sorted(of_model)
    mapped = getattr(options, f"tag_to_{what}_tensor_names")
    return [mapped.get(port.tag, port.tag)]
