"""RTMP and RTMPS as a wire: nginx-rtmp, mediamtx, and the services that take a stream key."""

import contextlib
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError, OutputRefusedError
from stream_client.publishing.tcp import TcpConnection
from stream_client.publishing.wire import EncodedFrame, VideoTrack
from stream_client.rtmp.publication import Publication
from stream_client.rtsp.h264 import parameter_sets, split_access_unit

_PORTS = {"rtmp": 1935, "rtmps": 443}
_DELIMITER = 9
_TICKS = 90
"""A millisecond in ticks of 90 kHz."""


def check_rtmp_url(url: str) -> None:
    """Raise :class:`.ConfigurationError` for a URL without an application, or with a login before the host."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigurationError(
            "RTMP has no login before the host: put it where the server reads it, as ?user=NAME&pass=WORD",
            option="sinks",
        )
    if not parts.path.strip("/"):
        raise ConfigurationError(
            "an rtmp:// URL names an application and a stream: rtmp://host/live/KEY", option="sinks"
        )


class RtmpWire:
    """One connection. ``timeout`` in seconds bounds connecting, and each send."""

    def __init__(self, url: str, *, timeout: float, insecure: bool) -> None:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        port = parts.port or _PORTS[scheme]
        application, _, key = parts.path.strip("/").partition("/")
        key += f"?{parts.query}" if parts.query else ""
        at = f"[{host}]" if ":" in host else host
        self._connection = TcpConnection(host, port, tls=scheme == "rtmps", insecure=insecure, timeout=timeout)
        self._publication = Publication(application, key, f"{scheme}://{at}:{port}/{application}")
        self._start = -1

    def open(self, track: VideoTrack, first: EncodedFrame, within: float) -> None:
        """Connect, shake hands, and ask to publish."""
        sets = parameter_sets(split_access_unit(first.data))
        if sets is None:
            raise OutputRefusedError("the encoder gave no parameter sets")
        connection, publication = self._connection, self._publication
        connection.connect(within)
        connection.send(publication.begin())
        try:
            while not publication.ready:
                connection.send(publication.receive(connection.receive()))
        except ConnectionError as error:
            raise OutputRefusedError(
                "the server closed the connection: it may not know the application, or refuse the stream key"
            ) from error
        connection.established()
        connection.send(publication.header(sets, (track.shape.width, track.shape.height), track.frame_rate))

    def send(self, frame: EncodedFrame) -> int:
        """Send a frame. Waits at most the timeout."""
        if self._start < 0:
            self._start = frame.time
        units = [unit for unit in split_access_unit(frame.data) if unit[0] & 0x1F != _DELIMITER]
        data = self._publication.frame(units, key=frame.key, time=(frame.time - self._start) // _TICKS)
        self._connection.send(data)
        if answer := self._publication.receive(self._connection.received()):
            self._connection.send(answer)
        return len(data)

    def queued(self) -> int | None:
        """Bytes that the server's side has not acknowledged."""
        return self._connection.queued()

    def close(self) -> None:
        """Say good-bye where possible, and close the connection."""
        if self._publication.ready:
            with contextlib.suppress(OSError):
                self._connection.send(self._publication.end())
        self._connection.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._connection.abort()
