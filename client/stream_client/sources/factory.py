"""From what a user types to a source."""

import logging
import os
from collections.abc import Callable, Iterable

from stream_client.errors import ConfigurationError
from stream_client.sources.arrays import ArraySource, CallableSource, SourceImage
from stream_client.sources.base import Source
from stream_client.sources.camera import camera_source, is_camera
from stream_client.sources.file import FileSource
from stream_client.sources.network import SCHEMES, check_network, is_network, network_source
from stream_client.sources.options import SourceOptions
from stream_client.sources.photos import PhotosSource, names_photos
from stream_client.test_source.pattern import TestPatternSource, is_test_pattern, pattern_options
from stream_client.util.hardware import acceleration
from stream_client.util.media import ImageOptions
from stream_client.util.redact import redact
from stream_client.util.urls import check_slashes

logger = logging.getLogger(__name__)

SourceName = str | int | os.PathLike[str]
"""What :func:`.open_source` takes: a camera's number or name, a URL, ``testsrc``, or a file's path."""
SourceLike = Source | SourceName | Callable[[], SourceImage | None] | Iterable[SourceImage | None]
"""A source, the name of one, or a program's frames: a function (live) or an iterable (loses nothing) of images."""


def open_source(
    name: SourceName, options: SourceOptions | None = None, *, reconnect_timeout: float | None = None
) -> Source:
    """The source of that name: a camera (``0``, ``webcam``, ``/dev/video0``), a URL, ``testsrc``, or a file.

    ``-`` is standard input; a folder, or a pattern such as ``shots/*.jpg``, is its photos. A :class:`~pathlib.Path`
    always means a file, a folder or a device. A live source that is lost is given up after ``reconnect_timeout``
    seconds, or never. Raises :class:`.ConfigurationError` for a name or options that cannot work.
    """
    options = options or SourceOptions()
    images = ImageOptions(options.square_pixels, options.tone_map, options.decoder)
    acceleration(options.decoder)  # a device that is named has to be there
    spec = _text(name)
    if not spec:
        raise ConfigurationError("no source named", option="source")
    if not is_camera(spec) and (options.camera_width or options.camera_height or options.camera_fps):
        raise ConfigurationError("camera_width, camera_height and camera_fps are for cameras only", option="source")
    if is_camera(spec) or is_network(spec) or is_test_pattern(spec):
        if options.loop:
            raise ConfigurationError("loop is for files only", option="source")
        if options.realtime:
            logger.warning("%s has a pace of its own already: realtime is for files", redact(spec))
    if is_test_pattern(spec):
        return TestPatternSource(pattern_options(spec))
    if is_camera(spec):
        return camera_source(
            spec,
            width=options.camera_width,
            height=options.camera_height,
            frame_rate=options.camera_fps,
            reconnect_timeout=reconnect_timeout,
            images=images,
        )
    if is_network(spec):
        check_network(spec)
        return network_source(
            spec,
            rtsp_transport=options.rtsp_transport,
            timeout=options.source_timeout,
            insecure=options.rtsp_insecure,
            reconnect_timeout=reconnect_timeout,
            images=images,
        )
    check_slashes(spec, "source")
    scheme, separator, _ = spec.partition("://")
    if separator:
        raise ConfigurationError(
            f"{scheme}:// input is not supported: a camera, a file, or {', '.join(f'{each}://' for each in SCHEMES)}",
            option="source",
        )
    if names_photos(spec):
        if options.loop or options.realtime:
            raise ConfigurationError(f"loop and realtime are for videos, not for the photos of {spec}", option="source")
        return PhotosSource(spec, images)
    return FileSource(spec, realtime=options.realtime, loop=options.loop, images=images)


def _text(name: SourceName) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, os.PathLike):
        return os.path.join(os.curdir, name)  # a file that is called 0 is no camera
    if isinstance(name, bool) or name < 0:
        raise ConfigurationError(f"{name} is not a camera's number: cameras are numbered from 0")
    return str(name)


def as_source(source: SourceLike, *, reconnect_timeout: float | None = None) -> Source:
    """The source that ``source`` means, see :func:`.open_source`; raises :class:`.ConfigurationError`."""
    if isinstance(source, type):
        raise ConfigurationError(f"{source.__name__} is a class: give an object of it as the source")
    if isinstance(source, Source):
        return source
    if isinstance(source, str | int | os.PathLike):
        return open_source(source, reconnect_timeout=reconnect_timeout)
    if callable(source):
        return CallableSource(source)
    if isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
        return ArraySource(source)
    raise ConfigurationError(
        f"{type(source).__name__} is not a source: give a camera's number, a path, a URL, a function or an iterable "
        "of RGB arrays or JPEG bytes, or an object with open, read, interrupt and close"
    )
