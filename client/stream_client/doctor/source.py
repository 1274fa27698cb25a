"""Examines a source: whether it opens, its properties, its frame rate."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from stream_client.doctor.finding import Finding, amiss, ok
from stream_client.errors import (
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceTlsError,
    StreamClientError,
)
from stream_client.frames import Image, StreamInfo
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.util.redact import redact

_REMEDIES: tuple[tuple[type[StreamClientError], str], ...] = (
    (SourceNotFoundError, "correct the name; for a stream, start what publishes it"),
    (SourceAuthenticationError, "put user and password into the URL or the environment; for a camera, join its group"),
    (SourceTlsError, "look at the server's certificate and clock, or use rtsp:// inside a trusted network"),
    (
        SourceTimeoutError,
        "look whether it is switched on and reachable; raise source_timeout; try another rtsp_transport",
    ),
    (SourceCodecError, "convert it: ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4"),
    (SourceError, "correct the name, and look whether the device or server is free and running"),
)
_NOT_THE_TRANSPORT = (SourceNotFoundError, SourceAuthenticationError, SourceTlsError)
_MEASURE_FRAMES, _MEASURE_SECONDS = 30, 1.5


@dataclass(frozen=True, slots=True)
class _Look:
    """``rate``: frames a second as they came, of a live source."""

    info: StreamInfo
    image: Image
    rate: float | None


@dataclass(slots=True)
class SourceChecks:
    """What to examine; ``image`` is the source's first frame, once it has been read."""

    spec: str
    options: SourceOptions
    image: Image | None = field(default=None, init=False)

    def run(self) -> Iterator[Finding]:
        """The findings, each as soon as it is known."""
        check = f"source {redact(self.spec)}"
        try:
            look = self._read(self.options)
        except StreamClientError as error:
            yield amiss(check, error, remedy(error), needed=True)
            if self.spec.startswith("rtsp") and not isinstance(error, _NOT_THE_TRANSPORT):
                yield self._other_transport()
            return
        self.image = look.image
        yield ok(check, describe(look.info))
        if self.spec.startswith("rtsp"):
            yield ok("RTSP transport", f"{self.options.rtsp_transport} works")
        if look.rate is not None:
            yield ok("source's rate", f"{look.rate:.1f} frames/s measured, {_declared(look.info)}")

    def _read(self, options: SourceOptions) -> _Look:
        source = open_source(self.spec, options, reconnect_timeout=0)
        try:
            info = source.open()
            first = last = source.read()
            if first is None or last is None:
                raise SourceError(f"{redact(self.spec)} ended before its first frame")
            count = 1
            until = time.monotonic() + _MEASURE_SECONDS
            while info.live and count < _MEASURE_FRAMES and time.monotonic() < until:
                frame = source.read()
                if frame is None:
                    break
                last, count = frame, count + 1
            seconds = last.captured - first.captured
            return _Look(info, first.image, (count - 1) / seconds if seconds > 0 else None)
        finally:
            source.close()

    def _other_transport(self) -> Finding:
        other = replace(self.options, rtsp_transport="udp" if self.options.rtsp_transport == "tcp" else "tcp")
        check = "RTSP transport"
        try:
            self._read(other)
        except StreamClientError as error:
            how = f"neither {self.options.rtsp_transport} nor {other.rtsp_transport} works"
            return amiss(check, how, remedy(error), needed=True)
        found = f"{other.rtsp_transport} works, {self.options.rtsp_transport} does not"
        return amiss(
            check, found, "use the one that works", needed=True, option="rtsp_transport", value=other.rtsp_transport
        )


def describe(info: StreamInfo) -> str:
    """``h264, 1280x720, 30 frames/s declared, live``."""
    parts = [info.codec, f"{info.width}x{info.height}", _declared(info), "live" if info.live else ""]
    if info.frame_count:
        parts.append(f"about {info.frame_count} frames")
    return ", ".join(part for part in parts if part)


def remedy(error: StreamClientError) -> str:
    """What to do about a source's error."""
    for kind, text in _REMEDIES:
        if isinstance(error, kind):
            return text
    return "correct the option"


def _declared(info: StreamInfo) -> str:
    return f"{float(info.frame_rate):.4g} frames/s declared" if info.frame_rate else "no rate declared"
