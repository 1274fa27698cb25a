"""The lines to replicas, over real sockets."""

import queue

import pytest

from stream_client.replicas.lines import ReplicaLines
from stream_client.replicas.pool import Replicas
from stream_client.replicas.watch import Watch
from stream_client.transport.line import LineProbe, LineSample
from stream_client.transport.options import TransportOptions
from tests.support.kserve_server import ScriptedServer


def test_each_is_measured_at_once_before_frames_fill_its_line(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LineProbe, "INTERVAL", 600.0)
    samples: queue.Queue[LineSample] = queue.Queue()
    with ScriptedServer() as other:
        names = {server.address, other.address}
        watch = Watch(Replicas(TransportOptions(",".join(names))))
        lines = ReplicaLines(watch.replicas, samples.put)
        watch.start()
        try:
            assert watch.replicas.wait_for(lambda: len(watch.replicas.ready()) == 2, 20)
            lines.start()
            assert {samples.get(timeout=20).server for _ in names} == names
        finally:
            lines.close()
            watch.close()
