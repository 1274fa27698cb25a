"""Live streams and recordings without a length are told apart by how fast they come."""

from collections.abc import Iterator

import pytest

from stream_client.sources.bursts import Start


class Line:
    """Packets, each its timestamp, that come at the times of ``arrivals``."""

    def __init__(self, arrivals: list[float]) -> None:
        self.now = 0.0
        self._arrivals = arrivals

    def packets(self, period: float) -> Iterator[float]:
        for number, arrival in enumerate(self._arrivals):
            self.now = max(self.now, arrival)
            yield number * period

    def start(self, period: float) -> "Start[float]":
        return Start(self.packets(period), lambda packet: packet, lambda: self.now)


@pytest.mark.parametrize("rate", [5, 25, 100])
@pytest.mark.parametrize("at_once", [0.0, 2.0, 4.0])
def test_a_live_stream_is_known_whatever_came_at_once_at_the_start(rate: int, at_once: float) -> None:
    line = Line([max(0.0, number / rate - at_once) for number in range(20 * rate)])
    assert not line.start(1 / rate).faster_than_real_time


@pytest.mark.parametrize("speed", [2, 10, 1000])
def test_a_recording_comes_faster(speed: int) -> None:
    assert Line([number / 25 / speed for number in range(500)]).start(1 / 25).faster_than_real_time


def test_a_short_recording_comes_at_once() -> None:
    assert Line([0.0] * 30).start(1 / 25).faster_than_real_time


def test_no_packet_is_lost_by_looking() -> None:
    line = Line([number / 25 for number in range(100)])
    assert list(line.start(1 / 25).packets()) == [number * (1 / 25) for number in range(100)]


def test_an_error_comes_after_the_packets_before_it() -> None:
    def packets() -> Iterator[float]:
        yield from (0.0, 0.04)
        raise OSError("broke off")

    given = Start(packets(), lambda packet: packet).packets()
    assert [next(given), next(given)] == [0.0, 0.04]
    with pytest.raises(OSError, match="broke off"):
        next(given)


def test_without_timestamps_nothing_is_known() -> None:
    assert not Start(iter([1, 2, 3]), lambda packet: None).faster_than_real_time
