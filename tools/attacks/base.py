"""An attack and what it did: figures, each with the bound that is stated for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, with the highest that is allowed."""

    what: str
    value: float
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether the value keeps to its bound."""
        return self.value <= self.bound


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack on a process that it starts itself. ``run`` has a short form, for CI."""

    name: str
    against: Literal["server", "client"]
    run: Callable[[bool], Sequence[Figure]]
