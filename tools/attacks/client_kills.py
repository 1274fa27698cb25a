"""Servers that are killed again and again, often before they have given a frame."""

import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.graph_server import KilledServer
from tests.support.pattern_camera import numbers_in, pattern_camera
from tests.support.rtsp_server import RtspServer
from tests.support.video import read_back, write_video
from tests.support.waiting import wait_until
from tools.attacks.attacked_client import AttackedClient, attacked_client, figures
from tools.attacks.base import Attack, Figure

LIFE_SECONDS = 0.4
"""The longest life of a server that is killed before it has done anything."""
_WAIT_SECONDS = 60.0
_SAID_A_KILL = 1000


def _flags(address: str, source: str, folder: Path) -> Sequence[str]:
    server = ("--grpc_address", address, "--model_name", "passThrough")
    outputs = ("--output_stream", str(folder / "out.mkv"), "--labels_output", str(folder / "labels.jsonl"))
    return (*server, "--input_stream", source, *outputs)


def _lines(folder: Path) -> int:
    path = folder / "labels.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def graph_server(short: bool) -> Sequence[Figure]:
    """A file run whose server lives for 0 to 0.4 s each time."""
    kills, count, chance = (3, 150, random.Random(1)) if short else (100, 1800, random.Random(1))
    server = KilledServer("--fault", "rate=40")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = write_video(folder / "clip.mp4", frames=count)
        with attacked_client(*_flags(server.address, str(clip), folder), said_bytes=kills * _SAID_A_KILL) as client:
            wait_until(lambda: _lines(folder), seconds=_WAIT_SECONDS)
            killed = 0
            while killed < kills and client.process.poll() is None:
                time.sleep(chance.uniform(0, LIFE_SECONDS))
                server.kill()
                server.start()
                killed += 1
            client.process.wait(300)
        server.kill()
        indices = [json.loads(line)["frame"] for line in (folder / "labels.jsonl").read_text().splitlines()]
        lost = count - len(read_back(folder / "out.mkv"))
    return [
        *figures([client]),
        Figure("kills that were not made", kills - killed, 0, ""),
        Figure("frames lost, twice or out of order", abs(lost) + (indices != list(range(count))), 0, ""),
        Figure("failing exit statuses", client.process.returncode != 0, 0, ""),
    ]


def rtsp_server(short: bool) -> Sequence[Figure]:
    """A relay whose source is killed. Every second time it has given frames before."""
    kills, chance = 3 if short else 100, random.Random(1)
    server = KilledServer()
    with tempfile.TemporaryDirectory() as name, RtspServer(publish=["camera"]) as rtsp:
        folder = Path(name)
        with (
            pattern_camera(rtsp.url("publish/camera"), "testsrc:320x240@15"),
            attacked_client(
                *_flags(server.address, rtsp.url("camera"), folder), said_bytes=(kills + 3) * _SAID_A_KILL
            ) as client,
        ):
            for kill in range(kills + 1):
                if kill % 2 == 0 or kill == kills:
                    before = _lines(folder)
                    wait_until(lambda before=before: _lines(folder) > before, seconds=_WAIT_SECONDS)  # type: ignore[misc]
                if kill < kills:
                    rtsp.kill()
                    time.sleep(chance.uniform(0, LIFE_SECONDS))
                    rtsp.start()
                    time.sleep(chance.uniform(0, LIFE_SECONDS))
        server.kill()
        file = numbers_in(folder / "out.mkv")
    return [*figures([client]), *_numbers(client, file.frames, file.out_of_order + file.unreadable)]


def _numbers(client: AttackedClient, frames: int, wrong: int) -> Sequence[Figure]:
    entered, delivered, *_ = client.ledger() or (0, -1)
    return [
        Figure("frames out of order or unreadable", wrong, 0, ""),
        Figure("delivered frames that the file has not", abs(delivered - frames), 0, ""),
        Figure("runs without a frame", entered == 0, 0, ""),
    ]


ATTACKS = (
    Attack("a graph server that is killed", "client", graph_server),
    Attack("an RTSP server that is killed", "client", rtsp_server),
)
