"""A run that is paused and goes on."""

import threading
import time
from pathlib import Path

from stream_client import Result, StreamClient, TransportOptions
from tests.support.kserve_server import ScriptedServer
from tests.support.video import picture
from tests.support.waiting import wait_until


def test_a_paused_file_waits_and_loses_nothing(clip: Path, server: ScriptedServer) -> None:
    indices: list[int] = []
    paused = threading.Event()

    def take(result: Result) -> None:
        indices.append(result.frame.index)
        if result.frame.index == 3:
            client.pause()
            paused.set()

    client = StreamClient(clip, take, TransportOptions(server.address, model_name="graph"))
    with client:
        client.start()
        assert paused.wait(30)
        time.sleep(0.3)
        seen = len(indices)
        time.sleep(0.3)
        assert len(indices) == seen < 30
        client.resume()
        summary = client.wait()
    assert indices == list(range(30))
    assert summary.ledger.delivered == 30


def test_frames_of_a_live_source_that_come_in_a_pause_are_dropped_and_counted(server: ScriptedServer) -> None:
    frames = iter(range(10_000))

    def camera() -> object:
        time.sleep(0.005)
        return picture(next(frames) % 100)

    with StreamClient(camera, "none", TransportOptions(server.address, model_name="graph")) as client:  # type: ignore[arg-type]
        client.start()
        client.pause()
        time.sleep(0.3)
        client.resume()
        results = iter(client)
        next(results)
        client.stop()
    assert client.summary is not None
    assert client.summary.ledger.dropped["paused"] > 5
    assert client.summary.ledger.pending == 0


def test_a_paused_run_stops(clip: Path, server: ScriptedServer) -> None:
    with StreamClient(clip, "none", TransportOptions(server.address, model_name="graph")) as client:
        client.start()
        client.pause()
        client.stop()
        wait_until(lambda: client.summary)
