"""Publishing to GStreamer's RTSP server, watched by Debian's ffmpeg."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Frame, Result, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.publishing.encoder import EncoderFactory, PyavEncoder
from stream_client.publishing.factory import encoder_factory
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.publisher import PublishingSink
from stream_client.publishing.rtsp import RtspWire, Transport
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.h264 import session_description
from stream_client.sinks.factory import open_sink
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.util.backoff import Backoff
from tests.support.publisher import watch
from tests.support.rtsp_server import RtspServer
from tests.support.scripted_rtsp import ScriptedRtsp
from tests.support.show import Show, assert_similar
from tests.support.video import picture


def rtsp_sink(
    url: str,
    encoder: EncoderFactory = PyavEncoder,
    *,
    timeout: float = 5.0,
    reconnect_timeout: float | None = None,
    backoff: Backoff | None = None,
    contested_delay: float = 30.0,
) -> PublishingSink:
    transport = Transport("show")
    return PublishingSink(
        url,
        lambda: RtspWire(url, transport, timeout=timeout),
        encoder,
        timeout=timeout,
        reconnect_timeout=reconnect_timeout,
        backoff=backoff,
        contested_delay=contested_delay,
    )


class RecordedWire:
    """A wire to nowhere, which keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[PublishedFrame] = []
        self.track: VideoTrack
        self._changed = threading.Condition()

    sound_rule: SoundRule | None = None

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        self.track = track

    def send(self, frame: PublishedFrame) -> int:
        with self._changed:
            self.sent.append(frame)
            self._changed.notify_all()
        return len(frame.data)

    def wait_for(self, index: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.sent and self.sent[-1].index == index, 30)

    def send_sound(self, packet: SoundPacket) -> int:
        raise AssertionError("it has no sound")

    def queued(self) -> int | None:
        return None

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def probe(url: str) -> Any:
    command = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-read_intervals", "%+3"]
    command += ["-show_entries", "stream=codec_name,has_b_frames,pix_fmt:packet=flags,pts_time,dts_time", "-of", "json"]
    return json.loads(subprocess.run(command, capture_output=True, timeout=30, check=True).stdout)


def assert_nothing_publishes() -> None:
    """Leaving the show has closed the sink: its thread ends, far sooner than by its time-out of 300 s."""
    for thread in threading.enumerate():
        if thread.name.startswith("publish"):
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    with RtspServer(publish=["out"]) as server:
        yield server


@pytest.mark.parametrize("encoder", ["pyav", "ffmpeg:libx264"])
def test_a_viewer_sees_h264_that_every_player_takes(rtsp: RtspServer, encoder: str) -> None:
    sink = open_sink(rtsp.url("publish/out"), SinkOptions(encoder=encoder))
    assert isinstance(sink, PublishingSink)
    with Show(sink, picture(20)) as show:
        show.wait_for("connecting", "live")
        seen = watch(rtsp.url("out"), 5, (64, 48))
        assert_similar(seen[-1], picture(20))
        found = probe(rtsp.url("out"))
        stream = found["streams"][0]
        assert (stream["codec_name"], stream["has_b_frames"], stream["pix_fmt"]) == ("h264", 0, "yuv420p")
        packets = [packet for packet in found["packets"] if "pts_time" in packet]
        keys = [float(packet["pts_time"]) for packet in packets if "K" in packet["flags"]]
        assert len(keys) >= 2
        assert [packet["pts_time"] for packet in packets] == [packet["dts_time"] for packet in packets]


def test_frames_that_come_while_the_server_is_away_are_lost_and_the_reason_is_kept() -> None:
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        sink = rtsp_sink(f"rtsp://127.0.0.1:{closed.getsockname()[1]}/out")
        ended: list[tuple[int, bool]] = []
        sink.follow(lambda result, sent: ended.append((result.frame.index, sent)))
        with Show(sink, picture(1)) as show:
            show.wait_for("connecting", "connecting", "connecting")
    output = sink.output()
    assert ended == [(index, False) for index in range(len(ended))]
    assert (output.sent, output.skipped, output.lost) == (0, 0, len(ended))
    assert (output.problem() or "").startswith("took no frame: connection refused; is the server running?")


def test_every_frame_ends_once_as_sent_or_skipped(rtsp: RtspServer) -> None:
    sink = rtsp_sink(rtsp.url("publish/out"))
    ended: list[tuple[int, bool]] = []
    sink.follow(lambda result, sent: ended.append((result.frame.index, sent)))
    with Show(sink, picture(20)) as show:
        show.wait_for("live")
        watch(rtsp.url("out"), 5, (64, 48))
    output = sink.output()
    assert [index for index, _ in ended] == list(range(len(ended)))
    assert output.sent == sum(sent for _, sent in ended) > 5
    assert output.sent + output.skipped + output.lost == len(ended)
    assert output.problem() is None


def test_the_last_picture_is_repeated_when_nothing_new_comes(rtsp: RtspServer) -> None:
    with Show(rtsp_sink(rtsp.url("publish/out")), picture(20)) as show:
        show.wait_for("live")
        show.image = None
        seen = watch(rtsp.url("out"), 8, (64, 48))
        assert len(seen) == 8
        assert_similar(seen[-1], picture(20))


def test_a_lost_server_is_found_again_and_the_writer_never_waits(rtsp: RtspServer) -> None:
    with Show(rtsp_sink(rtsp.url("publish/out")), picture(20)) as show:
        show.wait_for("live")
        cut: tuple[ConnectionState, ...] = ("live", "lost")
        for count in (1, 2):
            rtsp.kill()
            show.wait_for(*cut * count)
            show.image = picture(20 + 10 * count)
            rtsp.start()
            show.wait_for(*cut * count, "live")
            assert_similar(watch(rtsp.url("out"), 3, (64, 48))[-1], show.image)


def test_pictures_of_another_size_begin_a_new_stream_without_a_loss(rtsp: RtspServer) -> None:
    with Show(rtsp_sink(rtsp.url("publish/out")), picture(20)) as show:
        show.wait_for("live")
        show.image = picture(30, 97, 63)
        show.wait_for("live", "live")
        assert_similar(watch(rtsp.url("out"), 3, (98, 64))[-1][:63, :97], show.image)
        assert "lost" not in show.states


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_credentials_let_in_or_end_the_run_and_are_shown_nowhere(auth: str) -> None:
    with RtspServer(publish=["out"], credentials=("me", "p@ss/w"), auth=auth) as server:
        good = rtsp_sink(server.url("publish/out", "me:p%40ss%2Fw"))
        assert good.name == f"rtsp://***@127.0.0.1:{server.port}/publish/out"
        with Show(good, picture(20)) as show:
            show.wait_for("live")
        for user in ("me:geheim", ""):
            with Show(rtsp_sink(server.url("publish/out", user)), picture(20)) as show:
                assert isinstance(show.failure(), SinkError)
                assert "refuses the credentials" in str(show.error)
                assert "geheim" not in str(show.error)


def test_tls_checks_the_servers_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    with RtspServer(publish=["out"], certificate=both) as server:
        url = server.url("publish/out").replace("rtsp:", "rtsps:")
        with Show(rtsp_sink(url), picture(20)) as show:
            assert "certificate is not trusted" in str(show.failure())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Show(rtsp_sink(url), picture(20)) as show:
            show.wait_for("live")
    with RtspServer(publish=["out"]) as plain:
        url = plain.url("publish/out").replace("rtsp:", "rtsps:")
        with Show(rtsp_sink(url, timeout=2), picture(20)) as show:
            assert "TLS handshake failed" in str(show.failure())


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    server = RtspServer(publish=["out"])
    with Show(rtsp_sink(server.url("publish/out")), picture(20)) as show:
        show.wait_for("connecting", "connecting")
        with server:
            show.wait_for("connecting", "live")


def test_a_server_is_given_up_after_the_reconnect_timeout() -> None:
    server = RtspServer(publish=["out"])
    sink = rtsp_sink(server.url("publish/out"), reconnect_timeout=0.1)
    with Show(sink, picture(20)) as show:
        show.failure()
        assert "connection refused" in str(show.error)


def test_no_attempt_to_find_a_lost_server_lasts_longer_than_the_reconnect_timeout(rtsp: RtspServer) -> None:
    sink = rtsp_sink(rtsp.url("publish/out"), timeout=300, reconnect_timeout=0.3)
    with Show(sink, picture(20)) as show:
        show.wait_for("live")
        rtsp.kill()
        with socket.create_server(("127.0.0.1", rtsp.port)):
            show.failure()
            assert "did not answer within 0.3 s" in str(show.error)


@pytest.mark.parametrize("encoder", ["pyav", "ffmpeg"])
def test_closing_does_not_wait_for_a_server_that_fell_silent(rtsp: RtspServer, encoder: str) -> None:
    sink = rtsp_sink(rtsp.url("publish/out"), encoder_factory(SinkOptions(encoder=encoder)), timeout=300)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    with Show(sink, noise) as show:
        show.wait_for("live")
        rtsp.freeze()
        time.sleep(0.5)
    assert_nothing_publishes()


def test_closing_does_not_wait_for_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Show(rtsp_sink(f"rtsp://127.0.0.1:{port}/x", timeout=300), picture(20)) as show:
            show.wait_for("connecting")
    assert_nothing_publishes()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak RTSP"),
        (b"RTSP/1.0 400 Bad Request\r\n\r\n", "somebody publishes there already"),
        (b"RTSP/1.0 404 Not Found\r\n\r\n", "404 Not Found: the server has no such path"),
        (b"RTSP/1.0 453 Not Enough Bandwidth\r\n\r\n", "no room for another stream"),
        (b"RTSP/1.0 503 Service Unavailable\r\n\r\n", "is overloaded"),
    ],
)
def test_what_the_server_says_is_one_line_of_the_log(
    answer: bytes, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = rtsp_sink(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x")
        with Show(sink, picture(20)) as show:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(answer)
            connection.close()
            show.wait_for("connecting", "connecting")
    assert [record.message for record in caplog.records if text in record.message]


def test_the_back_off_is_kept_for_a_server_that_takes_a_stream_and_closes_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backoff = Backoff(first=0.001, longest=0.002)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = rtsp_sink(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x", backoff=backoff, contested_delay=0.002)
        with Show(sink, picture(20)) as show:
            for _ in range(9):
                connection, _ = listener.accept()
                with connection:
                    for sequence in range(1, 4):  # ANNOUNCE, SETUP, RECORD
                        connection.recv(4096)
                        connection.sendall(b"RTSP/1.0 200 OK\r\nCSeq: %d\r\nSession: 1\r\n\r\n" % sequence)
            cut: tuple[ConnectionState, ...] = ("live", "lost")
            show.wait_for(*cut * 9)
    assert backoff.attempt == 2  # then somebody else takes the path, as it seems
    losses = [record.message for record in caplog.records if " lost" in record.message]
    assert [message.partition(": ")[0].partition("/x ")[2] for message in losses] == [
        "lost",
        *(f"lost ({count} times in a row)" for count in (2, 3, 4, 8)),
    ]
    assert "another publisher takes this path" not in losses[1]
    assert "another publisher takes this path" in losses[2]


def test_a_server_that_takes_only_udp_gets_udp_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with RtspServer(publish=["out"], udp_only=True) as server, Show(rtsp_sink(server.url("publish/out"))) as show:
        show.wait_for("live")
        assert_similar(watch(server.url("out"), 3, (64, 48), transport="udp")[-1], picture(20))
        server.kill()
        show.wait_for("live", "lost")
        server.start()
        show.wait_for("live", "lost", "live")
    assert sum("so it is sent by UDP" in message for message in caplog.messages) == 1


def test_a_server_that_takes_no_streams_at_all_is_named(caplog: pytest.LogCaptureFixture) -> None:
    refused = {"ANNOUNCE": "400 Bad Request"}
    server = ScriptedRtsp("", b"", refused=refused, public="OPTIONS, DESCRIBE, SETUP, PLAY")
    with server, Show(rtsp_sink(server.url)) as show:
        show.wait_for("connecting", "connecting")
    assert "the server takes no streams at this path" in caplog.text


def test_times_rate_and_capture_time_are_the_sources() -> None:
    """A relay's frames come when they come; on the wire they have the times that the source gave them."""
    wire = RecordedWire()
    sink = PublishingSink("show", lambda: wire, PyavEncoder)
    sink.open(StreamInfo("show", 64, 48, Fraction(25), live=True))
    for index in range(6):
        frame = Frame(index, index, picture(index), time.monotonic(), capture_time=1_000_000 + 40_000 * index)
        sink.write(Result(frame, picture(index), time=5.0 + index / 25))
        wire.wait_for(index)
    sink.close()
    packets = [(frame.index, frame.time, frame.wall_clock) for frame in wire.sent]
    times = {index: ticks for index, ticks, _ in reversed(packets)}
    assert [times[index] - times[0] for index in range(6)] == [3600 * index for index in range(6)]
    walls = {index: wall for index, _, wall in reversed(packets)}
    assert [walls[index] - walls[0] for index in range(6)] == pytest.approx([index / 25 for index in range(6)])
    assert wire.track.frame_rate == 25
    assert "a=framerate:25\r\n" in session_description((b"\x67abc", b"\x68"), "x", wire.track.frame_rate)


def test_an_encoder_that_ffmpeg_lacks_ends_the_run_with_its_words(rtsp: RtspServer) -> None:
    sink = open_sink(rtsp.url("publish/out"), SinkOptions(encoder="ffmpeg:h264_nonsense"))
    assert isinstance(sink, PublishingSink)
    with Show(sink, picture(20)) as show:
        show.failure()
        assert "ffmpeg cannot encode with h264_nonsense: Unknown encoder" in str(show.error)


def test_an_unknown_kind_of_encoder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'gstreamer' is no encoder.*\(encoder.*\)$"):
        open_sink("rtsp://host/x", SinkOptions(encoder="gstreamer"))
