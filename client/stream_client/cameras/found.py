"""A camera that was found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Mode:
    """What a camera can give. ``rates`` are in frames a second, highest first; empty where it does not say."""

    format: str
    width: int
    height: int
    rates: tuple[float, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """``input_stream`` is what to type. ``problem`` says why ``modes`` are not known, with the remedy."""

    kind: Literal["local", "onvif"]
    name: str
    input_stream: str
    modes: tuple[Mode, ...] = ()
    problem: str = ""
