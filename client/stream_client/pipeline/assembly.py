"""Opens source, server and sinks, and builds the pipeline between them."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.frames import Image, Result, StreamInfo
from stream_client.landmarks.decoder import LandmarkDecoder
from stream_client.monitoring.events import together
from stream_client.monitoring.ledger import Ledger
from stream_client.monitoring.observer import Observer
from stream_client.options import DamagePolicy, DropPolicy, RunOptions
from stream_client.pipeline.budget import DIVISORS
from stream_client.pipeline.connector import Connector
from stream_client.pipeline.credits import OwnCredits, StreamCredits
from stream_client.pipeline.dispatcher import Dispatcher
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.flow import LONG_QUEUE, SHORT_QUEUE, AdaptiveWindow, FixedWindow, Window, frame_queue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.latency_budget import LatencyBudget
from stream_client.pipeline.reader import Reader
from stream_client.pipeline.run import Run
from stream_client.pipeline.sender import Sender
from stream_client.pipeline.sink_worker import SinkWorker
from stream_client.pipeline.wire_choice import WireChoice
from stream_client.processing.labels import read_label_names
from stream_client.processing.options import PrivacyOptions
from stream_client.processing.pictures import gives_data_alone, pictures_for
from stream_client.processing.privacy import Privacy
from stream_client.processing.requests import Converter, converter
from stream_client.processing.results import (
    CanFollow,
    Detector,
    LandmarkClassifier,
    OutputFinder,
    Postprocess,
    ResultBuilder,
    TrackClassifier,
    annotated,
)
from stream_client.processing.small_frames import SmallFrames, restorer
from stream_client.sinks.base import LandmarksUser, Sink
from stream_client.sources.base import GivesPlanes, Holdable, Passable, Source
from stream_client.tracing.tracer import Tracer
from stream_client.transport.image_format import ImageFormat
from stream_client.transport.options import PLANE_WIRES
from stream_client.transport.servable import Servable
from stream_client.transport.session import Session
from stream_client.util.stream_names import numbered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """What is done with frames and answers; :class:`~stream_client.client.StreamClient` describes the fields."""

    label_names: Sequence[str] | None = None
    output_name: str | None = None
    label_output_name: str | None = None
    preprocess: Callable[[Image], Image] | None = None
    postprocess: Postprocess = annotated
    classifier: LandmarkClassifier | None = None
    detector: Detector | None = None
    track_classifier: TrackClassifier | None = None
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)
    pictures: bool = True
    planes: bool = False

    def converter(self, session: Session, small_frames: SmallFrames | None) -> Converter:
        """Makes the tensors that ``session`` takes from a frame's image."""
        shrink = None if small_frames is None else small_frames.shrink
        steps = (self.preprocess, shrink, self._fit(session.image_format))
        return converter(session, [step for step in steps if step is not None])

    def reuses(self, servable: Servable) -> bool:
        """Whether a result can be shown on a newer frame: where this side draws, and hides nothing that may move."""
        return self.privacy.blur is None and (self.detector is not None or gives_data_alone(servable))

    def _for_persons(self, servable: Servable) -> TrackClassifier | None:
        if self.track_classifier is not None or self.classifier is None or not servable.gives_persons:
            return self.track_classifier
        if not isinstance(self.classifier, CanFollow):
            raise ConfigurationError("this classifier follows one person: it has no for_persons()", option="classifier")
        return self.classifier.for_persons()

    def _fit(self, image_format: ImageFormat) -> Callable[[Image], Image] | None:
        """Detections know how the frame was brought to the model's one size; nothing else does."""
        if self.detector is None or image_format.width is None or image_format.height is None:
            return None
        return partial(self.detector.fit, width=image_format.width, height=image_format.height)

    def builder(
        self, session: Session, small_frames: SmallFrames | None, start: int, label_files: Mapping[str, Path]
    ) -> ResultBuilder:
        """Makes results from the outputs of ``session``. ``start``: the timestamp, in µs, of the source's time zero.

        ``label_files`` name the scores of servables where ``label_names`` do not.
        """
        servable = session.servable
        changes = small_frames is not None or self.detector is not None or self.privacy.blur is not None
        names = self.label_names
        if names is None:
            names = read_label_names(label_files[servable.name]) if servable.name in label_files else ()
        return ResultBuilder(
            roles=OutputFinder(servable, self.output_name, self.label_output_name, detects=self.detector is not None),
            restore=restorer(session.image_format, small_frames),
            sent_size=session.image_format.sent_size,
            returned_planes=session.image_format.returned_planes,
            pictures=pictures_for(servable, wanted=self.pictures, planes=self.planes and not changes),
            label_names=names,
            start=start,
            decoder=LandmarkDecoder() if servable.gives_landmarks else None,
            several=servable.gives_persons,
            classifier=self.classifier,
            detector=self.detector,
            track_classifier=self._for_persons(servable),
            privacy=None if self.privacy.blur is None else Privacy(self.privacy),
            reuses=self.reuses(servable),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """What the pipeline's threads call: for each result, for an error, and when a sink has ended."""

    on_result: Callable[[Result], None]
    on_error: Callable[[StreamClientError], None]
    on_sink_ended: Callable[[StreamClientError | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of. Nothing of it is open yet."""

    source: Source
    sinks: Sequence[Sink]
    server: Connector
    processing: Processing
    options: RunOptions
    observers: Sequence[Observer] = ()
    tracer: Tracer | None = None


def open_run(
    plan: Plan, reader: Reader, observer: Observer, callbacks: Callbacks, budget: LatencyBudget | None = None
) -> Run:
    """Open everything in order: source, server, sinks. When one cannot be opened, those before it are closed.

    ``reader`` reads the plan's source, and leaves out what ``budget`` says.
    """
    options, processing, sinks = plan.options, plan.processing, plan.sinks
    with ExitStack() as opened:
        opened.callback(reader.join)
        opened.callback(reader.stop)
        if options.drop_policy == "block" and isinstance(plan.source, Holdable):
            plan.source.keep_all()
        # What the graph takes decides what an automatic choice asks of the source; else the source comes first.
        connection = plan.server.connect() if plan.server.wire == "auto" else None
        choice = WireChoice(plan.server.wire, options, processing.preprocess)
        choice.check_source(plan.source)
        if isinstance(plan.source, Passable) and choice.may_pass(connection):
            plan.source.pass_on()
        if isinstance(plan.source, GivesPlanes) and (planes := PLANE_WIRES.get(plan.server.wire)) is not None:
            plan.source.give_planes(planes)
        info = reader.open()
        if not options.audio:
            info = replace(info, sound=None)
        _say_what_is_lost(info)
        choice.check(info)
        connection = connection or plan.server.connect()
        session = connection.session
        # A sink that opens empties its file. So refuse first what can be refused.
        _check_landmarks(processing, sinks, session.servable)
        reuses = processing.reuses(session.servable)
        small_frames = _small_frames(options, info, session, budget, observer, reuses=reuses)
        convert = processing.converter(session, small_frames)
        builder = processing.builder(session, small_frames, info.start, connection.label_files)
        names = numbered([sink.name for sink in sinks])
        workers = [
            SinkWorker(sink, observer, callbacks.on_sink_ended, name) for sink, name in zip(sinks, names, strict=True)
        ]
        credits = plan.server.credits(options.weight)
        exchange = _exchange(
            *(options, info, session.servable, observer, processing.output_name, workers, credits),
            reuses=reuses,
        )
        if credits is not None:
            opened.callback(credits.leave)
            credits.on_wake(exchange.wake)
            observer.share(credits.share)
        observer.started(info.name, session.servable.name, exchange.snapshot)
        observer.outputs(lambda: {worker.name: worker.output() for worker in workers})
        observer.replicas(plan.server.replicas)
        observer.events(lambda: together(worker.events() for worker in workers))
        for worker in workers:
            opened.callback(worker.join)
            opened.callback(worker.finish)
            opened.callback(worker.expect_end)
            worker.start(info)
        sender = Sender(
            session.transport,
            exchange,
            convert,
            observer,
            callbacks.on_error,
            on_server_loss=options.on_server_loss,
            retry_timeout=_server_timeout(options, info),
            request_timeout=options.request_timeout,
            trace=None if plan.tracer is None else plan.tracer.parent_of,
        )
        opened.callback(sender.join)
        sender.open()
        dispatcher = Dispatcher(
            exchange,
            builder,
            processing.postprocess if processing.pictures else (lambda result: result.image),
            workers,
            callbacks.on_result,
            callbacks.on_error,
        )
        opened.pop_all()
    observer.line_measured(session.line)
    return Run(
        info,
        session,
        exchange,
        reader,
        sender,
        dispatcher,
        time_limit=options.limit_stream_duration,
        stop_timeout=options.stop_timeout,
        damaged=damage_policy(options, info),
        probe=plan.server.line_probe(observer.line_measured),
    )


def _small_frames(
    options: RunOptions,
    info: StreamInfo,
    session: Session,
    budget: LatencyBudget | None,
    observer: Observer,
    *,
    reuses: bool,
) -> SmallFrames | None:
    if budget is None:
        return None if options.max_side is None else SmallFrames(options.max_side)
    budget.begin(info, free_size=session.image_format.width is None, reuses=reuses)
    observer.budget(budget.snapshot)
    return SmallFrames(options.max_side, lambda: budget.divisor, DIVISORS)


def _server_timeout(options: RunOptions, info: StreamInfo) -> float | None:
    """How long to try to reach a lost server: a live source waits for ever by default, a file does not."""
    if options.reconnect_timeout is None and not info.live:
        return options.FILE_RECONNECT_TIMEOUT
    return options.reconnect_timeout


def _say_what_is_lost(info: StreamInfo) -> None:
    """Frames have 8 bits a sample and no high dynamic range."""
    color = info.color
    if color.hdr:
        text = f"{info.name} is HDR ({color.hdr}, {color.bits} bits): without tone mapping its frames look pale"
        logger.warning("%s", StreamClientError(text, option="tone_map"))
    elif color.bits > 8:
        logger.warning("%s has %d bits a sample, its frames have 8", info.name, color.bits)


def damage_policy(options: RunOptions, info: StreamInfo) -> DamagePolicy:
    """By default a live source's damaged frames are skipped, unless no frame may be dropped. A file's are used."""
    return options.damaged or ("skip" if info.live and options.drop_policy != "block" else "pass")


def _exchange(
    options: RunOptions,
    info: StreamInfo,
    servable: Servable,
    observer: Observer,
    image_output: str | None,
    workers: Sequence[SinkWorker],
    credits: StreamCredits | None,
    *,
    reuses: bool,
) -> Exchange:
    policy = options.drop_policy or ("latest" if info.live else "block")
    joiner = Joiner(
        expected=frozenset(spec.name for spec in servable.outputs),
        image_output=image_output,
        request_timeout=options.request_timeout,
        join_timeout=options.join_timeout,
        resend_timeout=math.inf if info.live else _server_timeout(options, info) or 0.0,
    )
    return Exchange(
        frame_queue(policy),
        _window(options, policy, credits),
        joiner,
        Ledger(),
        observer,
        credits=credits or OwnCredits(),
        resend=not info.live and options.on_server_loss == "retry",
        reuses=reuses,
        sink_queues=lambda: {worker.name: worker.depth for worker in workers},
    )


def _window(options: RunOptions, policy: DropPolicy, credits: StreamCredits | None) -> Window:
    """Under ``latest`` latency counts, under ``block`` throughput."""
    if options.max_inflight == "auto":
        waiting = SHORT_QUEUE if policy == "latest" else LONG_QUEUE
        adaptive = AdaptiveWindow(waiting=waiting, latency_target=options.latency_target or options.latency_budget)
        return adaptive if credits is None else credits.widen(adaptive)
    fixed = FixedWindow(options.max_inflight)
    return fixed if credits is None else credits.heard_by(fixed)


def _check_landmarks(processing: Processing, sinks: Sequence[Sink], servable: Servable) -> None:
    wanted = processing.classifier is not None or any(
        isinstance(sink, LandmarksUser) and sink.needs_landmarks for sink in sinks
    )
    if wanted and not (servable.gives_landmarks or servable.gives_persons):
        raise ConfigurationError(
            f"{servable.name!r} gives no landmarks: graphs/holistic_landmarks and graphs/holistic_persons do",
            option="model_name",
            value="holisticLandmarks",
        )
    says = servable.gives_landmarks or servable.gives_persons or processing.detector is not None
    if processing.privacy.blur is not None and not says:
        raise ConfigurationError(
            f"{servable.name!r} does not say where persons are: take graphs/holistic_landmarks, or read detections",
            option="blur",
        )
