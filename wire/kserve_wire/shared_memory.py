"""Triton's system-shared-memory extension: the parameters of a tensor that is in shared memory."""

from collections.abc import Mapping
from dataclasses import dataclass

from kserve_wire.messages import InferParameter

EXTENSION = "system_shared_memory"
"""The name of the extension in a server's metadata."""

_REGION, _OFFSET, _BYTE_SIZE = "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a tensor in shared memory: ``byte_size`` bytes at ``offset`` of a registered region."""

    region: str
    offset: int
    byte_size: int


def place_of(parameters: Mapping[str, InferParameter]) -> Place | None:
    """The place in a tensor's parameters, or ``None``. Offset and size may have any value."""
    if _REGION not in parameters:
        return None
    offset = parameters[_OFFSET].int64_param if _OFFSET in parameters else 0
    size = parameters[_BYTE_SIZE].int64_param if _BYTE_SIZE in parameters else 0
    return Place(parameters[_REGION].string_param, offset, size)


def set_place(parameters: Mapping[str, InferParameter], place: Place) -> None:
    """Write the place into a tensor's parameters."""
    parameters[_REGION].string_param = place.region
    parameters[_OFFSET].int64_param = place.offset
    parameters[_BYTE_SIZE].int64_param = place.byte_size
