"""From what a user types to a source."""

from dataclasses import dataclass

from stream_client.errors import ConfigurationError
from stream_client.sources.base import Source
from stream_client.sources.camera import camera_source, is_camera
from stream_client.sources.file import FileSource
from stream_client.sources.network import RtspTransport, is_network, network_source
from stream_client.sources.test_pattern import TestPatternSource, is_test_pattern, pattern_options


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of the several kinds of sources; each takes its own."""

    realtime: bool = False
    loop: bool = False
    camera_width: int | None = None
    camera_height: int | None = None
    camera_fps: float | None = None
    rtsp_transport: RtspTransport = "tcp"
    source_timeout: float = 10.0
    reconnect_timeout: float | None = None


def open_source(spec: str, options: SourceOptions | None = None) -> Source:
    """The source that ``spec`` names: a camera (``0``, ``webcam``, ``/dev/video0``), a URL, ``testsrc``, or a file."""
    options = options or SourceOptions()
    if not spec:
        raise ConfigurationError("no source named (--input_stream)")
    if is_test_pattern(spec):
        return TestPatternSource(pattern_options(spec))
    if is_camera(spec):
        return camera_source(
            spec,
            width=options.camera_width,
            height=options.camera_height,
            frame_rate=options.camera_fps,
            reconnect_timeout=options.reconnect_timeout,
        )
    if is_network(spec):
        return network_source(
            spec,
            rtsp_transport=options.rtsp_transport,
            timeout=options.source_timeout,
            reconnect_timeout=options.reconnect_timeout,
        )
    return FileSource(spec, realtime=options.realtime, loop=options.loop)
