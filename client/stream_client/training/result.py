"""The result of a training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from stream_client.training.estimators import Scores
from stream_client.training.held_out import HeldOut


@dataclass(frozen=True, slots=True)
class Training:
    """A finished training: ``best`` of ``results``, written as ``version`` of the directory ``out``.

    ``name`` is the model's. ``labels`` are those of the model, with ``unknown`` if it has a guard. ``held_out`` is what
    the finished model would have said about held-out rows. ``careless`` is the score of ``best`` with folds by row.
    ``steadiness`` is the share of the clips' windows with the same label at lower frame rates, by finalist name.
    It is empty for tables.
    """

    out: Path
    version: int
    name: str
    labels: tuple[str, ...]
    best: Scores
    results: tuple[Scores, ...]
    careless: Scores
    steadiness: Mapping[str, float]
    held_out: HeldOut
    model: onnx.ModelProto

    @property
    def folder(self) -> Path:
        """The folder of the version."""
        return self.out / str(self.version)
