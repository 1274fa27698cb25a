"""The thread that owns the session with the server: converts, sends, and recovers when it breaks."""

import math
import threading
import time
from collections.abc import Callable, Sequence

from stream_client.errors import (
    BadInputError,
    ConnectionLostError,
    ProtocolError,
    ServerStartError,
    StreamClientError,
    TransportError,
    UnknownServableError,
    as_error,
)
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.monitoring.observer import Observer
from stream_client.options import ServerLossPolicy
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.steps import Done, Finish, Lost, Resend, SendFrame
from stream_client.transport.base import Request, Transport
from stream_client.util.backoff import Backoff
from stream_client.util.clock import to_monotonic
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.reconnector import Reconnector
from stream_client.util.retry_plan import RetryPlan


class Sender:
    """Runs until every frame has ended. ``on_error`` is called from the sender's thread.

    ``convert`` makes the request's tensors from a frame. On loss of the server, policy ``retry``
    opens new sessions for ever or for ``retry_timeout`` seconds. The exchange decides about unanswered frames.
    ``trace`` names the trace of the frame with that timestamp, empty for none.
    """

    def __init__(
        self,
        transport: Transport,
        exchange: Exchange,
        convert: Callable[[Frame], Sequence[Tensor]],
        observer: Observer,
        on_error: Callable[[StreamClientError], None],
        *,
        on_server_loss: ServerLossPolicy,
        retry_timeout: float | None = None,
        request_timeout: float | None = None,
        trace: Callable[[int], str] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._convert = convert
        self._observer = observer
        self._on_error = on_error
        self._policy = on_server_loss
        self._retry_timeout = retry_timeout
        self._request_timeout = request_timeout
        self._trace = trace
        self._stopping = threading.Event()
        self._reconnector = Reconnector(
            "server",
            self._open_session,
            RetryPlan(timeout=retry_timeout, backoff=backoff or Backoff()),
            self._stopping,
            lambda state: observer.state("server", state),
            errors=(TransportError,),
            refuses=lambda error: isinstance(error, ServerStartError),
        )
        self._thread = OwnedThread(self._run, "sender")

    def open(self) -> None:
        """Open the first session in the calling thread; raises when no server answers."""
        self._reconnector.connect_once()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop trying to recover a lost server."""
        self._stopping.set()
        self._thread.expect_end()
        self._transport.interrupt()

    def join(self) -> None:
        """Wait until the session is closed, or left behind."""
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self._close()

    def _run(self) -> None:
        try:
            while True:
                step = self._exchange.next_step()
                match step:
                    case Done():
                        return
                    case Lost(error):
                        if not self._recover(error):
                            return
                    case _:
                        self._do(step)
        except Exception as exception:  # noqa: BLE001 - handed to the owner
            self._on_error(as_error(exception, TransportError, "sending failed"))
        finally:
            self._close()

    def _open_session(self, within: float) -> None:
        try:
            self._transport.open(self._exchange.listener(), within=within, request_timeout=self._request_timeout)
        except TransportError:
            self._transport.close()
            raise

    def _close(self) -> None:
        self._transport.close()
        self._observer.state("server", "ended")

    def _do(self, step: SendFrame | Resend | Finish) -> None:
        """Sending never waits for the network; a session that breaks reports it by its Closed event."""
        match step:
            case SendFrame(frame, dequeued):
                self._send(frame, dequeued)
            case Resend(request):
                data = self._transport.encode(request)
                self._exchange.resending(request, len(data))
                self._transport.send(request.timestamp, data)
            case Finish():
                self._transport.finish()

    def _send(self, frame: Frame, dequeued: float) -> None:
        try:
            trace = "" if self._trace is None else self._trace(frame.timestamp)
            request = Request(frame.timestamp, self._convert(frame), trace)
            converted = time.monotonic()
            data = self._transport.encode(request)
        except Exception:
            self._exchange.not_sent("conversion")
            raise
        # Stamped before the hand-over: its answer may be here before send() returns.
        camera = math.nan if frame.capture_time is None else to_monotonic(frame.capture_time)
        stamps = Stamps(frame.captured, frame.offered, dequeued, converted, sent=time.monotonic(), camera=camera)
        if self._exchange.sending(frame, request, stamps, len(data)):
            self._transport.send(request.timestamp, data)

    def _recover(self, error: StreamClientError) -> bool:
        """Open a new session. ``False`` when the run has to end; the error is then with the owner."""
        refused = isinstance(error, ProtocolError) or (
            isinstance(error, BadInputError | UnknownServableError) and not self._exchange.ever_answered
        )
        if self._stopping.is_set() or self._policy == "fail" or refused:
            reason = "server_error" if refused else "connection_lost"
            self._exchange.give_up_unanswered(reason, error)
            self._on_error(error)
            return False
        self._exchange.server_lost(error)
        self._transport.close()
        if self._exchange.session_answered:
            self._reconnector.has_worked()
        within = f"within {self._retry_timeout or 0.0:g} s"
        end: StreamClientError = ConnectionLostError(f"{error.message}; not back {within}", option="reconnect_timeout")
        try:
            back = self._reconnector.lost(error) and self._reconnector.connect()
        except ServerStartError as refusal:
            back, end = False, refusal
        except TransportError:
            back = False
        if back and self._exchange.carry_over():
            return True
        if back:
            end = ConnectionLostError(f"{error.message}; no frame is answered {within}", option="reconnect_timeout")
        self._exchange.give_up_unanswered("connection_lost", error)
        if not self._stopping.is_set():
            self._on_error(end)
        return False
