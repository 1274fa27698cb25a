"""What a hostile page, program or user tries: nothing is read, nothing breaks, and the page is still served."""

import io
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from stream_client.errors import ConfigurationError
from stream_client.web.options import WebOptions
from stream_client.web.serving import MAX_CONNECTIONS
from stream_client.web.sockets import REFUSED
from stream_client.web.streams.places import Places
from tests.support.video import write_video
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application

SLOW_CONNECTIONS = 1000
THIS_MACHINE = (
    *("http://127.0.0.1/x", "http://localhost:22/", "http://[::1]/", "http://0/", "http://0.0.0.0/", "http://127.1/"),
    *("http://2130706433/", "http://0x7f000001/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/"),
    *("rtsp://me:pw@127.0.0.1/x", "http://a@b@localhost/", "http://[fe80::1]/", "http://x:y@[::1]:80/"),
)


PARAMETERS = """
[parameters]
"path.id" = "s1"
"path.name" = "out.mp4"

[[operations]]
include-path = "/api/streams/{id}"
include-method = "DELETE"
parameters = { "path.id" = "s2" }
"""


@pytest.fixture
def web(pass_through_server: str, tmp_path: Path) -> Iterator[Application]:
    media = tmp_path / "media"
    media.mkdir()
    write_video(media / "clip.mp4", frames=10)
    options = WebOptions(port=0, media_dir=media, max_upload=1.0)
    with web_application(pass_through_server, options) as application:
        yield application


def test_a_thousand_slow_connections_keep_nobody_out(web: Application) -> None:
    port = int(web.url.rpartition(":")[2])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * SLOW_CONNECTIONS + 1000
    assert hard >= wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    before = len(os.listdir("/proc/self/fd"))
    connections = []
    try:
        for number in range(SLOW_CONNECTIONS):
            slow = socket.create_connection(("127.0.0.1", port), timeout=5)
            slow.sendall((b"", b"GET / HT", b"POST /api/streams HTTP/1.1\r\nHost: localhost\r\nX: ")[number % 3])
            connections.append(slow)
        assert web.http.get("/").status_code == 200
        assert web.http.get("/api/health").status_code == 200
        # Of both sides' descriptors in this process, the server's are bounded.
        wait_until(lambda: len(os.listdir("/proc/self/fd")) - before <= SLOW_CONNECTIONS + MAX_CONNECTIONS + 20)
    finally:
        for slow in connections:
            slow.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before + 20)


def test_an_upload_beyond_the_bound_is_refused_and_leaves_nothing(web: Application) -> None:
    huge = io.BytesIO(b"x" * 1_200_000)
    assert web.http.post("/api/uploads", files={"file": ("a.mp4", huge)}).status_code == 413

    def lie() -> Iterator[bytes]:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        yield head
        for _ in range(30):
            yield b"x" * 100_000

    answer = web.http.post("/api/uploads", content=lie(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 413
    assert list(web.state.folders.uploads.iterdir()) == []


@pytest.mark.parametrize("name", ["𠀀" * 200, "../../" + "漢" * 85, "x" * 900, "a\0b\u202ec"])
def test_an_upload_of_any_name_is_kept(web: Application, name: str) -> None:
    with write_video(web.state.folders.results / "clip.mp4", frames=2).open("rb") as file:
        answer = web.http.post("/api/uploads", files={"file": (f"{name}.mp4", file)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["name"].endswith(".mp4")
    assert web.http.delete(f"/api/uploads/{answer.json()['id']}").status_code == 204


def test_an_upload_without_room_for_its_body_is_refused_with_the_place(
    pass_through_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_application(pass_through_server) as web:
        monkeypatch.setattr("tempfile.tempdir", "/proc/none")
        answer = web.http.post("/api/uploads", files={"file": ("a.mp4", io.BytesIO(b"x" * 1_200_000))})
    assert (answer.status_code, "make room in /proc/none" in answer.json()["detail"]) == (507, True)


@pytest.mark.parametrize("name", ["漢" * 200, "x" * 300, ("漢" * 80 + "/") * 20 + "x"])
@pytest.mark.parametrize("option", ["input_stream", "classifier", "labels", "landmarks_output"])
def test_a_path_that_no_file_system_takes_is_refused(web: Application, option: str, name: str) -> None:
    name += ".jsonl" if option == "landmarks_output" else ""
    answer = web.http.post("/api/streams", json={"input_stream": "clip.mp4", option: name})
    assert (answer.status_code, answer.json()["option"]) == (400, option), answer.text


def test_a_name_is_shown_in_one_line_without_control_characters(web: Application) -> None:
    settings = {"input_stream": "clip.mp4", "model_name": "passThrough", "name": "a\n\u202eb\x00"}
    id = web.http.post("/api/streams", json=settings).json()["id"]
    assert web.http.get(f"/api/streams/{id}").json()["name"] == "a b"


def test_a_reason_in_any_script_closes_the_websocket(web: Application) -> None:
    with connect(f"{web.url.replace('http', 'ws')}/ws/live_signs?model_name={'%E6%BC%A2' * 100}") as socket:
        socket.send(_jpeg())
        assert "no model or graph named" in json.loads(socket.recv(20))["error"]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == REFUSED


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
@pytest.mark.parametrize("path", ["/ws/live_signs", "/socket.io/?EIO=4&transport=websocket"])
def test_websockets_of_other_sites_are_refused(web: Application, path: str, headers: dict[str, str]) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(web.url.replace("http", "ws") + path, additional_headers=headers),
    ):
        pass
    assert refused.value.response.status_code in (400, 403, 421)


def test_without_the_token_no_websocket_opens() -> None:
    with web_application(options=WebOptions(port=0, require_token=True)) as web:
        address = web.url.replace("http", "ws") + "/ws/live_signs"
        for headers in ({}, {"Authorization": "Bearer x"}, {"Cookie": f"{web.state.access.cookie_name}=x"}):
            with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers):
                pass
            assert refused.value.response.status_code == 401
        assert httpx.get(f"{web.url}/socket.io/?EIO=4&transport=polling", timeout=20).status_code == 401
        with connect(address, additional_headers={"Authorization": f"Bearer {web.state.access.token}"}):
            pass


@pytest.mark.parametrize("url", THIS_MACHINE)
def test_beyond_loopback_no_address_of_this_machine_is_fetched(url: str, tmp_path: Path) -> None:
    places = Places(None, tmp_path, tmp_path, this_machine=False)
    with pytest.raises(ConfigurationError, match=r"address of this machine|no such host|is no URL") as refused:
        places.resolve({"input_stream": url}, tmp_path)
    assert "pw" not in str(refused.value)


def test_no_path_is_named_where_there_is_no_media_dir(tmp_path: Path) -> None:
    places = Places(None, tmp_path, tmp_path, this_machine=False)
    for settings in ({"input_stream": "/etc/passwd"}, {"input_stream": "testsrc", "output_stream": ["/tmp/x.mp4"]}):
        with pytest.raises(ConfigurationError, match="no path of this machine"):
            places.resolve(settings, tmp_path)


def test_a_link_out_of_the_media_dir_is_not_followed(web: Application) -> None:
    media = web.state.options.media_dir
    assert media is not None
    (media / "out").symlink_to("/etc")
    answer = web.http.post("/api/streams", json={"input_stream": "out/passwd"})
    assert (answer.status_code, answer.json()["option"]) == (400, "input_stream")
    assert "outside" in answer.json()["detail"]


def test_mutated_requests_to_every_endpoint_cause_no_fault(web: Application, tmp_path: Path) -> None:
    for _ in range(2):
        settings = {"input_stream": "clip.mp4", "model_name": "passThrough", "output_stream": ["out.mp4"]}
        web.http.post("/api/streams", json=settings)
    (tmp_path / "schemathesis.toml").write_text(PARAMETERS)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{web.url}/api/openapi.json", "--no-color"]
    command += ["--checks", "not_a_server_error,response_schema_conformance,content_type_conformance"]
    command += ["--phases", "fuzzing", "--max-examples", "12", "--request-timeout", "20"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert web.http.get("/").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"input_stream": "testsrc", "max_inflight": 1e999}',
        '{"input_stream": "testsrc", "latency_target": NaN}',
        '{"input_stream": "testsrc", "quality": 1%s}' % ("0" * 5000),
        '{"input_stream": "\\ud800"}',
        '{"input_stream": "testsrc", "\\ud800": 1}',
        '{"input_stream": "upload:\\u0000"}',
        '{"input_stream": "testsrc", "output_stream": ["\\u0000.mp4"]}',
        '{"input_stream": "http://[/"}',
    ],
)
def test_odd_json_is_refused(web: Application, body: str) -> None:
    answer = web.http.post("/api/streams", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["detail"]


def test_sessions_that_open_and_close_many_times_leave_nothing(web: Application) -> None:
    address = web.url.replace("http", "ws") + "/ws/live_signs?model_name=passThrough"

    def visit(number: int) -> None:
        with connect(address) as tab:
            if number % 2:
                tab.send(jpeg)
                tab.recv(20)
            if number % 3 == 0:
                tab.socket.close()

    jpeg = _jpeg()
    for number in range(6):
        visit(number)
    wait_until(lambda: not web.state.sessions.all())
    threads, files = _threads(), len(os.listdir("/proc/self/fd"))
    for number in range(60):
        visit(number)
    wait_until(lambda: not web.state.sessions.all())
    wait_until(lambda: _threads() <= threads)
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= files + 2)


def _threads() -> int:
    """Without the event loop's own pool, which keeps its threads."""
    return sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())


def _jpeg() -> bytes:
    from PIL import Image as PillowImage

    file = io.BytesIO()
    PillowImage.new("RGB", (320, 180)).save(file, "JPEG")
    return file.getvalue()


def test_a_reader_that_does_not_read_is_left_and_holds_nothing_up(pass_through_server: str) -> None:
    with web_application(pass_through_server, WebOptions(port=0), unread_seconds=1.0) as web:
        settings = {"input_stream": "testsrc:1280x720@30", "model_name": "passThrough"}
        id = web.http.post("/api/streams", json=settings).json()["id"]
        stream = web.state.streams.get(id)
        assert stream is not None
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", int(web.url.rpartition(":")[2])))
            deaf.sendall(f"GET /api/streams/{id}/mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_until(lambda: stream.run.preview.followers)
            wait_until(lambda: not stream.run.preview.followers)
        assert web.http.get(f"/api/streams/{id}").json()["frame_rate"] > 5  # the run goes on
