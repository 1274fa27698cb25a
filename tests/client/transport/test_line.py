"""How far away a server is, measured over real sockets."""

import math
import threading
import time

import grpc
import pytest

from stream_client.transport.line import LineProbe, LineSample, resolve, sample
from stream_client.transport.options import TransportOptions
from tests.support.kserve_server import ScriptedServer
from tests.support.narrow_link import LongLink
from tests.support.ports import free_port


def measured(address: str) -> LineSample:
    with grpc.insecure_channel(address) as channel:
        return sample(channel, resolve(address), 5)


def test_a_request_takes_as_long_as_the_line_and_a_proxy_answers_the_handshake(server: ScriptedServer) -> None:
    with LongLink(server.address, 0.05) as link:
        found = measured(link.address)
    assert found.request >= 0.1
    assert 0 <= found.handshake < 0.05


def test_what_cannot_be_measured_is_unknown() -> None:
    found = measured(f"127.0.0.1:{free_port()}")
    assert math.isnan(found.request)
    assert math.isnan(found.handshake)
    assert resolve("unix:/tmp/ovms.sock") is None
    assert resolve("no.such.host.invalid:9000") is None


def test_a_probe_measures_again_and_again_until_it_is_closed(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LineProbe, "INTERVAL", 0.01)
    enough = threading.Semaphore(0)
    probe = LineProbe(TransportOptions(server.address), lambda found: enough.release())
    probe.start()
    for _ in range(3):
        assert enough.acquire(timeout=20)
    probe.close()
    while enough.acquire(blocking=False):
        pass
    time.sleep(0.1)
    assert not enough.acquire(blocking=False)


def test_a_probe_waits_for_a_server_that_is_away_and_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = LineProbe(TransportOptions(f"127.0.0.1:{free_port()}", connect_timeout=60), lambda found: None)
    probe.start()
    probe.close()
    LineProbe(TransportOptions("127.0.0.1:1"), lambda found: None).close()
