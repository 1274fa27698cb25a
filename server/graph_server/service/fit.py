"""Whether a request's shapes fit a model, and how the model has to change where it may.

Source: src/predict_request_validation_utils.hpp (checkBatchSizeMismatch, checkShapeMismatch).
"""

from collections.abc import Sequence

from graph_server.models.description import TensorInfo
from graph_server.models.preparation import Preparation, Requested
from graph_server.service.status import Refusal
from graph_server.service.tensors import listed


class Fit:
    """Collects the inputs of one request."""

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        self._batch: int | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._reshape = False

    def check(self, info: TensorInfo, shape: tuple[int, ...]) -> None:
        """Add an input. Raises :class:`Refusal` for a shape that does not fit and cannot be adapted to."""
        where = f"input name: input name: {info.name}"
        expected = f"Expected: {listed(info.shape)}; Actual: {listed(shape)}; {where}"
        if len(shape) != len(info.shape):
            raise Refusal("Invalid number of shape dimensions", expected)
        self._shapes[info.name] = shape
        batch_is_auto = self._preparation.batch_size == "auto"
        shape_is_auto = self._preparation.shape_is_auto(info.name)
        if shape and not _fits(info.shape[:1], shape[:1]):
            if batch_is_auto:
                self._batch = shape[0]
            elif not shape_is_auto:
                raise Refusal("Invalid input batch size", f"Expected: {info.shape[0]}; Actual: {shape[0]}; {where}")
        start = 1 if batch_is_auto else 0
        if not _fits(info.shape[start:], shape[start:]):
            if not shape_is_auto:
                raise Refusal("Invalid input shape", expected)
            self._reshape = True

    @property
    def requested(self) -> Requested | None:
        """The change to ask for, ``None`` where the model fits."""
        if self._reshape:
            return Requested(shapes=self._shapes)
        return None if self._batch is None else Requested(self._batch)

    def adapts(self, info: TensorInfo) -> bool:
        """Whether the input may have another batch size or shape."""
        return self._preparation.batch_size == "auto" or self._preparation.shape_is_auto(info.name)


def _fits(wanted: Sequence[int], given: Sequence[int]) -> bool:
    return all(want in (-1, got) for want, got in zip(wanted, given, strict=True))
