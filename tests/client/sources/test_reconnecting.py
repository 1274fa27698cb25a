"""When a lost source is tried again and when it is not, with connections that do what a test says."""

import math
import time
from collections.abc import Sequence

import numpy as np
import pytest

from stream_client.errors import SourceAuthenticationError, SourceError, SourceNotFoundError
from stream_client.frames import Frame, StreamInfo
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.util.backoff import Backoff

IMAGE = np.zeros((48, 64, 3), np.uint8)
BEGIN = 1_700_000_000_000_000


class Connection:
    """Opens, or fails to; gives frames at ``timestamps`` with the indices of ``indices``, and ends."""

    def __init__(self, timestamps: Sequence[int] = (), error: SourceError | None = None, finite: bool = False) -> None:
        self._frames = [Frame(index, BEGIN + at, IMAGE, time.monotonic()) for index, at in enumerate(timestamps)]
        self._error = error
        self.finite = finite
        self.unreadable = 0
        self.closed = False

    def open(self, within: float = math.inf) -> StreamInfo:
        self.within = within
        if self._error is not None:
            raise self._error
        return StreamInfo("connection", 64, 48, live=True, start=BEGIN)

    def read(self) -> Frame | None:
        return self._frames.pop(0) if self._frames else None

    def interrupt(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self.closed = True


def reconnecting(
    *connections: Connection,
    reconnect_timeout: float | None = None,
    hopeless: tuple[type[SourceError], ...] = (),
    backoff: Backoff | None = None,
) -> ReconnectingSource:
    waiting = iter(connections)
    return ReconnectingSource(
        lambda: next(waiting),
        "source",
        reconnect_timeout=reconnect_timeout,
        hopeless=hopeless or ReconnectingSource.HOPELESS,
        backoff=backoff or Backoff(first=0.001, longest=0.002),
    )


def read_all(source: ReconnectingSource) -> list[Frame]:
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def test_connections_follow_each_other_as_one_stream() -> None:
    first, second = Connection([0, 10, 20]), Connection([15, 30], finite=True)
    frames = read_all(reconnecting(first, second))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.timestamp - BEGIN for frame in frames] == [0, 10, 20, 21, 30]
    assert first.closed
    assert second.closed


def test_the_end_of_a_finite_stream_is_the_end() -> None:
    assert len(read_all(reconnecting(Connection([0, 10], finite=True)))) == 2


def test_attempts_go_on_through_errors_that_may_mend_themselves() -> None:
    away = [Connection(error=SourceNotFoundError("404")) for _ in range(9)]
    frames = read_all(reconnecting(*away, Connection([0]), *away, Connection([50], finite=True)))
    assert [frame.timestamp - BEGIN for frame in frames] == [0, 50]
    assert all(connection.closed for connection in away)


def test_a_source_that_has_to_be_there_at_first_is_not_waited_for() -> None:
    missing = Connection(error=SourceNotFoundError("no camera"))
    source = reconnecting(missing, Connection([0]), hopeless=(SourceError,))
    with pytest.raises(SourceNotFoundError):
        source.open()
    assert missing.closed


def test_other_errors_between_them_forgive_refusals() -> None:
    refused = [Connection(error=SourceAuthenticationError("401")) for _ in range(2)]
    away = Connection(error=SourceError("refused"))
    last = Connection([5], finite=True)
    assert len(read_all(reconnecting(Connection([0]), *refused, away, *refused, last))) == 2


def test_every_attempt_but_the_first_has_what_is_left_of_the_reconnect_timeout() -> None:
    away = [Connection(error=SourceNotFoundError("404")) for _ in range(2)]
    connections = [away[0], Connection([0]), away[1], Connection([1], finite=True)]
    assert len(read_all(reconnecting(*connections, reconnect_timeout=50))) == 2
    first, *others = (connection.within for connection in connections)
    assert first == math.inf
    assert all(40 < within <= 50 for within in others)


def test_no_attempt_is_made_with_a_reconnect_timeout_of_zero() -> None:
    source = reconnecting(Connection([0]), Connection([1]), reconnect_timeout=0)
    source.open()
    assert source.read() is not None
    with pytest.raises(SourceError, match="source ended"):
        source.read()


def test_the_back_off_is_kept_for_a_server_that_accepts_and_closes_at_once() -> None:
    backoff = Backoff(first=0.001, longest=0.002)
    connections = [Connection([0]) for _ in range(10)]
    assert len(read_all(reconnecting(*connections, Connection([0], finite=True), backoff=backoff))) == 11
    assert backoff.attempt == 10
