"""Collects the nodes and constants of an ONNX graph."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET, _IR_VERSION = 18, 8


@dataclass(slots=True)
class Builder:
    """Collects the nodes and constants of an ONNX graph."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: npt.ArrayLike, kind: type[np.generic] = np.float32) -> str:
        """Add a constant, and return its name."""
        self.constants[name] = np.asarray(value, dtype=kind)
        return name

    def model(
        self, name: str, source: tuple[str, list[Any]], labels: tuple[str, ...], rows: Any, digest: str
    ) -> onnx.ModelProto:
        """The model from the input ``source`` to ``scores``, float32 [rows, labels]."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(source[0], TensorProto.FLOAT, source[1])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [rows, len(labels)])],
            [numpy_helper.from_array(value, key) for key, value in self.constants.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        helper.set_model_props(made, {"labels": "\n".join(labels), "schema_hash": digest})
        onnx.checker.check_model(made)
        return made
