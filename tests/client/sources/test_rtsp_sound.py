"""The sound of RTSP sources in recordings, from GStreamer's server."""

from pathlib import Path

import av
import pytest

from stream_client.frames import Frame
from stream_client.rtsp.sound import EncodedSound, SoundClock
from stream_client.sinks.video_file import FileSink
from stream_client.sources.described_sound import described_track
from stream_client.sources.network import network_source
from stream_client.sources.reconnecting import ReconnectingSource
from tests.support.relay import relay
from tests.support.rtsp_server import PATTERN, RtspServer

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
