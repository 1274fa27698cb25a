"""Cameras, through the operating system's capture device in FFmpeg."""

import re
import sys
from pathlib import Path

import av.error

from stream_client.errors import (
    ConfigurationError,
    SourceAuthenticationError,
    SourceError,
    SourceNotFoundError,
)
from stream_client.sources.feed import LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.live import LiveSource
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.util.clock import SteadyClock
from stream_client.util.media import ImageOptions

_CAMERA = re.compile(r"\d+|webcam|/dev/video\d+")


def is_camera(spec: str) -> bool:
    """Whether ``spec`` names a camera: an index of any length, ``webcam`` or ``/dev/videoN``."""
    return _CAMERA.fullmatch(spec) is not None


def camera_input(
    spec: str, *, width: int | None = None, height: int | None = None, frame_rate: float | None = None
) -> LiveInput:
    """What FFmpeg opens for a camera on this operating system; sizes in pixels, rate in frames a second."""
    index = 0 if spec == "webcam" else int(spec.removeprefix("/dev/video"))
    if (width is None) != (height is None):
        raise ConfigurationError("camera_width and camera_height go together", option="camera_width")
    options: dict[str, str] = {}
    if width is not None:
        options["video_size"] = f"{width}x{height}"
    if frame_rate is not None:
        options["framerate"] = f"{frame_rate:g}"
    if sys.platform == "darwin":
        options.setdefault("framerate", "30")  # AVFoundation refuses FFmpeg's default of 29.97
        return LiveInput(f"camera {index}", str(index), "avfoundation", options)
    if sys.platform == "win32":
        return LiveInput(f"camera {index}", f"video={spec}", "dshow", options)
    return LiveInput(f"camera {index}", f"/dev/video{index}", "v4l2", options)


def camera_error(live: LiveInput, error: OSError | av.error.FFmpegError) -> SourceError:
    """What FFmpeg's error means for a camera."""
    there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
    if isinstance(error, FileNotFoundError):
        return SourceNotFoundError(f"{live.name} ({live.url}) is not there; cameras found: {there}", option="source")
    if isinstance(error, PermissionError):
        return SourceAuthenticationError(f"{live.name} ({live.url}) may not be read: join the group video")
    return SourceError(f"{live.name} ({live.url}): {error.strerror or error}", option="source")


def camera_source(
    spec: str,
    *,
    width: int | None = None,
    height: int | None = None,
    frame_rate: float | None = None,
    reconnect_timeout: float | None = None,
    images: ImageOptions | None = None,
) -> ReconnectingSource:
    """A camera; see :func:`camera_input`. It must exist at the start. Later it may be unplugged for a while."""
    live = camera_input(spec, width=width, height=height, frame_rate=frame_rate)
    clock = SteadyClock()
    return ReconnectingSource(
        lambda: LiveSource(FfmpegFeed(live, camera_error), images, clock),
        live.name,
        reconnect_timeout=reconnect_timeout,
        hopeless=(SourceError,),
    )
