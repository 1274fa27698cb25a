"""StreamClient: wires source, transport and sinks, owns the threads, keeps the books."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from kserve_wire.malloc import keep_frame_memory
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.monitoring.connections import Connections, ConnectionSummary
from stream_client.monitoring.ledger import Ledger
from stream_client.monitoring.observer import Observer, Observers
from stream_client.monitoring.summary import Summary
from stream_client.options import RunOptions
from stream_client.pipeline.assembly import Callbacks, Connection, Processing, open_run
from stream_client.pipeline.reader import Reader
from stream_client.pipeline.run import Run
from stream_client.pipeline.sink_worker import SinkWorker
from stream_client.processing.results import LandmarkClassifier, Postprocess, label_on_image
from stream_client.sinks.factory import SinkLike, as_sinks
from stream_client.sources.factory import SourceLike, as_source
from stream_client.transport.session import Session, TransportOptions, connect
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.events import Event, Unsubscribe


class StreamClient:
    """Sends the frames of ``source`` to a server and its answers to ``sinks``.

    ``transport`` is ``"embedded"`` (a local graph server of its own, started as ``embedded`` says, or ``embedded``
    itself), an address, :class:`TransportOptions`, or a ready :class:`Session`. ``label_names`` name the scores in
    their order.
    ``preprocess`` changes the picture before it is sent (RGB uint8 in and out); ``postprocess`` makes the picture
    to show of a result (default: the server's, with the label on it). ``classifier`` labels frames by the
    landmarks of a graph that gives them (``holisticLandmarks``).
    A client runs once.

    >>> with StreamClient("in.mp4", ["out.mp4"]) as client:  # doctest: +SKIP
    ...     for result in client:
    ...         print(result.frame.index, result.label)
    """

    def __init__(
        self,
        source: SourceLike,
        sinks: SinkLike | Sequence[SinkLike] = (),
        transport: str | TransportOptions | Session = "embedded",
        *,
        options: RunOptions | None = None,
        embedded: EmbeddedOptions | EmbeddedServer | None = None,
        label_names: Sequence[str] | None = None,
        output_name: str | None = None,
        label_output_name: str | None = None,
        preprocess: Callable[[Image], Image] | None = None,
        postprocess: Postprocess = label_on_image,
        classifier: LandmarkClassifier | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._source = as_source(source)
        self._sinks = as_sinks(sinks)
        self._options = options or RunOptions()
        if isinstance(transport, str):
            transport = TransportOptions(transport, request_timeout=self._options.request_timeout)
        self._transport = transport
        self._processing = Processing(
            label_names=label_names,
            output_name=output_name,
            label_output_name=label_output_name,
            preprocess=preprocess,
            postprocess=postprocess,
            classifier=classifier,
        )
        self._connections = Connections()
        self._observer = Observers([self._connections, *observers])
        self._embedded: EmbeddedServer | None = None
        if isinstance(transport, TransportOptions) and transport.address == "embedded":
            self._embedded = embedded if isinstance(embedded, EmbeddedServer) else EmbeddedServer(embedded)
        self._run: Run | None = None
        self._results: BoundedQueue[Result] | None = None
        self._lock = threading.Lock()
        self._error: StreamClientError | None = None
        self._stop_requested = threading.Event()
        self._over = threading.Event()
        self._reader: Reader | None = None
        self._summary: Summary | None = None
        self._began = self._ended = 0.0
        self._started: Event[[StreamInfo]] = Event()
        self._resulted: Event[[Result]] = Event()
        self._stopped: Event[[Summary]] = Event()

    # --- callbacks

    def on_start(self, callback: Callable[[StreamInfo], object]) -> Unsubscribe:
        """Call ``callback`` when the run starts; returns the function that takes it back."""
        return self._started.subscribe(callback)

    def on_result(self, callback: Callable[[Result], object]) -> Unsubscribe:
        """Call ``callback`` with each result, in frame order, in the dispatcher's thread: keep it short."""
        return self._resulted.subscribe(callback)

    on_prediction = on_result

    def on_stop(self, callback: Callable[[Summary], object]) -> Unsubscribe:
        """Call ``callback`` once the run is over, however it ended."""
        return self._stopped.subscribe(callback)

    # --- running

    def run(self) -> Summary:
        """Run to the end of the source, a limit or :meth:`stop`; raises what ended the run otherwise."""
        self.start()
        return self.wait()

    def start(self) -> None:
        """Open everything and begin; returns once the run is under way. Raises what cannot be opened."""
        if self._reader is not None:
            raise ConfigurationError("a StreamClient runs once: make another one")
        keep_frame_memory()
        try:
            run = self._run = self._open()
            if self._stop_requested.is_set():
                run.stop()
            self._started(run.info)
        except BaseException as error:
            if self._run is not None:
                self._run.stop()
                self._run.join()
            self._shut_down(error if isinstance(error, StreamClientError) else None)
            raise
        self._began = self._ended = time.monotonic()
        run.start()
        threading.Thread(target=self._supervise, args=(run,), name="supervisor").start()

    def wait(self) -> Summary:
        """Wait for the end; raises what ended the run, if it was not its source, a limit or a stop."""
        # The system may hand a signal to another thread, which does not wake this one: Python runs its handler
        # only when this thread comes around.
        while not self._over.wait(0.2):
            pass
        if self._error is not None:
            raise self._error
        assert self._summary is not None
        return self._summary

    def stop(self) -> None:
        """End the run: nothing more is read, answers under way are waited for shortly. Returns at once."""
        self._stop_requested.set()
        reader, run = self._reader, self._run
        if run is not None:
            run.stop()
        elif reader is not None:
            reader.stop()
        with self._lock:
            if self._results is not None:
                self._results.close()

    def finish(self) -> None:
        """Read nothing more, as at the source's end: what was read is still sent and answered. Returns at once."""
        if self._reader is not None:
            self._reader.stop()

    @property
    def connections(self) -> Mapping[str, ConnectionSummary]:
        """The states of source, server and publishing sinks now: connecting, live, lost or ended."""
        return self._connections.snapshot()

    @property
    def opened(self) -> bool:
        """Whether source, server and sinks are open, or were: :meth:`start` has nothing left to wait for."""
        return self._run is not None

    @property
    def classifier(self) -> LandmarkClassifier | None:
        """What labels the frames in the client, if anything does."""
        return self._processing.classifier

    @property
    def summary(self) -> Summary | None:
        """How the run ended, or ``None`` while it goes on."""
        return self._summary

    def __enter__(self) -> "StreamClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self.stop()
            self._over.wait()

    def __iter__(self) -> Iterator[Result]:
        """Results in frame order; starts the run if need be. Leaving the loop early leaves the run going."""
        with self._lock:
            self._results = results = BoundedQueue[Result](SinkWorker.CAPACITY)
        unsubscribe = self.on_result(results.put)
        try:
            if self._reader is None:
                self.start()
            while (result := results.get()) is not None:
                yield result
        finally:
            unsubscribe()
            results.close()
        if self._over.is_set() or self._stop_requested.is_set():
            self.wait()

    # --- inside

    def _open(self) -> Run:
        options = self._options
        if self._embedded is not None:
            self._embedded.launch()
        self._reader = reader = Reader(
            self._source,
            self._observer,
            self._fail,
            limit_frames=options.limit_frames,
            max_fps=options.enforce_fps,
        )
        if self._stop_requested.is_set():
            reader.stop()
        callbacks = Callbacks(on_result=self._resulted, on_error=self._fail, on_sink_ended=self._sink_ended)
        return open_run(reader, self._connect, self._sinks, self._processing, options, self._observer, callbacks)

    def _connect(self) -> Connection:
        if isinstance(self._transport, Session):
            return Connection(session=self._transport, label_files={})
        if self._embedded is None:
            return Connection(session=connect(self._transport), label_files={})
        self._embedded.start()
        session = connect(replace(self._transport, address=self._embedded.address), self._embedded.servables)
        return Connection(session=session, label_files=self._embedded.label_files)

    def _fail(self, error: StreamClientError) -> None:
        """A part of the run failed; called from any of its threads."""
        with self._lock:
            if self._error is None:
                self._error = error
        self.stop()

    def _sink_ended(self, error: StreamClientError | None) -> None:
        if error is None:
            self.stop()
        else:
            self._fail(error)

    def _supervise(self, run: Run) -> None:
        run.join()
        self._ended = time.monotonic()
        self._shut_down(None)

    def _shut_down(self, error: StreamClientError | None) -> None:
        """Close what is left, check the books, tell whoever waits."""
        run = self._run
        if self._embedded is not None:
            self._embedded.close()
        self._error = self._error or error
        ledger = run.ledger if run is not None else Ledger(self._observer).snapshot()
        self._summary = Summary(
            ledger=ledger,
            info=run.info if run is not None else None,
            servable=run.session.servable if run is not None else None,
            last_failure=run.last_failure if run is not None else None,
            started=self._began,
            seconds=self._ended - self._began,
            connections=self._connections.snapshot(),
            upload_rate=run.session.transport.upload_rate if run is not None else None,
        )
        self._stop_requested.set()
        try:
            if run is not None:
                ledger.check()
            self._stopped(self._summary)
        except StreamClientError as failure:
            self._error = self._error or failure
        except Exception as failure:  # noqa: BLE001 - raised by wait(), in the owner's thread
            self._error = self._error or StreamClientError(f"an on_stop callback failed: {failure}")
        finally:
            with self._lock:
                if self._results is not None:
                    self._results.close()
            self._over.set()
