"""What a finished training gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from stream_client.training.estimators import Scores


@dataclass(frozen=True, slots=True)
class Training:
    """A finished training: ``best`` of ``results``, and what a split by row would have claimed for it.

    ``steadiness`` tells of the models that it was chosen from, by name, for what share of the clips' windows their
    labels are the same at lower frame rates; empty for tables.
    """

    out: Path
    labels: tuple[str, ...]
    best: Scores
    results: tuple[Scores, ...]
    careless: Scores
    steadiness: Mapping[str, float]
    model: onnx.ModelProto
