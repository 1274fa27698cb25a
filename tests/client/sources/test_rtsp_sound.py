"""The sound of RTSP sources in recordings, from GStreamer's server."""

import subprocess
from pathlib import Path

import av
import pytest

from stream_client.frames import Frame
from stream_client.rtsp.sound import EncodedSound, SoundClock
from stream_client.sinks.video_file import FileSink
from stream_client.sources.described_sound import described_track
from stream_client.sources.network import network_source
from stream_client.sources.reconnecting import ReconnectingSource
from tests.support.claps import Claps, clap_video, in_step
from tests.support.ports import free_port
from tests.support.relay import relay
from tests.support.rtsp_server import PATTERN, RtspServer
from tests.support.waiting import wait_until

IN_STEP = 0.12
"""Seconds between a frame and its sound, at most."""

HUM = "audiotestsrc is-live=1 ! audioconvert ! audioresample ! "
SOUNDS = {
    "aac": HUM + "audio/x-raw,rate=48000,channels=1 ! avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "opus": HUM + "opusenc ! rtpopuspay name=pay1 pt=97",
    "pcma": HUM + "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
}
CAMERAS = {name: PATTERN.removesuffix(")") + sound + " )" for name, sound in SOUNDS.items()}


def sound_in(path: Path) -> tuple[str, float]:
    """Its codec and its length in seconds."""
    with av.open(str(path)) as container:
        codec = container.streams.audio[0].codec_context.codec.canonical_name
        return codec, sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def test_sound_comes_along_unchanged_where_the_container_takes_it(tmp_path: Path) -> None:
    with RtspServer(play=CAMERAS) as server:
        for name, mkv, mp4 in (("aac", "aac", "aac"), ("opus", "opus", "aac"), ("pcma", "aac", "aac")):
            files = tmp_path / f"{name}.mkv", tmp_path / f"{name}.mp4"
            times = relay(network_source(server.url(name)), *map(FileSink, files), limit=60)
            for path, codec in zip(files, (mkv, mp4), strict=True):
                found, seconds = sound_in(path)
                assert found == codec
                assert seconds == pytest.approx(times[-1], abs=0.5)


def test_sound_by_udp_comes_along(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with RtspServer(play=CAMERAS) as server:
        times = relay(network_source(server.url("opus"), rtsp_transport="udp"), FileSink(path), limit=60)
    found, seconds = sound_in(path)
    assert found == "opus"
    assert seconds == pytest.approx(times[-1], abs=0.5)


def test_sound_of_a_description_comes_along_in_step(tmp_path: Path) -> None:
    video, sdp, path = clap_video(tmp_path / "in.mkv", 8), tmp_path / "camera.sdp", tmp_path / "out.mkv"
    # RTP's ports are even, and those of its reports follow.
    first, second = (f"rtp://127.0.0.1:{free_port() & ~1}" for _ in range(2))
    command = ["ffmpeg", "-v", "error", "-re", "-i", str(video), "-c", "copy", "-sdp_file", str(sdp)]
    sending = subprocess.Popen([*command, "-an", "-f", "rtp", first, "-vn", "-c", "copy", "-f", "rtp", second])
    try:
        wait_until(lambda: sdp.exists() and "m=audio" in sdp.read_text())
        relay(network_source(str(sdp)), FileSink(path), limit=90)
    finally:
        sending.kill()
        sending.wait()
    claps = Claps(str(path))
    assert claps.codec == "aac"
    assert in_step(claps, IN_STEP), claps.apart()


def test_sound_goes_on_after_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with RtspServer(play=CAMERAS) as server:
        source = network_source(server.url("aac"))
        times = relay(_Cut(source, server), FileSink(path), limit=90)
    assert source.reconnections == 1
    _, seconds = sound_in(path)
    assert 2.0 < seconds <= times[-1] + 0.5


class _Cut:
    """A source whose server is killed after 40 frames, and started again."""

    def __init__(self, source: ReconnectingSource, server: RtspServer) -> None:
        self.open, self.interrupt, self.close = source.open, source.interrupt, source.close
        self._source, self._server = source, server
        self._count = 0

    def read(self) -> Frame | None:
        self._count += 1
        if self._count == 40:
            self._server.kill()
            self._server.start()
        return self._source.read()


def test_sound_is_placed_by_arrival_and_then_by_the_senders_clock() -> None:
    clock = SoundClock(90_000, 48_000)
    piece = EncodedSound(b"", 48_000)
    assert clock.place(piece, 10.0) is None
    clock.video(180_000, 10.0)
    placed = clock.place(piece, 10.1)
    assert placed is not None
    assert placed.microseconds == 2_100_000
    clock.report(90_000, 7_000_000, sound=False)
    clock.report(48_000, 7_500_000, sound=True)
    placed = clock.place(piece, 99.0)
    assert placed is not None
    assert placed.microseconds == 1_500_000


@pytest.mark.parametrize("parameters", [b"", b"\xff" * 4, bytes(100)])
def test_sound_that_is_described_wrongly_is_left_out(parameters: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert described_track("aac", 48_000, 1, parameters) is None
    assert "the sound is left out" in caplog.text
