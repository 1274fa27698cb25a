"""Sound beside what is published: it arrives, in step, and no frame waits for it."""

import io
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client import RunOptions, StreamClient
from stream_client.frames import Color, StreamInfo
from stream_client.publishing.encoder import PyavEncoder
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.mpegts import SOUND_RULE, TransportStream
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.publisher import PublishingSink
from stream_client.publishing.session import Bounds, LineReport, Session
from stream_client.publishing.shared_sound import SoundPool
from stream_client.publishing.sharing import RawFrame, Tap
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.sound import SoundDepacketizer, sound_track
from stream_client.rtsp.sound_packetiser import SoundPacketiser
from stream_client.sinks.factory import open_sink
from stream_client.sinks.video_file import FileSink
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.sources.file import FileSource
from stream_client.testing import echo
from stream_client.util.color import written_color
from stream_client.util.media import ImageShape
from tests.support.claps import Claps, Tones, clap, in_step
from tests.support.ports import free_port
from tests.support.rtmp_server import RtmpServer
from tests.support.rtsp_server import RtspServer
from tests.support.show import Show, result
from tests.support.video import write_video
from tests.support.waiting import wait_until

IN_STEP = 0.12
"""Seconds between a frame and its sound, at most: three frames and a packet of sound."""
TRACK = VideoTrack(ImageShape(64, 48, Fraction(1), written_color(Color(), 64, 48)), Fraction(30))


def sink(name: str, **options: float) -> PublishingSink:
    made = open_sink(name, SinkOptions(**options))  # type: ignore[arg-type]
    assert isinstance(made, PublishingSink)
    return made


def assert_in_step(claps: Claps) -> None:
    assert in_step(claps, IN_STEP), claps.apart()


@pytest.mark.parametrize(("encoder", "codec"), [("aac", "aac"), ("libopus", "opus"), ("pcm_alaw", "pcma")])
def test_sound_is_published_unchanged_by_rtsp_in_step_with_its_frames(encoder: str, codec: str) -> None:
    with RtspServer(publish=[f"out={codec}"]) as server:
        with Show(sink(server.url("publish/out")), clap, Tones(encoder)) as show:
            show.wait_for("live")
            time.sleep(0.5)  # the server says where to watch once it has a frame
            claps = Claps(server.url("out"), options={"rtsp_transport": "tcp"})
        output = show.sink.output()
    assert claps.codec == codec.replace("pcma", "pcm_alaw")
    assert_in_step(claps)
    assert output.sound_sent > 10
    assert output.sound_dropped == 0


def test_an_rtsp_server_that_takes_no_sound_gets_the_frames_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RtspServer(publish=["out"]) as server, Show(sink(server.url("publish/out")), tones=Tones()) as show:
        show.wait_for("connecting", "live")
        server.kill()
        show.wait_for("live", "lost")
        server.start()
        show.wait_for("live", "lost", "live")
    assert sum("only without its sound" in message for message in caplog.messages) == 1


def test_sound_goes_by_udp_where_the_frames_do(caplog: pytest.LogCaptureFixture) -> None:
    with (
        RtspServer(publish=["out=aac"], udp_only=True) as server,
        Show(sink(server.url("publish/out")), clap, Tones()) as show,
    ):
        show.wait_for("live")
        time.sleep(0.5)
        claps = Claps(server.url("out"), options={"rtsp_transport": "udp"})
    assert "so it is sent by UDP" in caplog.text
    assert_in_step(claps)


@pytest.mark.parametrize("encoder", ["aac", "pcm_alaw"])
def test_sound_is_published_by_rtmp_as_aac(tmp_path: Path, encoder: str) -> None:
    with RtmpServer(tmp_path) as server, Show(sink(server.url("live/key")), clap, Tones(encoder)) as show:
        show.wait_for("live")
        claps = Claps(server.url("live/key"))
    assert claps.codec == "aac"
    assert_in_step(claps)


def test_sound_is_sent_by_udp_and_into_an_hls_folder(tmp_path: Path) -> None:
    port, playlist = free_port(), tmp_path / "index.m3u8"
    tones = Tones("libopus")
    with (
        Show(sink(f"udp://127.0.0.1:{port}"), clap, tones) as first,
        Show(sink(str(playlist), hls_time=0.5), clap, Tones("libopus")) as second,
    ):
        first.wait_for("live")
        second.wait_for("live")
        assert_in_step(Claps(f"udp://127.0.0.1:{port}?timeout=9000000"))
        assert_in_step(Claps(str(playlist)))


def test_sound_is_sent_by_srt(tmp_path: Path) -> None:
    port, seen = free_port(), tmp_path / "seen.ts"
    listener = f"srt://127.0.0.1:{port}?mode=listener"
    listening = subprocess.Popen(["ffmpeg", "-v", "error", "-i", listener, "-c", "copy", "-t", "3.5", str(seen)])
    with listening, Show(sink(f"srt://127.0.0.1:{port}"), clap, Tones()):
        assert listening.wait(40) == 0
    assert_in_step(Claps(str(seen)))


class Way:
    """A wire that keeps what is sent, and says what is still on the way."""

    def __init__(self) -> None:
        self.on_the_way = 0
        self.frames: list[PublishedFrame] = []
        self.sounds: list[SoundPacket] = []
        self.format: SoundFormat | None = None
        self.sound_rule: SoundRule | None = SoundRule(frozenset({"aac"}), "aac")

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        self.format = sound

    def send(self, frame: PublishedFrame) -> int:
        self.frames.append(frame)
        return len(frame.data)

    def send_sound(self, packet: SoundPacket) -> int:
        self.sounds.append(packet)
        return len(packet.data)

    def queued(self) -> int | None:
        return self.on_the_way

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def session_on(way: Way, tones: Tones, report: LineReport, pool: SoundPool) -> Session:
    encoders = EncoderPool()

    def tap(track: VideoTrack, limit: int | None) -> Tap:
        return encoders.tap(PyavEncoder, "same", track, limit)

    assert way.sound_rule is not None
    rule = way.sound_rule
    session = Session(tap, way, TRACK, Bounds(), report, pool.tap(tones.track, rule))
    session.begin(shown(30), 1.0)
    return session


def shown(index: int) -> RawFrame:
    return RawFrame(clap(index), index / 30, time.monotonic(), index, 1e9)


def test_sound_begins_with_the_first_frame_follows_it_and_no_frame_waits_for_it() -> None:
    way, tones, report = Way(), Tones(), LineReport()
    session = session_on(way, tones, report, SoundPool())
    tones.play(1.5)
    for index in range(30, 60):
        assert session.send(shown(index))
    assert way.format == tones.track.format
    assert len(way.frames) == 30  # though the sound has stopped
    assert way.sounds[0].time == pytest.approx(1.0, abs=0.022)
    assert way.sounds[-1].time == pytest.approx(1.5, abs=0.022)
    session.close()
    assert report.sound == len(way.sounds)
    assert report.sound_dropped == 0


def test_sound_that_is_read_before_its_frames_come_waits_for_them() -> None:
    way, tones = Way(), Tones()
    output = PublishingSink("way", lambda: way, PyavEncoder)
    output.open(StreamInfo("show", 64, 48, live=True, sound=tones.track))
    tones.play(1.0)  # that is how long the model server takes for the first frame
    for index in range(30):
        output.write(result(clap(index), index))
        wait_until(lambda index=index: output.output().sent > index, pause=0.001)  # type: ignore[misc]
    output.close()
    assert way.sounds[0].time == pytest.approx(way.frames[0].time / 90_000, abs=0.022)
    assert way.sounds[-1].time == pytest.approx(29 / 30, abs=0.044)
    assert output.output().sound_sent == len(way.sounds)


def test_sound_of_a_line_that_takes_nothing_more_is_dropped_and_counted() -> None:
    way, tones, report = Way(), Tones(), LineReport()
    session = session_on(way, tones, report, SoundPool())
    assert session.send(shown(30))
    way.on_the_way = 10_000_000
    time.sleep(0.6)  # longer than frames may wait
    for index in range(31, 60):
        tones.play(index / 30)
        assert not session.send(shown(index))
    assert len(way.frames) == 1
    assert report.sound_dropped > 30
    session.close()


def test_outputs_that_want_the_same_sound_have_it_encoded_once() -> None:
    tones, pool = Tones("libopus"), SoundPool()
    rule = SoundRule(frozenset(), "aac")
    first, second = pool.tap(tones.track, rule), pool.tap(tones.track, rule)
    tones.play(1.0)
    packets = first.take(0.9)
    assert len(packets) > 30
    assert [each.data for each in second.take(0.5)] == [each.data for each in packets if each.time < 0.5]
    first.close()
    second.close()


def test_a_frame_is_whole_in_a_transport_stream_that_waits_for_no_sound() -> None:
    tones = Tones()
    stream, encoder = TransportStream(tones.track.format), PyavEncoder(TRACK)
    data = b""
    for index in range(20):
        ticks = 3000 * index
        for unit in encoder.encode(clap(index), ticks, key=index == 0):
            data += stream.mux(PublishedFrame(unit, ticks, index == 0, 0.0, index, 0.0))
            assert len(data) % 188 == 0
    with av.open(io.BytesIO(data), "r", format="mpegts") as container:
        assert [each.type for each in container.streams] == ["video", "audio"]
        assert [frame.to_ndarray(format="gray").mean() > 128 for frame in container.decode(video=0)] == [
            bool(clap(index).any()) for index in range(20)
        ]


@pytest.mark.parametrize("size", [1, 100, 182, 183, 184, 400, 3000])
def test_sound_of_every_size_comes_back_from_a_transport_stream(size: int) -> None:
    tones = Tones("aac")
    stream = TransportStream(tones.track.format)
    encoder = PyavEncoder(TRACK)
    [unit] = encoder.encode(clap(0), 0, key=True)
    sound = np.random.default_rng(size).bytes(size)
    data = stream.mux(PublishedFrame(unit, 0, True, 0.0, 0, 0.0))
    data += stream.mux_sound(SoundPacket(sound, 1.5, 0.02)) + stream.mux_sound(SoundPacket(b"end", 1.6, 0.02))
    with av.open(io.BytesIO(data), "r", format="mpegts") as container:
        [packet, *_] = [packet for packet in container.demux(audio=0) if packet.size]
    assert bytes(packet)[7:] == sound  # behind ADTS
    assert packet.pts == 135_000 + 9000  # the stream's clock is behind its frames
    assert tones.track.format.codec in SOUND_RULE.unchanged


@pytest.mark.parametrize("size", [10, 1396, 1397, 5000])
@pytest.mark.parametrize("codec", ["aac", "opus", "pcm_alaw"])
def test_packets_of_rtp_come_back_as_the_sound_that_they_were(codec: str, size: int) -> None:
    made = SoundPacketiser(codec, 8000 if codec == "pcm_alaw" else 48_000, 1, b"\x11\x88")
    track = sound_track("\r\n".join(["v=0", *made.description()]), "rtsp://host/x")
    assert track is not None
    assert (track.codec, track.control) == (codec, "rtsp://host/x/streamid=1")
    assert track.parameters == (b"\x11\x88" if codec == "aac" else b"")
    assert track.payload_type == (8 if codec == "pcm_alaw" else 97)
    depacketizer, sound = SoundDepacketizer(track), np.random.default_rng(size).bytes(size)
    pieces = [piece for packet in made.packets(sound, 1.0) for piece in depacketizer.take(packet)]
    assert b"".join(piece.data for piece in pieces) == sound
    assert codec == "pcm_alaw" or len(pieces) == 1


def test_without_audio_no_output_has_sound(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", audio="aac")
    for audio in (True, False):
        path = tmp_path / f"{audio}.mp4"
        StreamClient(FileSource(source), FileSink(path), echo, options=RunOptions(audio=audio)).run()
        with av.open(str(path)) as container:
            assert bool(container.streams.audio) == audio
