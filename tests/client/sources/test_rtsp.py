"""RTSP sources against GStreamer's server."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stream_client.errors import (
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceTlsError,
)
from stream_client.frames import Color, Frame
from stream_client.monitoring.observer import ConnectionState
from stream_client.publishing.encoder import PyavEncoder
from stream_client.publishing.wire import VideoTrack
from stream_client.rtsp.h264 import RtpPacketiser, parameter_sets, session_description, split_access_unit
from stream_client.rtsp.messages import interleaved
from stream_client.sources.base import Source
from stream_client.sources.live import LiveSource
from stream_client.sources.network import network_connection, network_source
from stream_client.sources.options import RtspTransport
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.util.backoff import Backoff
from stream_client.util.color import written_color
from stream_client.util.media import ImageShape
from stream_client.util.urls import CREDENTIALS_VARIABLE
from tests.support.ports import free_port
from tests.support.publisher import Publisher
from tests.support.rtsp_server import MJPEG, PATTERN, SOUND_ONLY, UNKNOWN_CODEC, RtspServer
from tests.support.scripted_rtsp import ScriptedRtsp

USER, PASSWORD = "me", "p@ss/w"
TRACK = VideoTrack(ImageShape(160, 120, Fraction(1), written_color(Color(), 160, 120)), Fraction(30))


@pytest.fixture(scope="module")
def rtsp() -> Iterator[RtspServer]:
    with RtspServer(
        play={
            "test": PATTERN,
            "sound": SOUND_ONLY,
            "odd": UNKNOWN_CODEC,
            "mjpeg": MJPEG,
            "mjpeg2": MJPEG,
            "mjpeg3": MJPEG,
        }
    ) as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[RtspServer]:
    with RtspServer(play={"test": PATTERN}, credentials=(USER, PASSWORD)) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a peer that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def read(source: ReconnectingSource, count: int) -> list[Frame]:
    frames = [source.read() for _ in range(count)]
    return [frame for frame in frames if frame is not None]


def read_to_the_end(source: Source) -> None:
    while source.read() is not None:
        pass


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_come_with_the_streams_own_times(rtsp: RtspServer, transport: str) -> None:
    source = network_source(rtsp.url("test"), rtsp_transport=transport)  # type: ignore[arg-type]
    info = source.open()
    frames = read(source, 20)
    source.close()
    assert (info.live, info.width, info.height, info.frame_rate) == (True, 160, 120, 30)
    assert all(frame.image.shape == (120, 160, 3) for frame in frames)
    steps = [(after.timestamp - before.timestamp) for before, after in pairwise(frames)]
    # Multiples of a thirtieth of a second, whatever the machine was busy with.
    assert all(abs(step / 33_333 - round(step / 33_333)) < 0.05 and step > 0 for step in steps)
    assert frames[0].timestamp > 1_600_000_000_000_000


def test_a_slow_reader_gets_the_newest_frames_and_sees_the_gap(rtsp: RtspServer) -> None:
    source = network_source(rtsp.url("test"))
    source.open()
    before = read(source, 5)[-1]
    time.sleep(0.5)
    after = read(source, 3)
    source.close()
    assert after[0].index > before.index + LiveSource.BUFFERED
    assert [frame.index for frame in after] == sorted({frame.index for frame in after})


@pytest.mark.parametrize("path", ["mjpeg", "mjpeg2", "mjpeg3"])
def test_a_codec_that_only_ffmpeg_reads_opens_at_once(rtsp: RtspServer, path: str) -> None:
    source = network_source(rtsp.url(path), timeout=20, reconnect_timeout=0)
    try:
        assert source.open().codec == "mjpeg"
        frame = source.read()
        assert frame is not None
        assert frame.image.shape == (120, 160, 3)
    finally:
        source.close()


def test_refusals_are_told_apart_in_one_line_each(rtsp: RtspServer, guarded: RtspServer) -> None:
    wrong = guarded.url("test", "me:geheim")
    cases: list[tuple[str, type[SourceError], str]] = [
        (rtsp.url("nothing"), SourceNotFoundError, "nobody publishes there"),
        (rtsp.url("sound"), SourceCodecError, "no video track, only audio"),
        (rtsp.url("odd"), SourceCodecError, "no video"),
        (guarded.url("test"), SourceAuthenticationError, "refuses the credentials"),
        (wrong, SourceAuthenticationError, "refuses the credentials"),
        (rtsp.url("test").replace("rtsp:", "rtsps:"), SourceTlsError, "TLS handshake failed"),
        (f"rtsp://127.0.0.1:{free_port()}/test", SourceError, "connection refused"),
    ]
    for url, kind, text in cases:
        source = network_source(url, timeout=20, reconnect_timeout=0)
        with pytest.raises(kind, match=text) as caught:
            source.open()
        source.close()
        assert "\n" not in str(caught.value)
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("spelling", ["me:p%40ss%2Fw", "me:p%40ss/w"])
def test_credentials_of_the_url_let_in_and_are_shown_nowhere(guarded: RtspServer, spelling: str) -> None:
    source = network_source(guarded.url("test", spelling))
    info = source.open()
    frames = read(source, 2)
    names = [thread.name for thread in threading.enumerate()]
    source.close()
    assert len(frames) == 2
    assert info.name == f"rtsp://***@127.0.0.1:{guarded.port}/test"
    assert not any("ss" in name and "w@" in name for name in names)


def test_credentials_of_the_environment_let_in(guarded: RtspServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CREDENTIALS_VARIABLE, guarded.url("", "me:p%40ss%2Fw"))
    source = network_source(guarded.url("test"))
    source.open()
    assert len(read(source, 2)) == 2
    source.close()


def test_basic_authentication_is_spoken_too() -> None:
    with RtspServer(play={"test": PATTERN}, credentials=(USER, PASSWORD), auth="basic") as server:
        source = network_source(server.url("test", "me:p%40ss%2Fw"))
        source.open()
        source.close()


def test_a_silent_peer_is_a_time_out(silent: int) -> None:
    source = network_source(f"rtsp://127.0.0.1:{silent}/x", timeout=0.5, reconnect_timeout=0)
    with pytest.raises(SourceTimeoutError, match=r"within 0\.5 s"):
        source.open()
    source.close()


def test_no_attempt_to_find_a_lost_source_lasts_longer_than_the_reconnect_timeout() -> None:
    with RtspServer(play={"test": PATTERN}) as server:
        source = network_source(server.url("test"), timeout=300, reconnect_timeout=0.5)
        source.open()
        server.kill()
        with socket.create_server(("127.0.0.1", server.port)), pytest.raises(SourceTimeoutError, match="no frame"):
            read_to_the_end(source)
        source.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_peer_that_falls_silent_is_a_time_out(transport: RtspTransport) -> None:
    with RtspServer(play={"test": PATTERN}) as server:
        source = network_connection(server.url("test"), rtsp_transport=transport, timeout=2.5)
        source.open()
        source.read()
        server.freeze()
        with pytest.raises(SourceTimeoutError):
            read_to_the_end(source)
        source.close()


@pytest.mark.parametrize(
    ("state", "transport"), [("connecting", "tcp"), ("live", "tcp"), ("live", "udp"), ("lost", "tcp")]
)
def test_a_stop_is_obeyed_in_every_state_however_silent_the_peer(
    silent: int, state: str, transport: RtspTransport
) -> None:
    with RtspServer(play={"test": PATTERN}) as server:
        url = f"rtsp://127.0.0.1:{silent}/x" if state == "connecting" else server.url("test")
        source = network_source(url, rtsp_transport=transport, timeout=300)
        ended = threading.Event()
        messages: list[str] = []

        def run() -> None:
            try:
                source.open()
                read_to_the_end(source)
            except SourceError as error:
                messages.append(str(error))
            finally:
                source.close()
                ended.set()

        reached, live = threading.Event(), threading.Event()

        def watch(now: ConnectionState) -> None:
            if now == "live":
                live.set()
            if now == state:
                reached.set()

        source.watch(watch)
        thread = threading.Thread(target=run)
        thread.start()
        if state == "lost":
            assert live.wait(20)
            server.kill()
        assert reached.wait(20)
        if state == "live":
            server.freeze()
        source.interrupt()
        # Far below FFmpeg's own time-out of 300 s, which is all that this is about.
        assert ended.wait(30)
        thread.join()
        assert all("stopped" in message for message in messages)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_source_that_goes_away_comes_back_with_rising_times_and_counts(transport: RtspTransport) -> None:
    states: list[ConnectionState] = []
    with RtspServer(play={"test": PATTERN}) as server:
        source = network_source(server.url("test"), rtsp_transport=transport, timeout=5)
        source.watch(states.append)
        source.open()
        frames = read(source, 3)
        for _ in range(2):
            server.kill()
            restart = threading.Timer(0.3, server.start)
            restart.start()
            before = source.reconnections
            while source.reconnections == before:
                frames += read(source, 1)
            restart.join()
        frames += read(source, 3)
        source.close()
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    timestamps = [frame.timestamp for frame in frames]
    assert timestamps == sorted(set(timestamps))
    assert source.reconnections == 2
    assert states[:3] == ["connecting", "live", "lost"]
    assert states.count("lost") == 2
    assert states[-1] == "live"


def test_a_source_that_nobody_publishes_yet_is_waited_for(tmp_path: Path) -> None:
    with RtspServer(publish=["cam"]) as server:
        publisher = Publisher(server.url("publish/cam"), ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=30"])
        refused = threading.Event()
        source = network_source(server.url("cam"), timeout=10)
        states: list[ConnectionState] = []

        def watch(state: ConnectionState) -> None:
            states.append(state)
            if states.count("connecting") == 2:
                refused.set()

        source.watch(watch)
        opening = threading.Thread(target=source.open)
        opening.start()
        assert refused.wait(20)
        with publisher:
            opening.join()
            assert np.ptp(read(source, 1)[0].image) > 100
            source.close()


def test_video_in_an_unknown_codec_is_told_from_no_video() -> None:
    description = (
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 NEVERMADE/90000\r\n"
    )
    packet = bytes([0x80, 0xE0, 0, 1]) + bytes(8) + b"data"
    with ScriptedRtsp(description, interleaved(0, packet)) as server:
        source = network_source(server.url, timeout=2, reconnect_timeout=0)
        with pytest.raises(SourceCodecError, match="codec that FFmpeg cannot decode"):
            source.open()
        source.close()


class Recording:
    """A description and the packets of some pictures, 160x120, each of another gray."""

    def __init__(self, pictures: int) -> None:
        encoder, packetiser = PyavEncoder(TRACK), RtpPacketiser()
        self.pictures: list[bytes] = []
        for number in range(pictures):
            image = np.full((120, 160, 3), 40 * number + 20, np.uint8)
            units = split_access_unit(encoder.encode(image, 3000 * number)[0])
            if not number:
                sets = parameter_sets(units)
                assert sets is not None
                self.description = session_description(sets, "recording")
            self.pictures.append(b"".join(interleaved(0, data) for data in packetiser.packets(units, 3000 * number)))


def greys(source: Source, count: int) -> list[int]:
    """The pictures' greys, in tens."""
    frames = [source.read() for _ in range(count)]
    return [round(frame.image.mean() / 10) * 10 for frame in frames if frame is not None]


def test_a_picture_is_there_before_the_next_one_is_sent() -> None:
    recording = Recording(1)
    with ScriptedRtsp(recording.description, recording.pictures[0]) as server:
        source = network_connection(server.url, timeout=20)
        info = source.open()
        assert (info.codec, info.width, info.height, source.finite) == ("h264", 160, 120, False)
        assert greys(source, 1) == [20]
        source.close()
    assert server.methods == ["DESCRIBE", "SETUP", "PLAY"]


def test_what_is_no_packet_is_skipped_and_a_good_bye_is_the_end() -> None:
    recording = Recording(2)
    asked = b"OPTIONS rtsp://x RTSP/1.0\r\nCSeq: 7\r\n\r\n"
    report = bytes([0x80, 201, 0, 1]) + bytes(4)
    bye = interleaved(1, report + bytes([0x81, 203, 0, 1]) + bytes(4))
    packets = recording.pictures[0] + interleaved(1, report) + asked + recording.pictures[1] + bye
    with ScriptedRtsp(recording.description, packets) as server:
        source = network_connection(server.url, timeout=20)
        source.open()
        assert greys(source, 3) == [20, 60]
        source.close()
    assert server.methods[-1] == "TEARDOWN"


def test_a_sender_report_gives_frames_the_cameras_own_time() -> None:
    recording = Recording(3)
    first, second, third = recording.pictures
    seconds = 1_700_000_000
    (timestamp,) = struct.unpack_from("!I", second, 8)
    info = struct.pack("!IIIII", seconds + 2_208_988_800, 1 << 31, timestamp, 0, 0)
    report = interleaved(1, bytes([0x80, 200, 0, 6]) + bytes(4) + info)
    with ScriptedRtsp(recording.description, first + report + second + third) as server:
        source = network_connection(server.url, timeout=20)
        source.keep_all()
        source.open()
        times = [frame.capture_time for frame in (source.read() for _ in range(3)) if frame is not None]
        source.close()
    period = 33_333
    assert times == [None, seconds * 1_000_000 + 500_000, seconds * 1_000_000 + 500_000 + period]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_servers_sender_reports_give_its_clock(rtsp: RtspServer, transport: RtspTransport) -> None:
    source = network_source(rtsp.url("test"), rtsp_transport=transport)
    source.open()
    for frame in iter(source.read, None):
        if frame.capture_time is not None:
            break
    now = time.time()
    source.close()
    assert frame.capture_time is not None
    assert 0 <= now - frame.capture_time / 1e6 < 10


def test_a_stream_that_is_entered_between_key_frames_begins_with_the_next_one() -> None:
    early, late = Recording(2), Recording(1)
    with ScriptedRtsp(early.description, early.pictures[1] + late.pictures[0]) as server:
        source = network_connection(server.url, timeout=20)
        source.open()
        assert greys(source, 1) == [20]
        source.close()


@pytest.mark.parametrize("method", ["SETUP", "PLAY"])
def test_a_server_that_we_do_not_get_on_with_is_left_to_ffmpeg(method: str) -> None:
    with ScriptedRtsp(Recording(1).description, b"", refused={method: "461 Unsupported Transport"}) as server:
        source = network_connection(server.url, timeout=2)
        with pytest.raises(SourceError):
            source.open()
        source.close()
    assert server.methods.count("DESCRIBE") == 2
    assert server.methods.count("OPTIONS") == 1  # FFmpeg asks first what it may ask


@pytest.mark.parametrize(("name", "codec"), [("jpeg", "mjpeg"), ("reordered", "h264")])
def test_other_codecs_and_pictures_out_of_order_are_read_as_well(name: str, codec: str) -> None:
    video = "( videotestsrc is-live=1 pattern=ball ! video/x-raw,format=I420,width=160,height=120,framerate=30/1 ! "
    play = {
        "jpeg": video + "jpegenc ! rtpjpegpay name=pay0 pt=26 )",
        "reordered": video + "x264enc bframes=2 b-adapt=0 speed-preset=ultrafast rc-lookahead=0 key-int-max=15 "
        "! rtph264pay name=pay0 pt=96 )",
    }
    with RtspServer(play={name: play[name]}) as server:
        source = network_source(server.url(name), timeout=10)
        info = source.open()
        frames = read(source, 20)
        source.close()
    assert (info.codec, info.frame_rate) == (codec, 30)
    steps = [after.timestamp - before.timestamp for before, after in pairwise(frames)]
    assert all(abs(step / 33_333 - round(step / 33_333)) < 0.05 and step > 0 for step in steps)


def test_wrong_credentials_are_not_tried_for_ever(guarded: RtspServer) -> None:
    attempts = []

    def connect() -> object:
        attempts.append(1)
        return network_connection(guarded.url("test", "me:geheim"), timeout=5)

    source = ReconnectingSource(connect, "guarded")  # type: ignore[arg-type]
    with pytest.raises(SourceAuthenticationError):
        source.open()
    source.close()
    assert len(attempts) == 1


def test_credentials_that_are_refused_after_a_loss_are_believed_after_three_attempts() -> None:
    port = free_port()
    attempts = []
    with RtspServer(play={"test": PATTERN}, port=port) as open_server:

        def connect() -> object:
            attempts.append(1)
            return network_connection(open_server.url("test", "me:geheim"), timeout=5)

        source = ReconnectingSource(connect, "guarded", backoff=Backoff(first=0.01, longest=0.05))  # type: ignore[arg-type]
        source.open()
    with (
        RtspServer(play={"test": PATTERN}, credentials=(USER, PASSWORD), port=port),
        pytest.raises(SourceAuthenticationError),
    ):
        read_to_the_end(source)
    source.close()
    # One that was live, three refused; while no server listened, others found nobody.
    assert len(attempts) >= 4


def test_a_lost_source_is_given_up_after_the_reconnect_timeout() -> None:
    with RtspServer(play={"test": PATTERN}) as server:
        source = network_source(server.url("test"), timeout=5, reconnect_timeout=0.2)
        source.open()
        server.kill()
        with pytest.raises(SourceError, match=r"connection refused|no frame"):
            read_to_the_end(source)
        source.close()
