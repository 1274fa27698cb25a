"""Which sources may pass H.264 on, before they are open."""

import pytest

from stream_client.errors import ConfigurationError
from stream_client.options import RunOptions
from stream_client.pipeline.wire_choice import WireChoice
from stream_client.sources.base import Source
from stream_client.sources.camera import camera_source
from stream_client.sources.file import FileSource
from stream_client.sources.network import network_source

ADDRESSES = [
    "udp://127.0.0.1:5000",
    "rtp://127.0.0.1:5000",
    "srt://127.0.0.1:5000",
    "rtmp://127.0.0.1/live/x",
    "whep://127.0.0.1/live/whep",
    "http://127.0.0.1/x",
    "camera.sdp",
]


@pytest.mark.parametrize("source", [*map(network_source, ADDRESSES), camera_source("0")], ids=[*ADDRESSES, "camera"])
def test_a_source_that_never_has_h264_is_refused_before_it_is_waited_for(source: Source) -> None:
    with pytest.raises(ConfigurationError, match=r"no H\.264 to be passed on"):
        WireChoice("h264", RunOptions(), None).check_source(source)
    WireChoice("auto", RunOptions(), None).check_source(source)


def test_files_and_rtsp_may_have_h264_unless_frames_are_changed() -> None:
    for source in (FileSource("in.mp4"), network_source("rtsp://127.0.0.1/x"), network_source("onvif://127.0.0.1")):
        WireChoice("h264", RunOptions(), None).check_source(source)
        with pytest.raises(ConfigurationError, match="max_side changes pixels"):
            WireChoice("h264", RunOptions(max_side=320), None).check_source(source)
        with pytest.raises(ConfigurationError, match="latency_budget changes pixels"):
            WireChoice("h264", RunOptions(latency_budget=0.025), None).check_source(source)
