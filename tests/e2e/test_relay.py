"""From an RTSP server through the client to an RTSP server, and on when any of the three servers dies."""

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from graph_server.assets import ensure_clip
from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.frames import Result
from tests.conftest import ROOT
from tests.support.graph_server import KilledServer
from tests.support.kserve_server import ScriptedServer
from tests.support.publisher import Publisher, watch
from tests.support.rtsp_server import PATTERN, RtspServer
from tests.support.video import read_back, write_video
from tests.support.waiting import wait_until

CUTS = 3
KILLS, FRAMES = 5, 382


@pytest.mark.timeout(240)
def test_a_viewer_sees_the_annotated_stream(models_dir: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    ffmpeg = ("ffmpeg", "-v", "error", "-ss", "4", "-i")
    subprocess.run([*ffmpeg, ensure_clip(), "-vf", "scale=320:-2", "-frames:v", "1", still], check=True)
    with RtspServer(publish=["camera", "annotated"]) as rtsp:
        size = subprocess.check_output(["identify", "-format", "%w %h", still], text=True)
        width, height = map(int, size.split())
        arguments = ["--input_stream", rtsp.url("camera"), "--output_stream", rtsp.url("publish/annotated")]
        client = subprocess.Popen(
            [sys.executable, "client.py", *arguments],
            cwd=ROOT / "client",
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with Publisher(rtsp.url("publish/camera"), ["-loop", "1", "-framerate", "10", "-i", still]):
                plain = watch(rtsp.url("camera"), 2, (width, height))[-1]
                drawn = watch(rtsp.url("annotated"), 5, (width, height))[-1]
        finally:
            client.terminate()
            _, errors = client.communicate(timeout=30)
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 60
    assert 0.001 < changed.mean() < 0.3, errors
    assert client.returncode == 128 + 15, errors


@pytest.mark.timeout(240)
def test_a_run_survives_every_cut_of_source_and_sink(server: ScriptedServer) -> None:
    with RtspServer(play={"camera": PATTERN}) as source, RtspServer(publish=["out"]) as sink:
        delivered = threading.Event()
        client = StreamClient(
            source.url("camera"),
            sink.url("publish/out"),
            TransportOptions(server.address, model_name="graph"),
        )
        client.on_result(lambda result: delivered.set())
        client.start()
        sink_name = sink.url("publish/out")

        def live(cuts: int) -> bool:
            states = client.connections
            return all(
                states[name].state == "live" and states[name].reconnections >= cuts for name in ("source", sink_name)
            )

        wait_until(lambda: sink_name in client.connections and live(0))
        for cut in range(1, CUTS + 1):
            for name, peer in (("source", source), (sink_name, sink)):
                peer.kill()
                wait_until(lambda name=name: client.connections[name].state != "live")  # type: ignore[misc]
                peer.start()
            wait_until(lambda cut=cut: live(cut))  # type: ignore[misc]
            delivered.clear()
            assert delivered.wait(30)
        assert len(watch(sink.url("out"), 3, (160, 120))) == 3
        client.stop()
        summary = client.wait()
    summary.ledger.check()
    assert summary.ledger.failed == {}
    assert summary.connections["source"].reconnections == summary.connections[sink_name].reconnections == CUTS
    assert {peer.state for peer in summary.connections.values()} == {"ended"}


@pytest.mark.timeout(240)
def test_a_file_comes_out_whole_however_often_the_server_is_killed(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", frames=FRAMES)
    server = KilledServer()
    kill_at = {FRAMES * (kill + 1) // (KILLS + 1) for kill in range(KILLS)}
    restarts: list[threading.Thread] = []
    indices: list[int] = []

    def on_result(result: Result) -> None:
        indices.append(result.frame.index)
        if len(indices) in kill_at:
            server.kill()  # in mid-run: the window is full
            thread = threading.Thread(target=server.start)
            thread.start()
            restarts.append(thread)

    client = StreamClient(
        str(clip),
        str(tmp_path / "out.mp4"),
        TransportOptions(server.address, model_name="passThrough"),
        options=RunOptions(on_server_loss="retry", max_inflight=8),
    )
    client.on_result(on_result)
    try:
        summary = client.run()
    finally:
        for thread in restarts:
            thread.join()
        server.kill()
    assert indices == list(range(FRAMES))
    assert Counter(indices).most_common(1)[0][1] == 1
    assert (summary.ledger.entered, summary.ledger.delivered) == (FRAMES, FRAMES)
    assert summary.ledger.resent >= KILLS
    assert f"{summary.ledger.resent} resent" in summary.ledger.line()
    assert summary.connections["server"].reconnections == KILLS
    assert len(read_back(tmp_path / "out.mp4")) == FRAMES
