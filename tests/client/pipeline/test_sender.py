"""The thread that owns the session, on a real server that closes its sessions."""

import grpc
import numpy as np
import pytest

from stream_client.errors import StreamClientError
from stream_client.frames import Frame, Tensor
from stream_client.monitoring.ledger import Ledger
from stream_client.monitoring.observer import Observer
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.flow import FixedWindow, frame_queue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.sender import Sender
from stream_client.transport.options import TransportOptions
from stream_client.transport.streaming import StreamingTransport
from stream_client.util.backoff import Backoff
from tests.support.kserve_server import ScriptedServer

IMAGE = np.zeros((16, 16, 3), np.uint8)


def test_the_back_off_is_kept_for_a_server_that_accepts_sessions_and_closes_them(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = lambda request, number: iter([(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many sessions")])
    backoff = Backoff(first=0.001, longest=0.002)
    joiner = Joiner(expected=frozenset({"output"}), image_output="output", request_timeout=30, join_timeout=None)
    exchange = Exchange(frame_queue("block"), FixedWindow(1), joiner, Ledger(), Observer())
    errors: list[StreamClientError] = []
    sender = Sender(
        StreamingTransport(TransportOptions(server.address), "graph"),
        exchange,
        lambda frame: [Tensor("image", "UINT8", frame.image)],
        Observer(),
        errors.append,
        on_server_loss="retry",
        backoff=backoff,
    )
    sender.open()
    sender.start()
    for timestamp in range(8):  # each frame costs a session
        assert exchange.offer(Frame(timestamp, timestamp, IMAGE, 0.0))
        settled = exchange.next_settled()
        assert settled is not None
        assert [(one.frame.index, one.reason) for one in settled] == [(timestamp, "connection_lost")]
    exchange.stop()
    sender.stop()
    exchange.abort("stopped", StreamClientError("stopped"))
    sender.join()
    assert not errors
    assert backoff.attempt == 8
    assert len([message for message in caplog.messages if "server lost" in message]) == 4
