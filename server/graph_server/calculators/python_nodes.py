"""OVMS's calculators for Python code.

Sources: src/python/python_executor_calculator.cc, src/python/pytensor_ovtensor_converter_calculator.cc.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from graph_server.calculators.registry import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.calculator import Calculator, Emission, Ports, Services, TimedCalculator
from graph_server.graph.messages import PyTensorOvTensorConverterCalculatorOptions, PythonExecutorCalculatorOptions
from graph_server.graph.node import Node
from graph_server.graph.packet_types import BOOL, OV_TENSOR, PY_TENSOR
from graph_server.graph.timestamps import next_allowed
from graph_server.python_nodes.handlers import CALCULATOR, Handlers
from graph_server.python_nodes.tensor import DTYPES, Tensor
from kserve_wire.datatypes import element_count

logger = logging.getLogger(__name__)

_LOOPBACK = "LOOPBACK"
_RESOURCES = "PYTHON_NODE_RESOURCES"
_BUSY = "Node is already processing data. Create new stream for another request."
_FAILED = "Error occurred during graph execution"


@REGISTRY.register(CALCULATOR)
class PythonExecutor(TimedCalculator):
    """Calls ``execute`` of a script with the inputs that have packets, in the order of their tags.

    ``execute`` returns a list of tensors, or a generator of lists. A list has the timestamp of the inputs. The lists
    of a generator have timestamps that rise by one microsecond. A LOOPBACK packet asks for the next list.
    """

    inputs = Ports(optional={_LOOPBACK: BOOL, ...: PY_TENSOR})
    outputs = Ports(optional={_LOOPBACK: BOOL, ...: PY_TENSOR})
    uses_node_handler = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        """Refuse what OVMS refuses: no handler, no name, a LOOPBACK on one side only."""
        if not node.inputs or not node.outputs:
            raise ConfigError(f"{node.calculator} needs input and output streams")
        if (node.input_index(_LOOPBACK) is None) != (node.output_index(_LOOPBACK) is None):
            raise ConfigError("If LOOPBACK is used, it must be defined on both input and output of the node")
        if all(port.tag != _RESOURCES for port in node.input_side_packets):
            raise ConfigError(f"{node.calculator} needs input side packet {_RESOURCES}")
        if not node.options.of(PythonExecutorCalculatorOptions).handler_path:
            raise ConfigError(f"{node.calculator} needs a handler_path")
        if node.name == node.calculator or node.name.startswith(f"{node.calculator}_"):
            raise ConfigError(f"{node.calculator} needs a name")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._places = {port.name: place for place, port in enumerate(node.outputs)}
        self._loop_in, self._loop_out = node.input_index(_LOOPBACK), node.output_index(_LOOPBACK)
        data = [place for place in range(len(node.inputs)) if place != self._loop_in]
        self._data = sorted(data, key=lambda place: node.inputs[place].tag)
        self._handlers: Handlers | None = None
        self._coming: Iterator[Any] | None = None
        self._next: Any = None
        self._timestamp = 0

    @override
    def open(self, side_packets: Mapping[str, Any]) -> Mapping[str, Any]:
        handlers: Handlers = side_packets[_RESOURCES]
        handlers.retain()
        self._handlers = handlers
        return {}

    @override
    def close(self) -> None:
        handlers, self._handlers = self._handlers, None
        if handlers is not None:
            handlers.release()

    @override
    def process_timed(self, inputs: Sequence[tuple[int, Any]], timestamp: int) -> Sequence[Emission]:
        given = [inputs[place][1] for place in self._data if inputs[place][1] is not None]
        if self._coming is not None:
            if given:
                raise GraphError(_BUSY, "RESOURCE_EXHAUSTED")
            tensors = self._next
            if tensors is None:
                self._coming = None
                return self._emissions((), timestamp)
            return self._step(tensors)
        if not given:
            return self._emissions((), timestamp)
        self._timestamp = timestamp
        assert self._handlers is not None
        model = self._handlers.models[self.node.name]
        result = self._run(lambda: model.execute(given))
        if isinstance(result, list):
            return self._emissions(result, timestamp)
        if not isinstance(result, Iterator):
            raise self._failure(f"execute returned {type(result).__name__}; it must return a list or a generator")
        if self._loop_out is None:
            raise self._failure("execute yielded, but LOOPBACK is not defined in the node")
        self._coming = result
        self._advance()
        return self._step(self._next if self._next is not None else [])

    def _step(self, tensors: Any) -> Sequence[Emission]:
        """Send one list of the generator. As in OVMS, the script makes the next list at once."""
        emissions = list(self._emissions(tensors, self._timestamp))
        self._timestamp += 1
        assert self._loop_out is not None
        emissions[self._loop_out] = Emission([(self._timestamp, True)], next_allowed(self._timestamp))
        self._advance()
        return emissions

    def _advance(self) -> None:
        coming = self._coming
        assert coming is not None
        self._next = self._run(lambda: next(coming, None))

    def _emissions(self, tensors: Sequence[Any], timestamp: int) -> Sequence[Emission]:
        packets: list[list[tuple[int, Any]]] = [[] for _ in self.node.outputs]
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise self._failure(f"execute gave a {type(tensor).__name__} instead of a pyovms.Tensor")
            if tensor.name not in self._places:
                raise self._failure(f"execute gave a tensor {tensor.name!r}, but the node has no such output stream")
            packets[self._places[tensor.name]].append((timestamp, tensor))
        return [Emission(part, next_allowed(timestamp)) for part in packets]

    def _run(self, call: Callable[[], Any]) -> Any:
        """Call the script. Its exceptions are logged, because the client gets only a general error text."""
        try:
            return call()
        except Exception as error:
            logger.debug("%s", self.node.where(), exc_info=error)
            raise self._failure(f"{type(error).__name__}: {error}") from error

    def _failure(self, text: str) -> GraphError:
        logger.error("%s: %s", self.node.where(), text)
        return GraphError(_FAILED)


@REGISTRY.register("PyTensorOvTensorConverterCalculator")
class PyTensorConverter(Calculator):
    """Converts an ``ov::Tensor`` to a Python tensor, or the other way round. The options name the Python tensor."""

    inputs = Ports(optional={"OVTENSOR": OV_TENSOR, "OVMS_PY_TENSOR": PY_TENSOR})
    outputs = Ports(optional={"OVTENSOR": OV_TENSOR, "OVMS_PY_TENSOR": PY_TENSOR})
    brief = True

    @classmethod
    @override
    def check(cls, node: Node) -> None:
        tags = [port.tag for port in (*node.inputs, *node.outputs)]
        if len(node.inputs) != 1 or sorted(tags) != ["OVMS_PY_TENSOR", "OVTENSOR"]:
            raise ConfigError(f"{node.calculator} converts OVTENSOR to OVMS_PY_TENSOR, or OVMS_PY_TENSOR to OVTENSOR")
        if tags[0] == "OVTENSOR" and "OVMS_PY_TENSOR" not in _tensor_names(node):
            raise ConfigError(f"{node.calculator} needs tag_to_output_tensor_names for OVMS_PY_TENSOR")

    def __init__(self, node: Node, services: Services) -> None:
        super().__init__(node, services)
        self._name = _tensor_names(node).get("OVMS_PY_TENSOR", "")
        self._to_python = node.inputs[0].tag == "OVTENSOR"

    @override
    def process(self, inputs: Sequence[Any], timestamp: int) -> Sequence[Any]:
        return (self._python(inputs[0]) if self._to_python else _array(inputs[0]),)

    def _python(self, array: Any) -> Tensor:
        datatype = next((name for name, dtype in DTYPES.items() if np.dtype(dtype) == array.dtype), None)
        if datatype is None:
            raise GraphError(f"Undefined precision in input tensor: {array.dtype}", "INVALID_ARGUMENT")
        return Tensor.of_bytes(
            self._name, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, array.shape, datatype
        )


def _tensor_names(node: Node) -> Mapping[str, str]:
    return node.options.of(PyTensorOvTensorConverterCalculatorOptions).tag_to_output_tensor_names


def _array(tensor: Tensor) -> Any:
    """The tensor as an array of its datatype and shape. Raises :class:`GraphError` if the size does not fit."""
    dtype = DTYPES.get(tensor.datatype)
    if dtype is None:
        raise GraphError(f"Undefined precision in input python tensor: {tensor.datatype}", "INVALID_ARGUMENT")
    if any(size < 0 for size in tensor.shape):
        raise GraphError(f"dimension negative during conversion: {min(tensor.shape)}", "INVALID_ARGUMENT")
    expected = element_count(tensor.shape) * np.dtype(dtype).itemsize
    if tensor.size != expected:
        text = f"python buffer size: {tensor.size}; OV tensor size: {expected}; mismatch"
        raise GraphError(text, "INVALID_ARGUMENT")
    return np.frombuffer(tensor.contiguous(), dtype).reshape(tensor.shape)
