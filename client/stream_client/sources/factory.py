"""From what a user types to a source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stream_client.errors import ConfigurationError
from stream_client.sources.base import Source
from stream_client.sources.callable import CallableSource
from stream_client.sources.camera import camera_source, is_camera
from stream_client.sources.file import FileSource
from stream_client.sources.network import RtspTransport, is_network, network_source
from stream_client.test_source.pattern import TestPatternSource, is_test_pattern, pattern_options
from stream_client.util.checks import check_above_zero, check_not_negative
from stream_client.util.urls import check_url

SourceLike = Source | str | Callable[[], Any] | Any
"""A source, what ``--input_stream`` takes, or a callable or iterator of RGB uint8 arrays."""


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

    def __post_init__(self) -> None:
        check_above_zero(self, "camera_width", "camera_height", "camera_fps", "source_timeout")
        check_not_negative(self, "reconnect_timeout")


def open_source(spec: str, options: SourceOptions | None = None) -> Source:
    """The source that ``spec`` names: a camera (``0``, ``webcam``, ``/dev/video0``), a URL, ``testsrc``, or a file.

    Raises :class:`ConfigurationError` for a name or options that cannot be.
    """
    options = options or SourceOptions()
    if not spec:
        raise ConfigurationError("no source named (--input_stream)")
    if not is_camera(spec) and (options.camera_width or options.camera_height or options.camera_fps):
        raise ConfigurationError("--camera_width, --camera_height and --camera_fps are for cameras only")
    if (options.realtime or options.loop) and (is_camera(spec) or is_network(spec) or is_test_pattern(spec)):
        raise ConfigurationError("--realtime and --loop are for files only")
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
        check_url(spec, "--input_stream")
        return network_source(
            spec,
            rtsp_transport=options.rtsp_transport,
            timeout=options.source_timeout,
            reconnect_timeout=options.reconnect_timeout,
        )
    scheme, separator, _ = spec.partition("://")
    if separator:
        raise ConfigurationError(
            f"{scheme}:// input is not supported: a camera, a file, rtsp://, rtsps:// or http(s):// (--input_stream)"
        )
    return FileSource(spec, realtime=options.realtime, loop=options.loop)


def as_source(source: SourceLike) -> Source:
    """The source that ``source`` means; raises :class:`ConfigurationError`."""
    if isinstance(source, str):
        return open_source(source)
    if hasattr(source, "open") and hasattr(source, "read"):
        return source  # type: ignore[return-value,no-any-return,unused-ignore]
    if callable(source) or hasattr(source, "__iter__"):
        return CallableSource(source)
    raise ConfigurationError(f"{type(source).__name__} is not a source: name one, or give a callable or iterator")
