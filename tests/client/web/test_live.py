"""Live sessions over the websocket, without a browser."""

import gc
import io
import json
import re
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from stream_client.errors import ConfigurationError
from stream_client.web.options import WebOptions
from tests.support.graph_server import KilledServer
from tests.support.waiting import wait_until
from tests.support.web_application import Application, web_application

JPEG, KEY, DELTA = 1, 2, 3
needs_aiortc = pytest.mark.skipif(sys.version_info < (3, 11), reason="aiortc begins with Python 3.11")
PASS_THROUGH = {"model_name": "passThrough"}


@pytest.fixture
def application(pass_through_server: str) -> Iterator[Application]:
    with web_application(pass_through_server, WebOptions(port=0, max_sessions=2)) as started:
        yield started


@pytest.fixture
def live(application: Application) -> Iterator[ClientConnection]:
    """A session with the graph that gives the frame back."""
    with open_session(application) as socket:
        socket.send(json.dumps(PASS_THROUGH))
        assert texts(socket, "settings")["settings"]["model_name"] == "passThrough"
        yield socket
    wait_until(lambda: not application.state.sessions.all())


def open_session(application: Application) -> ClientConnection:
    return connect(application.url.replace("http", "ws") + "/ws/live")


def texts(socket: ClientConnection, wanted: str) -> dict[str, Any]:
    """The next text message that has this key."""
    while True:
        message = socket.recv(10)
        if isinstance(message, str) and wanted in (value := json.loads(message)):
            assert isinstance(value, dict)
            return value


def frame(kind: int, number: int, data: bytes, captured: float = 1.7e12) -> bytes:
    return struct.pack("<BxxxId", kind, number, captured) + data


def jpeg(width: int = 160, height: int = 120, gray: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), gray, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def h264(count: int) -> list[bytes]:
    """Access units of 160x120, the first a key frame."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
    encoder.time_base, encoder.options = Fraction(1, 30), {"tune": "zerolatency", "preset": "ultrafast"}
    images = (np.full((120, 160, 3), 40 + 10 * index, np.uint8) for index in range(count))
    frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in images]
    return [bytes(packet) for each in frames for packet in encoder.encode(each)]


def results(socket: ClientConnection, last: int) -> list[tuple[dict[str, Any], bytes]]:
    """Heads and bodies of results, to the one of frame ``last``."""
    found: list[tuple[dict[str, Any], bytes]] = []
    while not found or found[-1][0]["number"] != last:
        message = socket.recv(10)
        if isinstance(message, bytes):
            (length,) = struct.unpack_from("<I", message)
            found.append((json.loads(message[4 : 4 + length]), message[4 + -(-length // 4) * 4 :]))
    return found


def send_all(socket: ClientConnection, messages: list[bytes]) -> None:
    for message in messages:
        socket.send(message)
        time.sleep(0.03)


def test_a_result_names_its_frame_and_when_that_was_captured(live: ClientConnection) -> None:
    send_all(live, [frame(JPEG, number, jpeg(), 1e12 + number) for number in range(7, 17)])
    found = results(live, 16)
    numbers = [head["number"] for head, _ in found]
    assert numbers == sorted(set(numbers))
    for head, body in found:
        assert head["captured"] == 1e12 + head["number"]
        assert head["size"] == [160, 120]
        assert head["persons"] == []
        assert body == b""


def test_a_frame_that_comes_before_the_pipeline_is_there_is_answered(live: ClientConnection) -> None:
    live.send(frame(JPEG, 1, jpeg()))
    assert [head["number"] for head, _ in results(live, 1)] == [1]


def test_h264_is_decoded_from_a_key_frame_on(live: ClientConnection) -> None:
    units = h264(8)
    live.send(frame(DELTA, 0, units[1]))
    assert texts(live, "key_frame")
    send_all(live, [frame(KEY if index == 0 else DELTA, index + 1, unit) for index, unit in enumerate(units)])
    live.send(json.dumps({**PASS_THROUGH, "video": True}))
    texts(live, "settings")
    live.send(frame(KEY, 20, h264(1)[0]))
    head, body = results(live, 20)[-1]
    assert head["jpeg"] is True
    with Image.open(io.BytesIO(body)) as image:
        assert image.size == (160, 120)
        assert np.asarray(image).mean() == pytest.approx(40, abs=8)


def test_after_a_lost_frame_of_h264_a_key_frame_is_wanted(live: ClientConnection) -> None:
    units = h264(3)
    send_all(live, [frame(KEY, 1, units[0]), frame(DELTA, 3, units[2])])
    assert texts(live, "key_frame")
    live.send(frame(KEY, 4, units[0]))
    assert results(live, 4)


@needs_aiortc
@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ("v=0", "one data channel, one video to receive, or both"),
        ("m=application 9\r\nm=audio 9", "one data channel, one video to receive, or both"),
        ("m=video 9\r\nm=video 9", "one data channel, one video to receive, or both"),
        ("m=application 9\r\nm=video 9", "cannot be read"),
        ("m=application 9 nothing\r\na=fingerprint:x", "cannot be read"),
    ],
)
def test_what_is_no_offer_of_webrtc_is_refused(live: ClientConnection, offer: str, reason: str) -> None:
    live.send(json.dumps({"offer": offer}))
    assert reason in str(texts(live, "refused")["refused"])
    live.send(frame(JPEG, 2, jpeg()))
    assert results(live, 2)


@pytest.mark.parametrize("server", ["http://example.org", "turn:user:secret@example.org:3478"])
def test_an_ice_server_is_a_url_without_a_password(server: str) -> None:
    with pytest.raises(ConfigurationError, match=r"stun:HOST:PORT") as refused:
        WebOptions(ice_server=(server,))
    assert "secret" not in refused.value.message


def test_another_drawing_takes_over_without_losing_what_is_under_way(live: ClientConnection) -> None:
    send_all(live, [frame(JPEG, number, jpeg()) for number in range(10)])
    live.send(json.dumps({**PASS_THROUGH, "video": True}))
    send_all(live, [frame(JPEG, number, jpeg()) for number in range(10, 30)])
    found = results(live, 29)
    drawn = [head["jpeg"] for head, _ in found]
    assert True in drawn
    assert False in drawn
    assert len(found) > 20


def test_settings_that_change_fast_leave_two_pipelines_at_most_while_the_server_hangs() -> None:
    def clients() -> int:
        return sum(thread.name == "source" for thread in threading.enumerate())

    before, server = clients(), KilledServer()
    try:
        with web_application(server.address) as application:
            with open_session(application) as socket:
                socket.send(json.dumps(PASS_THROUGH))
                texts(socket, "settings")
                socket.send(frame(JPEG, 0, jpeg()))
                results(socket, 0)
                server.signal(signal.SIGSTOP)
                for number in range(1, 30):
                    socket.send(json.dumps({**PASS_THROUGH, "video": number % 2 == 0}))
                    socket.send(frame(JPEG, number, jpeg()))
                    time.sleep(0.03)
                assert clients() - before <= 2
            wait_until(lambda: not application.state.sessions.all())
            wait_until(lambda: clients() == before)
    finally:
        server.signal(signal.SIGCONT)
        server.kill()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"short", "head of 16 bytes"),
        (frame(9, 1, b"x"), "no known kind"),
        (frame(JPEG, 1, b"x", float("nan")), "no known kind"),
        (frame(JPEG, 1, b"no image"), "not a JPEG or PNG"),
    ],
)
def test_what_is_no_frame_is_refused_and_the_session_goes_on(
    live: ClientConnection, message: bytes, reason: str
) -> None:
    live.send(message)
    assert reason in str(texts(live, "refused")["refused"])
    live.send(frame(JPEG, 2, jpeg()))
    assert results(live, 2)


def test_an_image_of_too_many_pixels_is_not_decoded(live: ClientConnection) -> None:
    live.send(frame(JPEG, 1, jpeg(6000, 4000)))
    assert "too large to decode" in str(texts(live, "refused")["refused"])


@pytest.mark.parametrize(
    "text", ["no json", '{"model_name": 5}', '{"other": 1}', '{"smoothing": -1}', "[" * 4000, "x" * 5000]
)
def test_what_are_no_settings_is_refused(live: ClientConnection, text: str) -> None:
    live.send(text)
    assert "no settings" in str(texts(live, "refused")["refused"])


def test_a_graph_that_is_not_there_is_said_and_another_may_be_chosen(live: ClientConnection) -> None:
    live.send(json.dumps({"model_name": "nothing"}))
    texts(live, "settings")  # a frame that comes before goes to the graph before
    live.send(frame(JPEG, 1, jpeg()))
    assert "no model or graph named 'nothing'" in str(texts(live, "problem")["problem"])
    live.send(json.dumps(PASS_THROUGH))
    texts(live, "settings")
    live.send(frame(JPEG, 2, jpeg()))
    assert results(live, 2)


def test_more_sessions_than_allowed_are_refused_with_the_reason(application: Application) -> None:
    with open_session(application), open_session(application), open_session(application) as third:
        wait_until(lambda: len(application.state.sessions.all()) == 2)
        assert "2 sessions are open" in str(texts(third, "error")["error"])
        with pytest.raises(ConnectionClosed):
            third.recv(10)
    wait_until(lambda: not application.state.sessions.all())


def test_of_many_sessions_none_is_starved(pass_through_server: str) -> None:
    with web_application(pass_through_server, WebOptions(port=0, max_sessions=8)) as application, ExitStack() as stack:
        sockets = [stack.enter_context(open_session(application)) for _ in range(8)]
        for socket in sockets:
            socket.send(json.dumps(PASS_THROUGH))
            texts(socket, "settings")
        for number in range(5):  # all of them wait for each other's frames
            for socket in sockets:
                socket.send(frame(JPEG, number, jpeg()))
            for socket in sockets:
                assert results(socket, number)
        counts = [session.counts["answered"] for session in application.state.sessions.all()]
        assert counts == [5] * 8


def test_a_number_that_came_before_is_left_out(live: ClientConnection) -> None:
    send_all(live, [frame(JPEG, number, jpeg()) for number in (5, 5, 4, 5, 6, 6, 7)])
    assert {head["number"] for head, _ in results(live, 7)} <= {5, 6, 7}
    assert texts(live, "counts")["counts"]["refused"] == 4


def test_counts_and_verdict_come_each_second(live: ClientConnection) -> None:
    send_all(live, [frame(JPEG, number, jpeg()) for number in range(10)])
    status = texts(live, "counts")
    assert status["counts"]["received"] == 10
    assert status["server"] == "live"


def test_sessions_that_are_opened_and_cut_leave_nothing(application: Application) -> None:
    for number in range(20):
        with open_session(application) as socket:
            socket.send(json.dumps(PASS_THROUGH))
            socket.send(frame(JPEG, number, jpeg()))
        wait_until(lambda: not application.state.sessions.all())


def test_a_session_frees_its_memory_and_its_decoder_without_the_garbage_collector(application: Application) -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    def memory() -> set[str]:
        """The files in shared memory of this process, also of other tests."""
        return set(re.findall(r"ovms-stream-client-\w+", Path("/proc/self/maps").read_text()))

    gc.collect()
    gc.disable()
    try:
        before, others = threads(), memory()
        for _ in range(3):
            with open_session(application) as socket:
                socket.send(json.dumps(PASS_THROUGH))
                texts(socket, "settings")
                units = h264(4)  # larger frames go through shared memory
                send_all(socket, [frame(DELTA if number else KEY, number, unit) for number, unit in enumerate(units)])
                send_all(socket, [frame(JPEG, number, jpeg(640, 480)) for number in range(4, 10)])
                results(socket, 9)
                assert memory() - others
            wait_until(lambda: not application.state.sessions.all())
        wait_until(lambda: not memory() - others)
        wait_until(lambda: threads() <= before + 2)  # of gRPC and of asyncio, which keep some
    finally:
        gc.enable()
