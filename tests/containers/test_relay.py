"""The images are built, and compose.yaml relays a clip through them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from graph_server.assets import ensure_clip
from tests.containers.engine import Engine
from tests.support.publisher import Publisher
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1500)]
SERVICES = ("mediamtx", "graph-server", "client")
RTSP = "rtsp://127.0.0.1:8554"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = Engine(tmp_path_factory.mktemp("engine"))
    made.make_base_image()
    made.build("client.Dockerfile", "ovms-stream-client")
    made.build("graph-server.Dockerfile", "ovms-graph-server")
    return made


@pytest.fixture(scope="module")
def names(engine: Engine) -> Iterator[dict[str, str]]:
    """The containers of the services, all up, with a clip published."""
    engine.compose("--profile", "graph-server", "down", "--volumes", "--timeout", "3")  # of a run that was cut off
    engine.compose("--profile", "graph-server", "up", "--detach", "--no-build", *SERVICES, timeout=600)
    shown = json.loads(engine.podman("ps", "--all", "--format", "json"))
    found = {
        service: name for entry in shown for name in entry["Names"] for service in SERVICES if f"_{service}_" in name
    }
    try:
        assert set(found) == set(SERVICES)
        wait_until(_media_server_answers, seconds=60, pause=0.5)
        source: list[str | Path] = ["-stream_loop", "-1", "-re", "-i", ensure_clip(), "-an"]
        with Publisher(f"{RTSP}/publish/camera", source):
            yield found
    finally:
        engine.compose("--profile", "graph-server", "down", "--volumes", "--timeout", "3")


def _media_server_answers() -> bool:
    """The port itself is open before the server is there."""
    try:
        with socket.create_connection(("127.0.0.1", 8554), timeout=2) as connection:
            connection.settimeout(2)
            connection.sendall(f"OPTIONS {RTSP}/camera RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
            return connection.recv(100).startswith(b"RTSP/1.0")
    except OSError:
        return False


def labels(engine: Engine, name: str) -> list[str]:
    """The labels that the client has printed."""
    lines = engine.logs(name)[0].splitlines()
    return [row["label"] for line in lines if line.startswith("{") and (row := json.loads(line))["label"]]


def test_an_annotated_frame_and_a_label_come_out(engine: Engine, names: dict[str, str]) -> None:
    wait_until(lambda: len(labels(engine, names["client"])) > 5, seconds=150, pause=1)
    with av.open(f"{RTSP}/annotated", options={"rtsp_transport": "tcp"}, timeout=30) as stream:
        frame = next(stream.decode(video=0))
    assert frame.width > 300


@pytest.mark.parametrize("service", ["client", "graph-server"])
def test_a_container_runs_without_roots_rights_and_writes_nowhere(
    engine: Engine, names: dict[str, str], service: str
) -> None:
    assert engine.podman("exec", names[service], "id", "-u").strip() == "10001"
    (found,) = json.loads(engine.podman("inspect", names[service]))
    assert found["HostConfig"]["ReadonlyRootfs"] is True


def test_ports_are_open_to_this_machine_only(engine: Engine, names: dict[str, str]) -> None:
    shown = engine.podman("port", names["mediamtx"])
    assert "127.0.0.1:8554" in shown
    assert "0.0.0.0" not in shown


def test_the_health_check_of_the_image_passes(engine: Engine, names: dict[str, str]) -> None:
    engine.podman("healthcheck", "run", names["graph-server"])


def test_a_graph_server_that_is_killed_is_missed_and_found_again(engine: Engine, names: dict[str, str]) -> None:
    engine.podman("kill", names["graph-server"])
    wait_until(lambda: engine.state(names["graph-server"])["Status"] in ("exited", "running"), seconds=30, pause=0.5)
    engine.podman("start", names["graph-server"])
    before = len(labels(engine, names["client"]))
    wait_until(lambda: len(labels(engine, names["client"])) > before + 20, seconds=180, pause=1)


def test_the_client_ends_with_its_summary(engine: Engine, names: dict[str, str]) -> None:
    engine.podman("stop", "--time", "5", names["client"])
    assert engine.state(names["client"])["ExitCode"] == 128 + 15
    _, errors = engine.logs(names["client"])
    assert "delivered" in errors
    assert "Traceback" not in errors
