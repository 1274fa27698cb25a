"""What can go wrong, as one tree.

::

    StreamClientError
     ├── ConfigurationError          options or arguments that cannot work
     │    ├── UndefinedError             neither the program nor the environment names it
     │    └── TooManyError               as many are there as may be
     ├── SourceError                 frames cannot be read
     │    ├── SourceNotFoundError        no such file, device or path on the server
     │    ├── SourceAuthenticationError  credentials refused
     │    ├── SourceCodecError           no video in it, or a codec that cannot be decoded
     │    ├── SourceTlsError             the TLS handshake failed
     │    ├── SourceOverError            a live stream has ended while it was away
     │    └── SourceTimeoutError         nothing came within the bound
     ├── SinkError                   results cannot be written or shown
     │    └── OutputRefusedError         a media server refuses a stream
     ├── TransportError              requests do not reach a server
     │    ├── ConnectError               no server answers at the address
     │    │    └── ServerStartError          the embedded server does not start
     │    ├── DeadlineError              no answer within the bound
     │    └── ConnectionLostError        the connection broke
     ├── ProtocolError               an answer that is not KServe v2, or lies about its content
     │    └── MisplacedError             an output is not in the shared memory that was offered for it
     ├── ServerError                 the server answered with an error
     │    ├── UnknownServableError       it serves no model or graph of that name
     │    └── BadInputError              it refuses the input's name, shape or type
     ├── PredictionError             a classifier beside the stream gives no predictions
     ├── MetricsError                metrics cannot be served or pushed
     ├── MessageRefusedError         a receiver of events will not take a message, also not later
     ├── RtmpError                   an RTMP server refuses, or does not speak RTMP
     ├── RtspError                   an RTSP server refuses, or does not speak RTSP
     │    └── RtspClearTextError          it wants a password that everybody on the way could read
     └── LedgerError                 the counts of frames do not add up: a bug of this package

Every message is one line that names the input and the remedy, without control characters, whoever wrote parts of it.
``RtspError`` and ``RtmpError`` stay inside the package: the source or the sink raises a ``SourceError`` or a
``SinkError`` instead.
``MisplacedError`` stays there, too: the request is sent again, in a message. So does
``MessageRefusedError``: the message is counted.
"""

from stream_client.plain_text import one_line


class StreamClientError(Exception):
    """Base of every error this package raises on purpose.

    ``message`` is one line of at most 1,000 characters. ``option`` names the setting to look at, as ``"join_timeout"``,
    and ``value`` what to try for it. Names are those of the command line's flags, without their dashes; ``str(error)``
    has them in brackets.
    """

    def __init__(self, message: str, *, option: str | None = None, value: object = None) -> None:
        self.message = one_line(message)
        super().__init__(self.message)
        self.option = option
        self.value = value

    def __str__(self) -> str:
        if self.option is None:
            return self.message
        return f"{self.message} ({self.option}{'' if self.value is None else f'={self.value}'})"


class ConfigurationError(StreamClientError):
    """Options or arguments that cannot work."""


class TooManyError(ConfigurationError):
    """As many streams or sessions are there as may be."""


class UndefinedError(ConfigurationError, ValueError):
    """Neither the program nor the environment names what :class:`stream_client.compat.roboflow.Stream` needs."""


class SourceError(StreamClientError):
    """Frames cannot be read from the source."""


class SourceNotFoundError(SourceError):
    """The file, device or stream path does not exist."""


class SourceAuthenticationError(SourceError):
    """The source refused the credentials."""


class SourceCodecError(SourceError):
    """The source has no video, or video that cannot be decoded."""


class SourceTlsError(SourceError):
    """The TLS handshake with the source failed."""


class SourceOverError(SourceError):
    """A live stream is over: it has ended while it was away, and all of it was read."""


class SourceTimeoutError(SourceError):
    """The source gave nothing within the bound."""


class SinkError(StreamClientError):
    """Results cannot be written or shown."""


class OutputRefusedError(SinkError):
    """A media server refuses a stream that is published to it. ``final``: it will refuse it again."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message, option="sinks" if final else None)
        self.final = final


class TransportError(StreamClientError):
    """Requests do not reach a server, or answers do not come back."""


class ConnectError(TransportError):
    """No server answers at the address."""


class ServerStartError(ConnectError):
    """The embedded server does not start."""


class DeadlineError(TransportError):
    """No answer came within the bound."""


class ConnectionLostError(TransportError):
    """The connection to the server broke."""


class ProtocolError(StreamClientError):
    """The server's answer is not KServe v2, or lies about its content."""


class MisplacedError(ProtocolError):
    """An output is not in the shared memory that was offered for it."""


class ServerError(StreamClientError):
    """The server answered with an error.

    ``code`` is the gRPC status code's name (``"INVALID_ARGUMENT"``), or ``None`` for an error message
    inside a stream, which carries none.
    """

    def __init__(
        self, message: str, *, option: str | None = None, value: object = None, code: str | None = None
    ) -> None:
        super().__init__(message, option=option, value=value)
        self.code = code


class UnknownServableError(ServerError):
    """The server has no model or graph of that name."""


class BadInputError(ServerError):
    """The server refuses the input's name, shape or datatype."""


class PredictionError(StreamClientError):
    """The classifier beside the stream is unreachable, or its answer is no prediction."""


class MessageRefusedError(StreamClientError):
    """The receiver will not take this message, also not later."""


class MetricsError(StreamClientError):
    """Metrics cannot be served or pushed."""


class RtspError(StreamClientError):
    """An RTSP server answered with an error, or with something that is not RTSP.

    ``status`` is the response's status code, or 0. ``method`` is the request's.
    """

    def __init__(self, message: str, status: int = 0, method: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.method = method


class RtspClearTextError(RtspError):
    """The server wants a password that everybody on the way could read."""


class RtmpError(StreamClientError):
    """An RTMP server answered with an error, or with something that is not RTMP. ``code`` is the server's, or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class LedgerError(StreamClientError):
    """The counts of frames do not add up: a bug of this package, never of its user."""


def as_error(exception: BaseException, kind: type[StreamClientError], what: str) -> StreamClientError:
    """``exception`` if it is one of ours, else one of ``kind`` that says ``what`` failed, with it as its cause."""
    if isinstance(exception, StreamClientError):
        return exception
    error = kind(f"{what}: {type(exception).__name__}: {exception}")
    error.__cause__ = exception
    return error
