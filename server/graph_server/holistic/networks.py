"""The neural networks of holistic inference on OpenVINO, with only the outputs that are used."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from graph_server.models.changes.excerpt import Excerpt
from graph_server.models.copies import MOST_COPIES
from graph_server.models.model import Model
from graph_server.models.precision import may_round, wanted_precision

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def scaled(pixels: npt.NDArray[Any], low: float, high: float, out: Floats | None = None) -> Floats:
    """Map gray levels 0…255 to ``low``…``high``. Returns float32 of the same shape, in ``out`` if it is given."""
    # The network could do this too, but it would convert the bytes to its own layout in three passes.
    if out is None:
        out = np.empty(pixels.shape, np.float32)
    np.multiply(pixels, np.float32((high - low) / 255.0), out=out, casting="unsafe")
    if low:
        out += np.float32(low)
    return out


class Network:
    """An inference request of one session, for a network with input [1, side, side, 3]. Not thread-safe.

    Write the crop into :attr:`pixels`, uint8 [side, side, 3], then call :meth:`run`. The network gets values
    between ``low`` and ``high``. ``most_copies``: see :meth:`Model.request`. With ``remembers`` it does not run for the
    same pixels again, which gives the same outputs. Where :func:`may_round` allows it, what comes after the maps
    of ``rounded_from`` x ``rounded_from`` computes in bfloat16; with 0 nothing does.
    """

    def __init__(
        self,
        model: Model,
        outputs: Sequence[str],
        *,
        low: float = 0.0,
        high: float = 1.0,
        most_copies: int = MOST_COPIES,
        remembers: bool = False,
        rounded_from: int = 0,
    ) -> None:
        self._model = model
        self._requests = _requests(model, outputs, rounded_from, most_copies)
        self._low, self._high = low, high
        first = self._requests[0]
        self._values: Floats = np.zeros(tuple(first.get_input_tensor(0).shape), np.float32)
        first.set_input_tensor(0, ov.Tensor(self._values, shared_memory=True))
        self.pixels: Bytes = np.zeros(self._values.shape[1:], np.uint8)
        self._count = len(outputs)
        self._seen: Bytes | None = self.pixels.copy() if remembers else None
        self._found: list[Any] | None = None

    def run(self) -> list[Any]:
        """Run the network. The outputs are views that the next run overwrites."""
        if self._seen is not None:
            if self._found is not None and np.array_equal(self._seen, self.pixels):
                return self._found
            np.copyto(self._seen, self.pixels)
        scaled(self.pixels, self._low, self._high, self._values[0])
        self._model.run(*self._requests)
        last = self._requests[-1]
        self._found = [last.get_output_tensor(index).data for index in range(self._count)]
        return self._found


def _requests(model: Model, outputs: Sequence[str], rounded_from: int, most_copies: int) -> list[ov.InferRequest]:
    """The requests to run one after the other."""
    whole = Excerpt(tuple(outputs), rounded=wanted_precision(model.plugin_config) == "bf16")
    if not (rounded_from and may_round(model.plugin_config)):
        return [model.request(whole, most_copies=most_copies)]
    exact = replace(whole, half=1, side=rounded_from)
    rounded = replace(exact, half=2, rounded=True)
    parts = [
        model.request(part, most_copies=most_copies, precision=precision)
        for part, precision in ((exact, "f32"), (rounded, "bf16"))
    ]
    parts[1].set_input_tensor(0, parts[0].get_output_tensor(0))
    return parts


def sigmoid(values: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))
