"""Frames of too many pixels are refused before they are decoded."""

import logging
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from kserve_wire.pictures import MAX_PIXELS
from stream_client.errors import SourceCodecError, SourceError
from stream_client.rtsp.h264 import RtpPacketiser, parameter_sets, session_description, split_access_unit
from stream_client.rtsp.messages import interleaved
from stream_client.sources.file import FileSource
from stream_client.sources.network import network_connection
from tests.support.scripted_rtsp import ScriptedRtsp
from tests.support.video import write_video

WIDTH, HEIGHT = 8208, 4352


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of one gray, a few kilobytes."""
    path = tmp_path_factory.mktemp("huge") / "huge.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in frame.planes:
            plane.update(np.full(plane.buffer_size, 128, np.uint8).tobytes())
        for number in range(2):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert WIDTH * HEIGHT > MAX_PIXELS
    assert path.stat().st_size < 500_000
    return path


def test_a_file_of_huge_frames_is_refused_in_a_line(huge: Path) -> None:
    source = FileSource(huge)
    with pytest.raises(SourceCodecError, match=rf"frames of {WIDTH}x{HEIGHT} have more than {MAX_PIXELS} pixels"):
        source.open()
    source.close()


def test_huge_frames_within_a_file_are_left_out_and_said(
    tmp_path: Path, huge: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = write_video(tmp_path / "small.ts").read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small + huge.read_bytes() + small)
    source = FileSource(joined)
    source.open()
    frames = 0
    while (frame := source.read()) is not None:
        assert frame.image.shape == (48, 64, 3)
        frames += 1
    source.close()
    assert frames >= 50
    assert f"frames of {WIDTH}x{HEIGHT}" in caplog.text


def test_a_camera_of_huge_frames_gives_none_and_says_why(huge: Path, caplog: pytest.LogCaptureFixture) -> None:
    with av.open(str(huge)) as container:
        units = [split_access_unit(bytes(packet)) for packet in islice(container.demux(video=0), 2)]
    packetiser = RtpPacketiser()
    packets = b"".join(
        interleaved(0, packet)
        for number, unit in enumerate(units)
        for packet in packetiser.packets(unit, 18_000 * number)
    )
    sets = parameter_sets(units[0])
    assert sets is not None
    with ScriptedRtsp(session_description(sets, "huge"), packets) as server:
        source = network_connection(server.url, timeout=1)
        with pytest.raises(SourceError):
            source.open()
        source.close()
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"frames of {WIDTH}x{HEIGHT}" in warnings[0]
