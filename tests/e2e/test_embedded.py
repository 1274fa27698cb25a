"""The whole way, as a newcomer goes it: the embedded graph server and a real clip."""

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import grpc
import numpy as np
import pytest

from kserve_wire.names import method_path
from stream_client import Result, StreamClient, TransportOptions
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConnectError, ServerStartError
from stream_client.pipeline.embedded_transport import EmbeddedTransport
from stream_client.transport.base import Listener, Request
from tests.conftest import ROOT, shared
from tests.support.client import run_client, run_here
from tests.support.graph_server import ECHO
from tests.support.video import read_back, write_video
from tests.support.waiting import wait_for_lines, wait_until

CLIENT = [sys.executable, "client.py"]


def servers(client: int) -> list[int]:
    """The graph servers that this client process has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == client and b"graph_server" in words and b"--exit_with_stdin" in words:
            found.append(int(path.parent.name))
    return found


def runs(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class _Dying:
    """A transport that is opened while its server is about to end: it finds nobody, and the server ends meanwhile."""

    upload_rate = None

    def __init__(self, server: EmbeddedServer) -> None:
        self.server, self.opened, self.closed = server, 0, 0

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        self.opened += 1
        if self.opened == 1:
            os.kill(self.server.pid, signal.SIGKILL)
            wait_until(lambda: self.server.exit_status is not None)
            raise ConnectError("nobody answers")

    def encode(self, request: Request) -> bytes:
        return b""

    def send(self, timestamp: int, data: bytes) -> None: ...
    def finish(self) -> None: ...
    def interrupt(self) -> None: ...

    def close(self) -> None:
        self.closed += 1


def test_a_server_that_ends_while_it_is_called_is_started_again_at_once() -> None:
    with EmbeddedServer(EmbeddedOptions(arguments=ECHO)) as server:
        server.start()
        first = server.pid
        transport = _Dying(server)
        EmbeddedTransport(transport, server).open(lambda event: None)
        assert server.pid != first
        assert (transport.opened, transport.closed) == (2, 1)


def test_a_video_comes_back_with_landmarks_and_labels(person: Path, tmp_path: Path) -> None:
    done = run_client(
        *("--input_stream", person, "--output_stream", tmp_path / "out.mp4"),
        *("--labels_output", tmp_path / "labels.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    assert "40 frames: 40 delivered, 0 dropped, 0 failed" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(40))
    labeled = [line for line in lines if line["label"] is not None]
    assert len(labeled) > 30
    assert {tuple(sorted(line["scores"])) for line in labeled} == {("plank", "push-up bottom", "squatting", "standing")}
    drawn, plain = read_back(tmp_path / "out.mp4"), read_back(person)
    assert len(drawn) == 40
    changed = np.abs(drawn[30][1].astype(int) - plain[30][1]).max(axis=2) > 60
    assert 0.001 < changed.mean() < 0.2


def test_unary_calls_go_to_the_graph_with_the_image_alone(person: Path, tmp_path: Path) -> None:
    done = run_client(
        *("--api", "unary", "--input_stream", person, "--output_stream", tmp_path / "out.mp4", "--limit_frames", 8),
        *("--labels_output", tmp_path / "labels.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == [None] * 8
    assert len(read_back(tmp_path / "out.mp4")) == 8


def test_an_unknown_name_is_answered_with_all_that_the_embedded_server_has(clip: Path, tmp_path: Path) -> None:
    models = [{"config": {"name": "alone", "base_path": str(ROOT / "models" / "pose_classifier")}}]
    graphs = [{"name": "mine", "graph_path": str(ROOT / "graphs" / "pass_through" / "graph.pbtxt")}]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_config_list": models, "mediapipe_config_list": graphs}))
    flags = ("--input_stream", clip, "--output_stream", "none", "--config_path", config)
    unnamed, unknown = run_here(*flags), run_here(*flags, "--model_name", "yours")
    assert (unnamed.returncode, unknown.returncode) == (1, 1)
    assert "has no model or graph named 'yours'; it serves alone, mine (--model_name)" in unknown.stderr
    assert "has none of holisticClassifier, holisticTracking; it serves alone, mine: name one" in unnamed.stderr


def test_doctor_says_what_the_embedded_server_computes_in(clip: Path, tmp_path: Path) -> None:
    model = {
        "name": "alone",
        "base_path": str(ROOT / "models" / "pose_classifier"),
        "plugin_config": {"INFERENCE_PRECISION_HINT": "f32"},
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_config_list": [{"config": model}]}))
    done = run_client("doctor", "--input_stream", clip, "--output_stream", "none", "--config_path", config)
    found = "ok      embedded server, precision  all models compute in f32; the default of this processor is "
    assert found in done.stdout


def test_frames_without_a_person_have_no_label(tmp_path: Path, models_dir: Path) -> None:
    empty = write_video(tmp_path / "empty.mp4", frames=6, width=128, height=96)
    labels = tmp_path / "labels.jsonl"
    assert run_client("--input_stream", empty, "--output_stream", "none", "--labels_output", labels).returncode == 0
    assert [json.loads(line)["label"] for line in labels.read_text().splitlines()] == [None] * 6


def test_a_unary_call_without_a_person_is_explained_by_the_summary(tmp_path: Path, models_dir: Path) -> None:
    empty = write_video(tmp_path / "empty.mp4", frames=3, width=128, height=96)
    done = run_client(
        *("--api", "unary", "--model_name", "holisticClassifierSparse"),
        *("--input_stream", empty, "--output_stream", "none"),
    )
    assert done.returncode == 1
    assert "3 failed (refused by the server: 3)" in done.stderr
    assert "label scores have none without a person: stream, or name a graph" in done.stderr
    assert "(--api stream)" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_the_client_however_that_ends(
    person: Path, tmp_path: Path, number: signal.Signals
) -> None:
    labels = tmp_path / "labels.jsonl"
    arguments = ["--input_stream", str(person), "--loop", "--output_stream", "none", "--labels_output", str(labels)]
    process = subprocess.Popen([*CLIENT, *arguments], cwd=ROOT / "client", stderr=subprocess.DEVNULL, text=True)
    wait_for_lines(labels, 1, process)
    started = servers(process.pid)
    assert started
    process.send_signal(number)
    process.wait(60)
    wait_until(lambda: not any(runs(server) for server in started))


def kill_servers(client: int) -> None:
    for pid in servers(client):
        os.kill(pid, signal.SIGKILL)


def test_a_server_that_dies_is_started_again_and_each_frame_comes_once(clip: Path, tmp_path: Path) -> None:
    graphs = [{"name": "mine", "graph_path": str(ROOT / "graphs" / "pass_through" / "graph.pbtxt")}]
    labels, config = tmp_path / "labels.jsonl", tmp_path / "config.json"
    config.write_text(json.dumps({"model_config_list": [], "mediapipe_config_list": graphs}))
    flags = ["--input_stream", str(clip), "--loop", "--limit_frames", "400", "--labels_output", str(labels)]
    flags += ["--enforce_fps", "60", "--config_path", str(config), "--model_name", "mine"]
    process = subprocess.Popen([*CLIENT, *flags], cwd=ROOT / "client", stderr=subprocess.PIPE, text=True)
    for count in (5, 50):
        wait_for_lines(labels, count, process)
        kill_servers(process.pid)
    _, errors = process.communicate(timeout=110)
    assert process.returncode == 0, errors
    assert "the embedded graph server has ended (exit status -9); starting it again" in errors
    assert "server: lost 2 times, back 2 times" in errors
    assert [json.loads(line)["frame"] for line in labels.read_text().splitlines()] == list(range(400))
    assert not servers(process.pid)


def test_nobody_else_can_answer_for_the_embedded_server() -> None:
    with EmbeddedServer(EmbeddedOptions(arguments=ECHO)) as server:
        scheme, _, path = server.address.partition(":")
        assert scheme == "unix"
        folder = Path(path).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        address, before = server.address, server.pid
        server.revive()
        assert server.pid == before
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: server.exit_status is not None)
        server.revive()
        assert (server.address, server.pid != before) == (address, True)
        with grpc.insecure_channel(address) as channel:
            live: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ServerLive"))
            assert live(b"", timeout=20) == b"\x08\x01"
    assert not folder.exists()


def test_a_server_that_cannot_start_again_ends_the_run(person: Path, tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    shutil.copytree(ROOT / "graphs" / "pass_through", graph)
    options = EmbeddedOptions(arguments=("--model_name", "passThrough", "--model_path", str(graph)))
    server = EmbeddedServer(options)

    def on_result(result: Result) -> None:
        if graph.exists():
            shutil.rmtree(graph)
            os.kill(server.pid, signal.SIGKILL)

    client = StreamClient(
        itertools.repeat(np.zeros((48, 64, 3), np.uint8)),
        on_result,
        TransportOptions(model_name="passThrough"),
        embedded=server,
    )
    with pytest.raises(ServerStartError, match="the embedded graph server did not start: "):
        client.run()


def test_a_server_killed_in_mid_run_leaves_outputs_playable(person: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    arguments = [
        *("--input_stream", str(person), "--loop", "--output_stream", str(tmp_path / "out.mp4")),
        *("--labels_output", str(labels), "--on_server_loss", "fail"),
    ]
    process = subprocess.Popen([*CLIENT, *arguments], cwd=ROOT / "client", stderr=subprocess.PIPE, text=True)
    wait_for_lines(labels, 5, process)
    kill_servers(process.pid)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "error: the connection to unix:" in errors
    assert "lost with the connection" in errors
    assert len(read_back(tmp_path / "out.mp4")) == len(labels.read_text().splitlines())


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_the_shared_clip_gives_77_frames_at_30_a_second(tmp_path: Path, models_dir: Path, api: str) -> None:
    clip = shared("clips/sign-again.mkv")
    labels = tmp_path / "labels.jsonl"
    done = run_client(
        *("--input_stream", clip, "--api", api, "--output_stream", tmp_path / "out.mp4", "--labels_output", labels)
    )
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].base_rate == 30
        assert sum(1 for _ in container.decode(video=0)) == 77
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(77))
    assert [line["label"] is None for line in lines] == [api == "unary"] * 77
