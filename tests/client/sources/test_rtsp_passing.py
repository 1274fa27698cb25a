"""RTSP streams of H.264 that are passed on."""

from collections.abc import Iterator

import pytest

from kserve_wire.pictures.decoder import PictureDecoder
from stream_client.frames import Frame
from stream_client.sources.network import network_source
from stream_client.sources.reconnecting import ReconnectingSource
from tests.support.rtsp_server import MJPEG, PATTERN, RtspServer

OUT_OF_BAND = PATTERN.replace("rtph264pay", "rtph264pay config-interval=0")
_REORDERED = PATTERN.replace("tune=zerolatency", "bframes=2 b-adapt=0")
B_FRAMES = _REORDERED.replace("! rtph264pay", "! video/x-h264,profile=main ! rtph264pay")


@pytest.fixture
def rtsp() -> Iterator[RtspServer]:
    with RtspServer(play={"test": PATTERN, "described": OUT_OF_BAND, "reordered": B_FRAMES, "mjpeg": MJPEG}) as server:
        yield server


def passing(url: str) -> ReconnectingSource:
    source = network_source(url)
    source.pass_on()
    return source


def read(source: ReconnectingSource, count: int) -> list[Frame]:
    return [frame for frame in (source.read() for _ in range(count)) if frame is not None]


@pytest.mark.parametrize("name", ["test", "described", "reordered"])
def test_frames_begin_at_a_key_frame_and_each_can_be_decoded(rtsp: RtspServer, name: str) -> None:
    source = passing(rtsp.url(name))
    info = source.open()
    frames = read(source, 20)
    source.close()
    assert (info.live, info.encoded, info.width, info.height, info.codec) == (True, True, 160, 120, "h264")
    decoder = PictureDecoder()
    for frame in frames:
        assert frame.encoded is not None
        picture = decoder.picture(frame.encoded)
        assert picture is not None
        assert picture.shape == frame.image.shape == (120, 160, 3)
        assert picture.any()
    assert frames[0].encoded is not None
    assert frames[0].encoded.units[0].is_key
    assert bool(frames[0].encoded.held) == (name == "reordered")
    assert [frame.index for frame in frames] == list(range(frames[0].index, frames[0].index + 20))
    assert frames[0].timestamp > 1_600_000_000_000_000


def test_a_source_that_comes_back_begins_at_a_key_frame(rtsp: RtspServer) -> None:
    source = passing(rtsp.url("test"))
    source.open()
    decoder = PictureDecoder()
    for frame in read(source, 5):
        assert frame.encoded is not None
        assert decoder.picture(frame.encoded) is not None
    rtsp.kill()
    rtsp.start()
    while (frame := read(source, 1)[0]).index < 10 and source.reconnections == 0:
        pass
    source.close()
    assert source.reconnections == 1
    assert frame.encoded is not None
    assert frame.encoded.units[0].is_key
    assert decoder.picture(frame.encoded) is not None


def test_another_codec_is_decoded(rtsp: RtspServer) -> None:
    source = passing(rtsp.url("mjpeg"))
    info = source.open()
    (frame,) = read(source, 1)
    source.close()
    assert not info.encoded
    assert frame.encoded is None
    assert frame.image.any()
