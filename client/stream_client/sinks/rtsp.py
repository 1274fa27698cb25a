"""Publishing to an RTSP server (mediamtx and others), so that viewers keep watching whatever happens before it."""

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from stream_client.errors import RtspError, SinkError, StreamClientError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.rtsp.h264 import CLOCK_RATE, split_access_unit
from stream_client.rtsp.publisher import Publisher
from stream_client.sinks.encoder import Encoder
from stream_client.util.backoff import Backoff, TimeLimit
from stream_client.util.media import even
from stream_client.util.redact import redact

logger = logging.getLogger(__name__)

EncoderFactory = Callable[[int, int], Encoder]
"""Makes an encoder for pictures of a width and height in pixels."""


@dataclass(slots=True)
class _Trials:
    """What the publishing thread remembers from attempt to attempt."""

    backoff: Backoff
    limit: TimeLimit
    live: bool = False
    was_live: bool = False
    refusals: int = 0
    said: str = ""


class RtspSink:
    """Publishes the newest picture to ``url`` as H.264 over TCP, from a thread of its own.

    Pictures of live sources go out when they come, those of files at their own pace. When nothing new comes the
    last picture is repeated, since servers cut a silent publisher. A lost server is connected to again with
    back-off, for ever or for ``reconnect_timeout`` seconds, while the run goes on; pictures of another size
    begin a new stream. Only refused credentials and failed TLS end the run: at once at first, after
    :attr:`REFUSALS` attempts in a row once the sink was live. How many pictures were repeated, and how many
    skipped for newer ones, is logged at the end: as a warning if any were skipped.
    """

    REPEAT_SECONDS = 0.2
    """A viewer that joins gets a picture within that, too."""
    LONGEST_PAUSE = 1.0
    """Seconds: gaps in a file's times are cut to this, so that a stop does not wait for them."""
    CLOSE_SECONDS = 0.5
    REFUSALS = 3

    def __init__(
        self, url: str, encoder: EncoderFactory, *, reconnect_timeout: float | None = None, timeout: float = 5.0
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
        self._closing = False
        self._failure: StreamClientError | None = None
        self._publisher: Publisher | None = None
        self._encoder: Encoder | None = None
        self._thread: threading.Thread | None = None
        self._paced = False
        self._start = 0.0
        self._last = 0
        self._began = 0.0

    def watch(self, on_state: Callable[[ConnectionState], None]) -> None:
        """Tell ``on_state`` of every change of state, from the publishing thread; call before :meth:`open`."""
        self._on_state = on_state

    def open(self, info: StreamInfo) -> None:
        """Begin; the connection is made with the first picture."""
        self._paced = not info.live
        self._thread = threading.Thread(target=self._run, name=f"publish {self.name}", daemon=True)
        self._thread.start()

    def write(self, result: Result) -> bool:
        """Make ``result``'s picture the newest; a file's waits for its time. Raises what ended the publishing."""
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
        """Publish the last picture and say good-bye, shortly; a silent server is left behind."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        thread.join(self.CLOSE_SECONDS)
        if thread.is_alive():
            with self._changed:
                publisher, encoder = self._publisher, self._encoder
            if publisher is not None:
                publisher.abort()
            if encoder is not None:
                encoder.abort()
            thread.join(self.CLOSE_SECONDS)  # a name server that is silent cannot be interrupted

    def _wait_for(self, seconds: float) -> None:
        now = time.monotonic()
        if not self._start:
            self._start = now - seconds
        pause = self._start + seconds - now
        if pause > self.LONGEST_PAUSE:
            self._start -= pause - self.LONGEST_PAUSE
            pause = self.LONGEST_PAUSE
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._failure is not None, max(0.0, pause))

    def _run(self) -> None:
        self._wait_for_picture()
        trials = _Trials(Backoff(first=0.2, longest=1.0), TimeLimit(self._reconnect_timeout))
        try:
            while self._wait_for_picture():
                self._on_state("connecting")
                try:
                    self._publish(trials)
                    trials.limit = TimeLimit(self._reconnect_timeout)
                except (RtspError, OSError) as error:
                    # Handled here, where Python forgets it: kept in a variable, it would keep the encoder alive.
                    if self._closing:
                        return
                    self._take_loss(error, trials)
                    with self._changed:
                        self._changed.wait_for(lambda: self._closing, min(trials.backoff.next(), trials.limit.left))
        except StreamClientError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - raised by write(), in the owner's thread
            self._fail(SinkError(redact(f"{self.name}: {type(error).__name__}: {error}")))
        finally:
            self._on_state("ended")
            level = logging.WARNING if self._skipped else logging.INFO
            words = "%s: %d pictures were repeated since nothing new came, %d skipped for newer ones"
            logger.log(level, words, self.name, self._repeated, self._skipped)

    def _take_loss(self, error: RtspError | OSError, trials: "_Trials") -> None:
        """Say what happened; raises where there is no point in another attempt."""
        if trials.live:
            trials.live, trials.was_live, trials.refusals = False, True, 0
            trials.said, trials.limit = "", TimeLimit(self._reconnect_timeout)
            self._on_state("lost")
        refused = isinstance(error, ssl.SSLError) or (isinstance(error, RtspError) and error.status in (401, 403))
        trials.refusals = trials.refusals + 1 if refused else 0
        if trials.limit.passed or trials.refusals >= (self.REFUSALS if trials.was_live else 1):
            raise self._sink_error(error) from error
        message = str(self._sink_error(error))
        if message != trials.said:  # once, not at every attempt
            trials.said = message
            logger.warning("%s; trying again", message)

    def _fail(self, error: StreamClientError) -> None:
        with self._changed:
            if not self._closing:
                self._failure = error
            self._changed.notify_all()

    def _sink_error(self, error: Exception) -> SinkError:
        if isinstance(error, RtspError) and error.status in (401, 403):
            return SinkError(f"{self.name} refuses the credentials: put them in the URL", option="output_stream")
        if isinstance(error, ssl.SSLCertVerificationError):
            return SinkError(f"{self.name}: the server's certificate is not trusted: {error.verify_message}")
        if isinstance(error, ssl.SSLError):
            return SinkError(f"{self.name}: the TLS handshake failed: {error.reason or error}")
        if isinstance(error, TimeoutError):
            longest = min(self._timeout, self._reconnect_timeout or math.inf)
            return SinkError(f"{self.name} did not answer within {longest:g} s")
        if isinstance(error, ConnectionRefusedError):
            return SinkError(f"{self.name}: connection refused; is the server running?")
        return SinkError(redact(f"{self.name}: {getattr(error, 'strerror', None) or error}"))

    def _wait_for_picture(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._closing)
            return not self._closing or self._unseen

    def _publish(self, trials: "_Trials") -> None:
        """Publish until pictures change their size or the sink is closed; raises when the server is lost."""
        image, last = self._next_picture(wait=False)
        shape = image.shape
        self._began = time.monotonic()
        self._last = -1
        encoder = self._make_encoder(shape[1], shape[0])
        publisher = Publisher(self._url, timeout=self._timeout)
        with self._changed:
            self._encoder, self._publisher = encoder, publisher
        try:
            units: list[bytes] = []
            while not units:
                presentation = self._presentation()
                units = encoder.encode(image, presentation)
            # The very first attempt has its own time-outs only.
            publisher.connect(trials.limit.for_attempt if trials.was_live or trials.said else math.inf)
            publisher.announce(split_access_unit(units[0]), "ovms-stream-client")
            trials.live = True
            trials.backoff.reset()
            self._on_state("live")
            logger.info("%s: publishing %dx%d", self.name, shape[1], shape[0])
            while True:
                for unit in units:
                    publisher.send(split_access_unit(unit), presentation)
                if last:
                    return
                image, last = self._next_picture(wait=True)
                if image.shape != shape:
                    return
                presentation = self._presentation()
                units = encoder.encode(image, presentation)
        finally:
            with self._changed:
                self._encoder = self._publisher = None
            publisher.close()
            encoder.close()

    def _next_picture(self, *, wait: bool) -> tuple[Image, bool]:
        """The newest picture, or the last one once more; and whether it is the last that will be sent."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._unseen or self._closing, self.REPEAT_SECONDS)
            assert self._newest is not None
            self._repeated += wait and not self._unseen
            self._unseen = False
            return self._newest, self._closing

    def _presentation(self) -> int:
        """Wall clock since the stream began, in ticks of 90 kHz, strictly rising."""
        self._last = max(round((time.monotonic() - self._began) * CLOCK_RATE), self._last + 1)
        return self._last
