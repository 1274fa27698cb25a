"""What is taken of a network, in the form in which it is compiled."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import openvino as ov

from graph_server.models.changes.dead_channels import without_dead_channels
from graph_server.models.changes.halves import halves
from graph_server.models.changes.rounded_weights import with_rounded_weights


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of a network that computes ``outputs``, in this order, without what they do not need.

    ``half`` 1 or 2 is what comes before and behind the maps of ``side`` x ``side`` (:func:`halves`), 0 all of it.
    ``rounded``: bfloat16 represents all weights (:func:`with_rounded_weights`).
    """

    outputs: tuple[str, ...]
    half: Literal[0, 1, 2] = 0
    side: int = 0
    rounded: bool = False

    def of(self, model: ov.Model) -> ov.Model:
        """The excerpt of ``model``, which is used up. Raises :class:`ValueError` where there is no place to cut."""
        taken = without_dead_channels(_only_outputs(model, self.outputs))
        if self.half:
            taken = halves(taken, self.side)[self.half - 1]
        return with_rounded_weights(taken) if self.rounded else taken


def _only_outputs(model: ov.Model, names: Sequence[str]) -> ov.Model:
    by_name = {name: port for port in model.outputs for name in port.get_names()}
    wanted = [by_name[name].node.input_value(0) for name in names]
    reduced = ov.Model(wanted, model.get_parameters(), model.get_friendly_name())
    for name, port in zip(names, reduced.outputs, strict=True):
        port.get_tensor().add_names({name})
    return reduced


@cache
def revision() -> str:
    """Changes with the code of this package: what it made before is then made anew."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
