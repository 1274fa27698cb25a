"""When an output's frames are shrunk and when they grow again, from numbers alone; and a viewer behind a thin line."""

import av
import av.error
import numpy as np
import pytest

from stream_client.errors import ConfigurationError
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.publisher import PublishingSink
from stream_client.publishing.shrinking import Shrinking
from stream_client.sinks.factory import open_sink
from tests.support.narrow_link import NarrowLink
from tests.support.rtsp_server import RtspServer
from tests.support.show import Show
from tests.support.waiting import wait_until

WANTED = 1_000_000.0


def test_frames_shrink_only_where_little_is_left_of_what_they_want_and_step_by_step() -> None:
    shrinking = Shrinking("size")
    shrinking.update(0.0, limit=300_000, wanted=WANTED)
    assert shrinking.side(1280) == 1280
    shrinking.update(1.0, limit=200_000, wanted=WANTED)
    assert shrinking.side(1280) == 640
    shrinking.update(1.5, limit=50_000, wanted=400_000.0)
    assert shrinking.side(1280) == 640  # what those want is not known yet
    shrinking.update(10.0, limit=50_000, wanted=400_000.0)
    assert shrinking.side(1280) == 320
    shrinking.update(20.0, limit=50_000, wanted=WANTED)
    assert shrinking.side(1280) == 320


def test_frames_grow_once_nothing_has_limited_them_for_long_and_later_where_that_did_not_last() -> None:
    shrinking = Shrinking("rate")
    shrinking.update(0.0, limit=100_000, wanted=WANTED)
    assert shrinking.parts == 2
    shrinking.update(10.0, limit=None, wanted=WANTED)
    shrinking.update(29.0, limit=None, wanted=WANTED)
    assert shrinking.parts == 2
    shrinking.update(30.0, limit=None, wanted=WANTED)
    assert shrinking.parts == 1
    shrinking.update(32.0, limit=100_000, wanted=WANTED)
    assert shrinking.parts == 2
    shrinking.update(40.0, limit=None, wanted=WANTED)
    shrinking.update(79.0, limit=None, wanted=WANTED)
    assert shrinking.parts == 2
    shrinking.update(80.0, limit=None, wanted=WANTED)
    assert shrinking.parts == 1


def test_nothing_shrinks_unless_it_is_asked_for() -> None:
    shrinking = Shrinking()
    shrinking.update(0.0, limit=1000, wanted=WANTED)
    assert (shrinking.parts, shrinking.side(64)) == (1, 64)


def test_a_viewer_behind_a_thin_line_gets_smaller_frames() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    with RtspServer(publish=["out"]) as rtsp, NarrowLink(f"127.0.0.1:{rtsp.port}", 150_000) as link:
        sink = open_sink(f"rtsp://{link.address}/publish/out", SinkOptions(shrink="size"))
        assert isinstance(sink, PublishingSink)
        with Show(sink, lambda index: np.roll(noise, 7 * index, 1)) as show:
            show.wait_for("live", "live")
            assert sink.output().shrunk in ("half the size", "a quarter of the size")
            assert wait_until(lambda: seen_size(rtsp.url("out"))) in ((160, 120), (80, 60))


def seen_size(url: str) -> tuple[int, int] | None:
    """Width and height of the first frame; ``None`` while nobody publishes."""
    try:
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=3) as container:
            frame = next(container.decode(video=0))
    except av.error.FFmpegError:
        return None
    return frame.width, frame.height


def test_a_fixed_bit_rate_shrinks_nothing() -> None:
    with pytest.raises(ConfigurationError, match="with bitrate 300 nothing shrinks"):
        SinkOptions(bitrate=300, shrink="rate")
