"""When the packets of a live stream arrived that has no timestamps."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Packet = TypeVar("Packet")

AT_ONCE = 0.05
"""Seconds after the opening in which FFmpeg gives the packets that it read before."""


def arrivals(
    packets: Iterator[Packet], began: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[Packet, float]]:
    """Each packet with the time at which it arrived, in seconds by ``clock``.

    FFmpeg reads up to 5 s of a live stream to find its properties, and then gives these packets at once. They are
    spread evenly over the time since ``began``, when the connection was opened.
    """
    opened = clock()
    read: list[Packet] = []
    later: Packet | None = None
    error: Exception | None = None
    try:
        for packet in packets:
            if clock() - opened >= AT_ONCE:
                later = packet
                break
            read.append(packet)
    except Exception as caught:  # noqa: BLE001 - raised behind the packets that came before it
        error = caught
    step = (opened - began) / max(1, len(read))
    yield from ((packet, began + step * number) for number, packet in enumerate(read, start=1))
    if error is not None:
        raise error
    if later is not None:
        yield later, clock()
        yield from ((packet, clock()) for packet in packets)
