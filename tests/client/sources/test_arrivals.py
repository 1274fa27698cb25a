"""Packets without timestamps have the time of their arrival, also those that came while FFmpeg opened the stream."""

from collections.abc import Iterator

import pytest

from stream_client.sources.arrivals import arrivals


class Wire:
    """Packets at 10 a second from 0 on. FFmpeg has read those until ``opened``, and gives them at once."""

    def __init__(self, opened: float, broken: bool = False) -> None:
        self.now = opened
        self._broken = broken

    def packets(self) -> Iterator[int]:
        for number in range(1, 101):
            if self._broken and number > 30:
                raise OSError("the camera has gone")
            self.now = max(self.now, number / 10)
            yield number


@pytest.mark.parametrize("opened", [0.0, 1.0, 5.0])
def test_packets_that_were_read_while_the_stream_was_opened_are_spread(opened: float) -> None:
    wire = Wire(opened)
    found = list(arrivals(wire.packets(), 0.0, lambda: wire.now))
    assert [packet for packet, _ in found] == list(range(1, 101))
    assert [time for _, time in found] == pytest.approx([number / 10 for number in range(1, 101)])


def test_an_error_comes_behind_the_packets_that_were_there() -> None:
    wire = Wire(5.0, broken=True)
    found: list[tuple[int, float]] = []
    with pytest.raises(OSError, match="gone"):
        found.extend(arrivals(wire.packets(), 2.0, lambda: wire.now))
    assert [packet for packet, _ in found] == list(range(1, 31))
    assert found[-1][1] == wire.now
