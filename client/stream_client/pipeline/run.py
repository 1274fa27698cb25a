"""The threads of a run, which are started, stopped and joined together."""

import threading
import time
from collections.abc import Mapping

from stream_client.errors import StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.events import EventsSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.options import DamagePolicy
from stream_client.pipeline.dispatcher import Dispatcher
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.reader import Reader
from stream_client.pipeline.sender import Sender
from stream_client.replicas.lines import ReplicaLines
from stream_client.transport.line import LineProbe
from stream_client.transport.session import Session
from stream_client.util.owned_thread import OwnedThread


class Run:
    """Reader, sender and dispatcher around one exchange, all of them open.

    ``time_limit``: seconds after which nothing more is read, 0 for none. ``stop_timeout``: how long a stopped run
    waits for answers. ``probe`` measures the lines to servers.
    """

    def __init__(
        self,
        info: StreamInfo,
        session: Session,
        exchange: Exchange,
        reader: Reader,
        sender: Sender,
        dispatcher: Dispatcher,
        *,
        time_limit: float,
        stop_timeout: float,
        damaged: DamagePolicy = "pass",
        probe: LineProbe | ReplicaLines | None = None,
    ) -> None:
        self.info = info
        self.session = session
        self._exchange = exchange
        self._reader = reader
        self._sender = sender
        self._dispatcher = dispatcher
        self._stop_timeout = stop_timeout
        self._damaged = damaged
        self._probe = probe
        self._stop_requested = threading.Event()
        self._joined = threading.Event()
        self._timer = threading.Timer(time_limit, reader.stop) if time_limit else None

    @property
    def ledger(self) -> LedgerSnapshot:
        """The counts of frames now."""
        return self._exchange.snapshot()

    @property
    def last_failure(self) -> StreamClientError | None:
        """Why the last frame that failed did so."""
        return self._dispatcher.last_failure

    def outputs(self) -> Mapping[str, OutputSnapshot]:
        """What became of the results at each output so far."""
        return self._dispatcher.outputs()

    def events(self) -> EventsSnapshot:
        """The events that were found so far."""
        return self._dispatcher.events()

    def start(self) -> None:
        """Let the frames flow."""
        if self._probe is not None:
            self._probe.start()
        self._dispatcher.start()
        self._sender.start()
        self._reader.start(self._exchange, self._damaged)
        if self._timer is not None:
            self._timer.start()

    def stop(self) -> None:
        """Read and send nothing more; wait for answers a short time. Returns at once."""
        self._stop_requested.set()
        self._exchange.stop()
        self._sender.stop()
        self._dispatcher.expect_end()
        self._reader.stop()

    def join(self) -> None:
        """Wait for every thread, and until outputs are closed. A run that was never started has to be stopped first."""
        self._reader.join()
        watchdog = threading.Thread(target=self._bound_the_stop, name="stop watchdog")
        watchdog.start()
        self._sender.join()
        self._dispatcher.join()
        self._exchange.close_books(self._dispatcher.kept)
        self._joined.set()
        self._stop_requested.set()
        watchdog.join()
        if self._probe is not None:
            self._probe.close()
        if self._timer is not None:
            self._timer.cancel()

    def _bound_the_stop(self) -> None:
        """After a stop, wait for answers for ``stop_timeout`` seconds and then abort; then give up stuck sinks."""
        self._stop_requested.wait()
        stopped = time.monotonic()
        if not self._exchange.wait_unanswered(self._stop_timeout):
            self._exchange.abort("stopped", StreamClientError("the run was stopped"))
        if not self._joined.wait(max(0.0, stopped + OwnedThread.LIMIT - time.monotonic())):
            self._dispatcher.abandon()
