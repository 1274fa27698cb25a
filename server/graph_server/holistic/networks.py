"""The neural networks of the pipeline, on OpenVINO: bytes in, only the outputs that are used."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino.preprocess import PrePostProcessor

from graph_server.models import Model

Array = npt.NDArray[np.float32]


def byte_input(model: ov.Model, low: float, high: float) -> ov.Model:
    """``model`` with its float input replaced by bytes that it maps to ``low``…``high`` itself."""
    scale = (high - low) / 255.0
    process = PrePostProcessor(model)
    item = process.input()
    item.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    item.model().set_layout(ov.Layout("NHWC"))
    steps = item.preprocess().convert_element_type(ov.Type.f32)
    if low:
        steps.mean(-low / scale)
    steps.scale(1.0 / scale)
    return process.build()


def only_outputs(model: ov.Model, names: Sequence[str]) -> ov.Model:
    """``model`` with the outputs ``names`` alone, in that order; what only the others need is not computed."""
    by_name = {name: port for port in model.outputs for name in port.get_names()}
    wanted = [by_name[name].node.input_value(0) for name in names]
    reduced = ov.Model(wanted, model.get_parameters(), model.get_friendly_name())
    for name, port in zip(names, reduced.outputs, strict=True):
        port.get_tensor().add_names({name})
    return reduced


class ByteNetwork:
    """One session's request of a network with byte input [batch, side, side, 3]. For one thread at a time.

    :attr:`pixels` is the input itself: write the crop there, then call :meth:`run`.
    """

    def __init__(
        self, model: Model, outputs: Sequence[str], *, low: float = 0.0, high: float = 1.0, batch: int = 1
    ) -> None:
        def change(original: ov.Model) -> ov.Model:
            reduced = only_outputs(original, outputs)
            if batch != 1:
                shape = reduced.inputs[0].get_partial_shape()
                shape[0] = batch
                reduced.reshape(shape)
            return byte_input(reduced, low, high)

        key = f"bytes {low}..{high} x{batch}: {','.join(outputs)}"
        compiled = model.variant(key, change)
        self._model = model
        self._request = compiled.create_infer_request()
        self.pixels: npt.NDArray[np.uint8] = np.zeros(tuple(compiled.inputs[0].shape), np.uint8)
        self._request.set_input_tensor(0, ov.Tensor(self.pixels, shared_memory=True))
        self._count = len(outputs)

    def run(self) -> list[Any]:
        """The outputs: views that the next run overwrites."""
        self._model.run(self._request)
        return [self._request.get_output_tensor(index).data for index in range(self._count)]


def sigmoid(values: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))
