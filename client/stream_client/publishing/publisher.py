"""Publishes to a media server. Viewers stay connected when the source or the model server is lost."""

import logging
import math
import threading
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial

from stream_client.errors import OutputRefusedError, RtspError, SinkError, StreamClientError
from stream_client.frames import Result, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.processing.small_frames import shrink
from stream_client.publishing.encoder import EncoderFactory
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.fates import Fates
from stream_client.publishing.pacing import Pacer
from stream_client.publishing.refusals import contested, is_closed_by_server, is_final, meaning, refuses_credentials
from stream_client.publishing.session import Bounds, LineReport, Session
from stream_client.publishing.shared_sound import KeptSound
from stream_client.publishing.sharing import RawFrame, raw_frame
from stream_client.publishing.shrinking import Shrinking, Shrunk
from stream_client.publishing.wire import VideoTrack, Wire, WireFactory
from stream_client.util.backoff import Backoff
from stream_client.util.media import even, written_shape
from stream_client.util.planes import PlaneImages
from stream_client.util.reconnector import Reconnector
from stream_client.util.redact import redact
from stream_client.util.retry_plan import RetryPlan

logger = logging.getLogger(__name__)

_CONNECTION_ERRORS = (RtspError, OutputRefusedError, OSError)
"""What another connection may mend."""


class PublishingSink:
    """Publishes the newest frame as H.264, and its sound, on a wire of ``make_wire``, in its own thread.

    Frames of live sources are sent when they arrive, those of files at their own pace. When nothing new arrives the
    last frame is repeated, since servers cut a silent publisher. A lost server is connected to again with back-off, for
    ever or for ``reconnect_timeout`` seconds, while the run goes on. Frames of another size start a new stream. Only
    refused credentials and failed TLS end the run: at once before the first connection, later after :attr:`REFUSALS`
    attempts in a row. A path that another publisher takes again and again is tried every ``contested_delay`` seconds.

    ``pool`` has the encoders of the run. Outputs with equal ``settings`` share the one that ``encoder`` makes.
    """

    takes_planes = True
    CLOSE_SECONDS = 0.5
    REFUSALS = 3

    def __init__(
        self,
        name: str,
        make_wire: WireFactory,
        encoder: EncoderFactory,
        *,
        pool: EncoderPool | None = None,
        settings: Hashable = None,
        bounds: Bounds | None = None,
        shrink: Shrunk = "nothing",
        reconnect_timeout: float | None = None,
        timeout: float = 5.0,
        backoff: Backoff | None = None,
        contested_delay: float = 30.0,
    ) -> None:
        self.name = redact(name)
        self._make_wire = make_wire
        self._make_encoder = encoder
        self._pool = pool or EncoderPool()
        self._settings = settings
        self._bounds = bounds or Bounds()
        self._line = LineReport()
        self._shrinking = Shrinking(shrink)
        self._image = PlaneImages()
        self._longest = min(timeout, reconnect_timeout or math.inf)
        self._on_state: Callable[[ConnectionState], None] = lambda state: None
        self._state: ConnectionState = "connecting"
        self._changed = threading.Condition()
        self._newest: Result | None = None
        self._unseen = False
        self._failure: StreamClientError | None = None
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._fates = Fates()
        self._reconnector = Reconnector(
            self.name,
            self._begin_session,
            RetryPlan(
                timeout=reconnect_timeout,
                backoff=backoff or Backoff(first=0.2, longest=1.0),
                refusals=self.REFUSALS,
                contested_delay=contested_delay,
            ),
            self._stop,
            self._report,
            errors=_CONNECTION_ERRORS,
            refuses=is_final,
            describe=self._reason,
            closes=is_closed_by_server,
            contested=contested(name),
        )
        self._last_taken = False
        self._pacer: Pacer | None = None
        self._info: StreamInfo | None = None
        self._sound: KeptSound | None = None
        self._first_wire: Wire | None = None  # it says which sound to keep until it connects

    def watch(self, on_state: Callable[[ConnectionState], None]) -> None:
        """Call ``on_state`` at each change of state, in the publishing thread. Call this before :meth:`open`."""
        self._on_state = on_state

    def follow(self, on_end: Callable[[Result, bool], None]) -> None:
        """Call ``on_end`` once for each result, with whether it was sent. Call this before :meth:`open`."""
        self._fates.on_end = on_end

    def output(self) -> OutputSnapshot:
        """What became of the frames so far."""
        away = self._state != "live"
        return replace(
            self._fates.counts(),
            away=away,
            reason=self._why_away() if away else "",
            line_rate=self._line.carries,
            wanted_rate=self._line.wanted,
            limit=self._line.limit,
            limited=self._line.limited,
            age=self._line.age,
            sound_sent=self._line.sound,
            sound_dropped=self._line.sound_dropped,
            shrunk=self._shrinking.words,
        )

    def open(self, info: StreamInfo) -> None:
        """Start the thread. The first frame opens the connection."""
        self._pacer = None if info.live else Pacer()
        self._info = info
        self._first_wire = self._make_wire()
        self._sound = KeptSound(self._pool.sound, info.sound, self._first_wire.sound_rule)
        self._thread = threading.Thread(target=self._run, name=f"publish {self.name}", daemon=True)
        self._thread.start()

    def write(self, result: Result) -> bool:
        """Make ``result`` the newest frame; a file's frame waits for its time. Raises what ended the publishing."""
        if self._pacer is not None:
            pause = self._pacer.pause(result.time)
            with self._changed:
                self._changed.wait_for(lambda: self._stop.is_set() or self._failure is not None, pause)
        self._fates.written(result)
        with self._changed:
            if self._failure is None:
                self._newest, self._unseen = result, True
                self._changed.notify_all()
        if self._failure is not None:
            self._fates.give_up(lost=True)
            raise self._failure
        if self._state != "live":
            assert self._sound is not None
            self._sound.forget(result.time)
            self._fates.give_up(lost=True, before=result.frame.index)
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
                session = self._session
            if session is not None:
                session.abort()
            thread.join(self.CLOSE_SECONDS)  # a lookup at a silent name server cannot be interrupted
        self._fates.give_up(lost=self._state != "live")

    def _run(self) -> None:
        try:
            while self._wait_for_frame() and self._reconnector.connect() and self._publish():
                pass
        except _CONNECTION_ERRORS as error:
            option = "sinks" if refuses_credentials(error) else None
            self._fail(SinkError(f"{self.name}: {self._reason(error)}", option=option))
        except StreamClientError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - raised by write(), in the owner's thread
            failure = SinkError(redact(f"{self.name}: {type(error).__name__}: {error}"))
            failure.__cause__ = error
            self._fail(failure)
        finally:
            assert self._sound is not None
            self._sound.close()
            self._on_state("ended")

    def _report(self, state: ConnectionState) -> None:
        self._state = state
        self._on_state(state)

    def _fail(self, error: StreamClientError) -> None:
        with self._changed:
            if not self._stop.is_set():
                self._failure = error
            self._changed.notify_all()

    def _reason(self, error: Exception) -> str:
        return redact(meaning(error, self._longest))

    def _why_away(self) -> str:
        attempts, reason = self._reconnector.attempts, self._reconnector.last_message
        return f"{reason} ({attempts} attempts)" if attempts > 1 else reason

    def _wait_for_frame(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._stop.is_set())
            return not self._stop.is_set() or self._unseen

    def _begin_session(self, within: float) -> None:
        with self._changed:
            assert self._newest is not None
            result = self._newest
        assert self._info is not None
        raw = self._raw(result)
        height, width = raw.image.shape[:2]
        shape = replace(written_shape(self._info, result.image), width=width, height=height)
        track = VideoTrack(shape, self._info.frame_rate)
        open_tap = partial(self._pool.tap, self._make_encoder, self._settings)
        wire, self._first_wire = self._first_wire or self._make_wire(), None
        assert self._sound is not None
        sound = self._sound.tap(wire.sound_rule)
        session = Session(open_tap, wire, track, self._bounds, self._line, sound, self._shrinking)
        with self._changed:
            self._session = session
        try:
            session.begin(raw, within)
        except BaseException:
            self._close_session(session)
            raise
        with self._changed:
            self._unseen = True  # nothing of it was sent yet
        logger.info("%s: publishing %dx%d", self.name, track.shape.width, track.shape.height)

    def _raw(self, result: Result) -> RawFrame:
        raw = raw_frame(result)
        longer = max(raw.image.shape[:2])
        side = self._shrinking.side(longer)
        if raw.planes is not None:
            if side == longer:
                return raw
            raw = replace(raw, image=self._image(raw.planes), planes=None)
        return replace(raw, image=even(shrink(raw.image, side)))

    def _publish(self) -> bool:
        """Publish until the frames' size changes or the server is lost. ``False`` when the sink was closed."""
        session = self._session
        assert session is not None
        self._last_taken = False
        try:
            while not self._last_taken:
                result, self._last_taken = self._next_result(session.REPEAT_SECONDS)
                if result is None:
                    sent = session.repeat()
                else:
                    raw = self._raw(result)
                    shape = session.track.shape
                    if raw.image.shape[:2] != (shape.height, shape.width):
                        return True
                    sent = session.send(raw)
                for frame in sent:
                    self._fates.sent(frame.index)
            return False
        except _CONNECTION_ERRORS as error:
            # Handle it here: a variable with the error would keep the encoder alive.
            if self._stop.is_set():
                return False
            if not self._reconnector.lost(error):
                raise
            return True
        finally:
            self._close_session(session)

    def _close_session(self, session: Session) -> None:
        with self._changed:
            self._session = None
        session.close()

    def _next_result(self, within: float) -> tuple[Result | None, bool]:
        """The newest result, ``None`` when none came ``within`` seconds; and whether no other one follows."""
        with self._changed:
            self._changed.wait_for(lambda: self._unseen or self._stop.is_set(), within)
            new, self._unseen = self._unseen, False
            return self._newest if new else None, self._stop.is_set()
