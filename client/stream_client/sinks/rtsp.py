"""Publishes to an RTSP server, such as mediamtx. Viewers stay connected when the source or the model server is lost."""

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable

from stream_client.errors import RtspError, SinkError, StreamClientError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.rtsp.h264 import CLOCK_RATE, split_access_unit
from stream_client.rtsp.publisher import Publisher
from stream_client.sinks.encoder import Encoder
from stream_client.util.backoff import Backoff
from stream_client.util.media import even
from stream_client.util.reconnector import Reconnector
from stream_client.util.redact import redact
from stream_client.util.retry_plan import RetryPlan

logger = logging.getLogger(__name__)

EncoderFactory = Callable[[int, int], Encoder]
"""Makes an encoder for frames of a width and height in pixels."""


class _Stream:
    """Frames of one size on one connection. One thread uses it. Only :meth:`abort` is for other threads."""

    def __init__(self, encoder: Encoder, publisher: Publisher, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._encoder = encoder
        self._publisher = publisher
        self._began = time.monotonic()
        self._last = -1
        self._units: list[bytes] = []
        self._presentation = 0

    def begin(self, image: Image, within: float) -> None:
        """Connect and announce the stream, in ``within`` seconds; nothing is sent before :meth:`flush`."""
        while not self._units:
            self._encode(image)
        self._publisher.connect(within)
        self._publisher.announce(split_access_unit(self._units[0]), "ovms-stream-client")

    def send(self, image: Image) -> None:
        """Encode and send a frame."""
        self._encode(image)
        self.flush()

    def flush(self) -> None:
        """Send what is encoded."""
        for unit in self._units:
            self._publisher.send(split_access_unit(unit), self._presentation)

    def abort(self) -> None:
        """Make every waiting call fail now. Called from another thread."""
        self._publisher.abort()
        self._encoder.abort()

    def close(self) -> None:
        """Leave the server and end the encoder."""
        self._publisher.close()
        self._encoder.close()

    def _encode(self, image: Image) -> None:
        # Wall clock since the stream began, in ticks of 90 kHz, strictly rising.
        self._presentation = self._last = max(round((time.monotonic() - self._began) * CLOCK_RATE), self._last + 1)
        self._units = self._encoder.encode(image, self._presentation)


class RtspSink:
    """Publishes the newest frame to ``url`` as H.264 over TCP, in its own thread.

    Frames of live sources are sent when they arrive, those of files at their own pace. When nothing new arrives the
    last frame is repeated, since servers cut a silent publisher. A lost server is connected to again with back-off, for
    ever or for ``reconnect_timeout`` seconds, while the run goes on. Frames of another size start a new stream. Only
    refused credentials and failed TLS end the run: at once before the first connection, later after :attr:`REFUSALS`
    attempts in a row. The end logs how many frames were repeated, and how many were skipped for newer ones: as a
    warning if any were skipped.
    """

    REPEAT_SECONDS = 0.2
    """Seconds. A viewer that joins also gets a frame within this time."""
    LONGEST_PAUSE = 1.0
    """Seconds. Longer gaps in a file's times are cut to this, so that a stop does not wait for them."""
    CLOSE_SECONDS = 0.5
    REFUSALS = 3

    def __init__(
        self,
        url: str,
        encoder: EncoderFactory,
        *,
        reconnect_timeout: float | None = None,
        timeout: float = 5.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = redact(url)
        self._url = url
        self._make_encoder = encoder
        self._reconnect_timeout = reconnect_timeout
        self._timeout = timeout
        self._on_state: Callable[[ConnectionState], None] = lambda state: None
        self._changed = threading.Condition()
        self._newest: Image | None = None
        self._unseen = False
        self._repeated = self._skipped = 0
        self._failure: StreamClientError | None = None
        self._stream: _Stream | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._reconnector = Reconnector(
            self.name,
            self._begin_stream,
            RetryPlan(
                timeout=reconnect_timeout, backoff=backoff or Backoff(first=0.2, longest=1.0), refusals=self.REFUSALS
            ),
            self._stop,
            self._report,
            errors=(RtspError, OSError),
            refuses=_refuses,
            describe=self._reason,
        )
        self._last_taken = False
        self._paced = False
        self._start = 0.0

    def watch(self, on_state: Callable[[ConnectionState], None]) -> None:
        """Call ``on_state`` at each change of state, in the publishing thread. Call this before :meth:`open`."""
        self._on_state = on_state

    def open(self, info: StreamInfo) -> None:
        """Start the thread. The first frame opens the connection."""
        self._paced = not info.live
        self._thread = threading.Thread(target=self._run, name=f"publish {self.name}", daemon=True)
        self._thread.start()

    def write(self, result: Result) -> bool:
        """Make ``result``'s image the newest frame. A file's frame waits for its time. Raises the error that ended
        publishing.
        """
        if self._paced:
            self._wait_for(result.time)
        with self._changed:
            if self._failure is not None:
                raise self._failure
            self._skipped += self._unseen
            self._newest, self._unseen = even(result.image), True
            self._changed.notify_all()
        return True

    def close(self) -> None:
        """Publish the last frame and close the connection. A silent server is not waited for."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        thread.join(self.CLOSE_SECONDS)
        if thread.is_alive():
            with self._changed:
                stream = self._stream
            if stream is not None:
                stream.abort()
            thread.join(self.CLOSE_SECONDS)  # a lookup at a silent name server cannot be interrupted

    def _wait_for(self, seconds: float) -> None:
        now = time.monotonic()
        if not self._start:
            self._start = now - seconds
        pause = self._start + seconds - now
        if pause > self.LONGEST_PAUSE:
            self._start -= pause - self.LONGEST_PAUSE
            pause = self.LONGEST_PAUSE
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._failure is not None, max(0.0, pause))

    def _run(self) -> None:
        try:
            while self._wait_for_frame() and self._reconnector.connect() and self._publish():
                pass
        except (RtspError, OSError) as error:
            option = "output_stream" if _unauthorised(error) else None
            self._fail(SinkError(f"{self.name}: {self._reason(error)}", option=option))
        except StreamClientError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - raised by write(), in the owner's thread
            self._fail(SinkError(redact(f"{self.name}: {type(error).__name__}: {error}")))
        finally:
            self._on_state("ended")
            level = logging.WARNING if self._skipped else logging.INFO
            words = "%s: %d frames were repeated since nothing new came, %d skipped for newer ones"
            logger.log(level, words, self.name, self._repeated, self._skipped)

    def _report(self, state: ConnectionState) -> None:
        self._on_state(state)

    def _fail(self, error: StreamClientError) -> None:
        with self._changed:
            if not self._stop.is_set():
                self._failure = error
            self._changed.notify_all()

    def _reason(self, error: Exception) -> str:
        if _unauthorised(error):
            return "the server refuses the credentials: put them in the URL"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"the TLS handshake failed: {error.reason or error}"
        if isinstance(error, TimeoutError):
            longest = min(self._timeout, self._reconnect_timeout or math.inf)
            return f"the server did not answer within {longest:g} s"
        if isinstance(error, ConnectionRefusedError):
            return "connection refused; is the server running?"
        return redact(str(getattr(error, "strerror", None) or error))

    def _wait_for_frame(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._stop.is_set())
            return not self._stop.is_set() or self._unseen

    def _begin_stream(self, within: float) -> None:
        image, self._last_taken = self._next_frame(wait=False)
        height, width = image.shape[:2]
        stream = _Stream(self._make_encoder(width, height), Publisher(self._url, timeout=self._timeout), image.shape)
        with self._changed:
            self._stream = stream
        try:
            stream.begin(image, within)
        except BaseException:
            self._close_stream(stream)
            raise
        logger.info("%s: publishing %dx%d", self.name, width, height)

    def _publish(self) -> bool:
        """Publish until the frames' size changes or the server is lost. ``False`` when the sink was closed."""
        stream = self._stream
        assert stream is not None
        try:
            stream.flush()
            while not self._last_taken:
                image, self._last_taken = self._next_frame(wait=True)
                if image.shape != stream.shape:
                    return True
                stream.send(image)
            return False
        except (RtspError, OSError) as error:
            # Handle it here: a variable with the error would keep the encoder alive.
            if self._stop.is_set():
                return False
            if not self._reconnector.lost(error):
                raise
            return True
        finally:
            self._close_stream(stream)

    def _close_stream(self, stream: _Stream) -> None:
        with self._changed:
            self._stream = None
        stream.close()

    def _next_frame(self, *, wait: bool) -> tuple[Image, bool]:
        """The newest frame, or the last one again; and whether no other frame follows."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._unseen or self._stop.is_set(), self.REPEAT_SECONDS)
            assert self._newest is not None
            self._repeated += wait and not self._unseen
            self._unseen = False
            return self._newest, self._stop.is_set()


def _refuses(error: Exception) -> bool:
    return isinstance(error, ssl.SSLError) or _unauthorised(error)


def _unauthorised(error: Exception) -> bool:
    return isinstance(error, RtspError) and error.status in (401, 403)
