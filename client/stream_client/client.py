"""StreamClient: from source, sinks and server to a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from stream_client.compat.ovms_demo import Datatypes, DemoClient, OutputBackends
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.monitoring.connections import ConnectionSummary
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.summary import Summary
from stream_client.options import RunOptions
from stream_client.pipeline.connector import Connector
from stream_client.pipeline.plan import Plan, Processing
from stream_client.pipeline.shared_servers import SharedServers
from stream_client.pipeline.sink_worker import SinkWorker
from stream_client.pipeline.supervisor import RunEvents, Supervisor
from stream_client.processing.options import PrivacyOptions
from stream_client.processing.results import Detector, LandmarkClassifier, Postprocess, TrackClassifier, annotated
from stream_client.replicas.snapshot import ReplicaSnapshot
from stream_client.sinks.factory import SinkLike, as_sinks
from stream_client.sources.factory import SourceLike, as_source
from stream_client.tracing.options import TracingOptions
from stream_client.tracing.tracer import Tracer
from stream_client.transport.addresses import EMBEDDED
from stream_client.transport.base import Transport
from stream_client.transport.function import FunctionTransport, ModelFunction
from stream_client.transport.options import TransportOptions
from stream_client.transport.session import Session, own_session
from stream_client.util.bounded_queue import BoundedQueue
from stream_client.util.events import Unsubscribe

TransportLike = str | TransportOptions | Session | Transport | ModelFunction
"""A server's address or :class:`.TransportOptions`, a session or transport of one's own, or a model as a function."""


class StreamClient:
    """Sends the frames of ``source`` to a server and its answers to ``sinks``.

    ``source``: a camera's number, a path, a URL, a function or an iterable of frames (RGB uint8 [height, width, 3]),
    or a :class:`~stream_client.Source`. ``sinks``: ``"screen"``, a path, a URL, a function of a
    :class:`~stream_client.Result`, a :class:`~stream_client.Sink`, or a list of these. ``transport``: ``"embedded"``
    (a local graph server, started as ``embedded`` says, or ``embedded`` itself), a server's ``host:port``, those of
    replicas (``"a:9000,b:9000"``), :class:`~stream_client.TransportOptions`, a model as a function from
    :class:`~stream_client.Request` to arrays by output name, a :class:`~stream_client.Transport` or a
    :class:`~stream_client.Session`.

    ``servers`` is shared with other clients in this process: they use the same channels, and each knows the load of
    all.
    ``label_names`` name the scores in their order. ``output_name`` and ``label_output_name`` choose outputs of the
    server; without them the client looks for a frame and for scores. ``preprocess`` changes a frame before it is sent
    (RGB uint8 in and out); ``postprocess`` makes the frame to show of a result (default: the server's, with the label
    on it). ``classifier`` labels frames by the landmarks of a graph that gives them (``holisticLandmarks``).
    ``detector`` reads detections from a model's outputs (:class:`stream_client.tracking.DetectionReader`), and
    ``track_classifier`` labels each track that has key points (:class:`stream_client.classify.TrackClassifiers`).
    ``privacy`` hides faces, persons or the background before any sink, callback or ``postprocess`` sees a frame.
    Without ``pictures`` nobody looks at images: nothing is drawn here, and frames that are passed on stay black.
    With ``planes`` sinks and callbacks take ``Result.planes``, where frames are sent and come back as such.
    ``tracing`` sends traces of a share of the frames to an OpenTelemetry collector.
    ``on_start``, ``on_result`` and ``on_stop`` are subscribed as by the methods of these names.

    A client runs once. With the keyword ``postprocess_callback`` the result is a
    :class:`~stream_client.compat.ovms_demo.DemoClient` instead, for scripts of OVMS's demo.

    >>> with StreamClient("in.mp4", ["out.mp4"]) as client:  # doctest: +SKIP
    ...     for result in client:
    ...         print(result.frame.index, result.label)
    """

    OutputBackends = OutputBackends
    Datatypes = Datatypes

    def __init__(
        self,
        source: SourceLike,
        sinks: SinkLike | Sequence[SinkLike] = (),
        transport: TransportLike = "embedded",
        *,
        options: RunOptions | None = None,
        embedded: EmbeddedOptions | EmbeddedServer | None = None,
        servers: SharedServers | None = None,
        label_names: Sequence[str] | None = None,
        output_name: str | None = None,
        label_output_name: str | None = None,
        preprocess: Callable[[Image], Image] | None = None,
        postprocess: Postprocess | None = None,
        classifier: LandmarkClassifier | None = None,
        detector: Detector | None = None,
        track_classifier: TrackClassifier | None = None,
        privacy: PrivacyOptions | None = None,
        pictures: bool = True,
        planes: bool = False,
        observers: Sequence[Observer] = (),
        tracing: TracingOptions | None = None,
        on_start: Callable[[StreamInfo], object] | None = None,
        on_result: Callable[[Result], object] | None = None,
        on_stop: Callable[[Summary], object] | None = None,
    ) -> None:
        options = options or RunOptions()
        self._processing = Processing(
            label_names=label_names,
            output_name=output_name,
            label_output_name=label_output_name,
            preprocess=preprocess,
            postprocess=postprocess or annotated,
            classifier=classifier,
            detector=detector,
            track_classifier=track_classifier,
            privacy=privacy or PrivacyOptions(),
            pictures=pictures,
            planes=planes,
        )
        plan = Plan(
            source=as_source(source, reconnect_timeout=options.reconnect_timeout),
            sinks=as_sinks(sinks, reconnect_timeout=options.reconnect_timeout),
            server=_connector(transport, embedded, servers),
            processing=self._processing,
            options=options,
            observers=observers,
            tracer=None if tracing is None or tracing.otel_endpoint is None else Tracer(tracing),
        )
        self._events = RunEvents()
        self._supervisor = Supervisor(plan, self._events)
        if plan.tracer is not None:
            self.on_result(plan.tracer.resulted)
        if on_start is not None:
            self.on_start(on_start)
        if on_result is not None:
            self.on_result(on_result)
        if on_stop is not None:
            self.on_stop(on_stop)

    if not TYPE_CHECKING:  # typed code cannot give the demo's keywords: it calls DemoClient

        def __new__(cls, *arguments, **keywords):
            """Scripts of OVMS's demo get their own class. A metaclass could do this too, but would bind subclasses."""
            if "postprocess_callback" in keywords:
                return DemoClient(*arguments, **keywords)
            return super().__new__(cls)

        __new__.__wrapped__ = __init__  # help() and inspect.signature show the constructor's parameters

    # --- callbacks

    def on_start(self, callback: Callable[[StreamInfo], object]) -> Unsubscribe:
        """Call ``callback`` when the run starts; returns the function that unsubscribes."""
        return self._events.started.subscribe(callback)

    def on_result(self, callback: Callable[[Result], object]) -> Unsubscribe:
        """Call ``callback`` with each result, in frame order, in the dispatcher's thread: keep it short."""
        return self._events.resulted.subscribe(callback)

    def on_stop(self, callback: Callable[[Summary], object]) -> Unsubscribe:
        """Call ``callback`` once the run is over, however it ended."""
        return self._events.stopped.subscribe(callback)

    # --- running

    def run(self) -> Summary:
        """Run to the end of the source, a limit or :meth:`stop`. Raises the error that ended the run otherwise."""
        self.start()
        return self.wait()

    def start(self) -> None:
        """Open everything and start. Returns when the run has started. Raises if something cannot be opened."""
        self._supervisor.start()

    def wait(self) -> Summary:
        """Wait for the end. Raises the error that ended the run, if it was an error."""
        return self._supervisor.wait()

    def stop(self) -> None:
        """End the run. Nothing more is read; answers in flight have a short time to arrive. Returns at once."""
        self._supervisor.stop()

    def finish(self) -> None:
        """Stop reading, as at the source's end. Frames that were read are still sent and answered. Returns at once."""
        self._supervisor.finish()

    def pause(self) -> None:
        """Take no frame until :meth:`resume`: a file waits, a live source's frames are dropped. Returns at once."""
        self._supervisor.pause()

    def resume(self) -> None:
        """Go on after :meth:`pause`. Returns at once."""
        self._supervisor.resume()

    @property
    def connections(self) -> Mapping[str, ConnectionSummary]:
        """The states of source, server and publishing sinks now: connecting, live, lost or ended."""
        return self._supervisor.connections

    @property
    def replicas(self) -> Sequence[ReplicaSnapshot]:
        """The replicas of the server now, in the order of their list; none where there is one server."""
        return self._supervisor.replicas

    @property
    def opened(self) -> bool:
        """Whether source, server and sinks have been opened."""
        return self._supervisor.opened

    @property
    def classifier(self) -> LandmarkClassifier | None:
        """The client's own classifier, if there is one."""
        return self._processing.classifier

    @property
    def summary(self) -> Summary | None:
        """How the run ended, or ``None`` while it goes on."""
        return self._supervisor.summary

    def __enter__(self) -> StreamClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.close()

    def __iter__(self) -> Iterator[Result]:
        """Results in frame order. Starts the run if needed. The run goes on when the loop is left early."""
        results: BoundedQueue[Result] = BoundedQueue(SinkWorker.CAPACITY)
        with ExitStack() as stack:
            stack.callback(results.close)
            stack.callback(self.on_result(results.put))
            stack.callback(self._events.stopping.subscribe(results.close))
            if not self._supervisor.started:
                self.start()
            elif self._supervisor.stopping:
                results.close()
            while (result := results.get()) is not None:
                yield result
        if self._supervisor.stopping:
            self.wait()


def _connector(
    transport: TransportLike, embedded: EmbeddedOptions | EmbeddedServer | None, servers: SharedServers | None
) -> Connector:
    if isinstance(transport, str):
        transport = TransportOptions(transport)
    if isinstance(transport, TransportOptions) and transport.address == EMBEDDED:
        if not isinstance(embedded, EmbeddedServer):
            embedded = EmbeddedServer(embedded, transport.model_name)
        return Connector(transport, embedded)
    if embedded is not None:
        raise ConfigurationError("embedded is for the transport 'embedded' only: leave one of them out")
    if isinstance(transport, TransportOptions | Session):
        return Connector(transport, shared=servers)
    if isinstance(transport, type):
        raise ConfigurationError(f"{transport.__name__} is a class: give an object of it as the transport")
    if isinstance(transport, Transport):
        return Connector(own_session(transport, type(transport).__name__))
    if callable(transport):
        return Connector(own_session(FunctionTransport(transport), _name(transport)))
    raise ConfigurationError(
        f"{type(transport).__name__} is not a transport: give an address, TransportOptions, a Session, a Transport, or "
        "a function from a Request to arrays by output name"
    )


def _name(function: ModelFunction) -> str:
    return getattr(function, "__name__", type(function).__name__)
