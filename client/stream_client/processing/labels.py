"""Scores to labels. The names come from a file beside the model, since a server cannot send them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError
from stream_client.frames import Label


def read_label_names(path: Path) -> tuple[str, ...]:
    """The names in ``path``, one a line, in the order of the scores; raises :class:`.ConfigurationError`."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigurationError(f"cannot read label names from {path}: {error.strerror}", option="labels") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"cannot read label names from {path}: it is no text in UTF-8", option="labels"
        ) from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ConfigurationError(f"no label names in {path}: one a line is expected", option="labels")
    return names


def decode_scores(scores: npt.NDArray[Any], names: Sequence[str]) -> Label | None:
    """The label with the highest score; ``None`` when all scores are zero: nobody was seen.

    There is none either when a score is NaN or infinite. ``scores`` is float [N] or [1, N]. If the number of names does
    not fit, positions serve as names.
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN
        values = np.asarray(scores, dtype=np.float64).reshape(-1)
    if values.size == 0 or not np.any(values) or not np.isfinite(values).all():
        return None
    if len(names) != values.size:
        names = tuple(str(index) for index in range(values.size))
    best = int(np.argmax(values))
    return Label(
        name=names[best],
        score=float(values[best]),
        scores={name: float(value) for name, value in zip(names, values, strict=True)},
    )
