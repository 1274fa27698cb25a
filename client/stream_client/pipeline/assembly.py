"""Opens source, server and sinks, and builds the pipeline between them."""

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from stream_client.errors import StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.events import together
from stream_client.monitoring.ledger import Ledger
from stream_client.monitoring.observer import Observer
from stream_client.pipeline.budget import DIVISORS
from stream_client.pipeline.connector import Connection
from stream_client.pipeline.credits import OwnCredits
from stream_client.pipeline.defaults import damage_policy, drop_policy, server_timeout, window
from stream_client.pipeline.dispatcher import Dispatcher
from stream_client.pipeline.exchange import Exchange
from stream_client.pipeline.flow import frame_queue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.latency_budget import LatencyBudget
from stream_client.pipeline.plan import Callbacks, Plan
from stream_client.pipeline.reader import Reader
from stream_client.pipeline.run import Run
from stream_client.pipeline.sender import Sender
from stream_client.pipeline.sink_worker import SinkWorker
from stream_client.pipeline.wire_choice import WireChoice
from stream_client.processing.requests import Converter
from stream_client.processing.small_frames import SmallFrames
from stream_client.sources.base import GivesPlanes, Holdable, Passable
from stream_client.transport.options import PLANE_WIRES
from stream_client.util.stream_names import numbered

logger = logging.getLogger(__name__)


def open_run(
    plan: Plan, reader: Reader, observer: Observer, callbacks: Callbacks, budget: LatencyBudget | None = None
) -> Run:
    """Open everything in order: source, server, sinks. When one cannot be opened, those before it are closed.

    ``reader`` reads the plan's source, and leaves out what ``budget`` says.
    """
    with ExitStack() as opened:
        opened.callback(reader.join)
        opened.callback(reader.stop)
        info, connection = _open_source_and_server(plan, reader)
        plan.check(connection.session.servable)  # opening a sink empties its file
        run = _Assembly(plan, info, connection, observer, callbacks, budget).run(reader, opened)
        opened.pop_all()
    return run


def _open_source_and_server(plan: Plan, reader: Reader) -> tuple[StreamInfo, Connection]:
    """What the graph takes decides what an automatic choice asks of the source; else the source comes first."""
    options, source, wire = plan.options, plan.source, plan.server.wire
    if options.drop_policy == "block" and isinstance(source, Holdable):
        source.keep_all()
    connection = plan.server.connect() if wire == "auto" else None
    choice = WireChoice(wire, options, plan.processing.preprocess)
    choice.check_source(source)
    if isinstance(source, Passable) and choice.may_pass(connection):
        source.pass_on()
    if isinstance(source, GivesPlanes) and (planes := PLANE_WIRES.get(wire)) is not None:
        source.give_planes(planes)
    info = reader.open()
    if not options.audio:
        info = replace(info, sound=None)
    _say_what_is_lost(info)
    choice.check(info)
    return info, connection or plan.server.connect()


@dataclass(frozen=True, slots=True)
class _Assembly:
    """Builds the pipeline between a source and a server that are open."""

    plan: Plan
    info: StreamInfo
    connection: Connection
    observer: Observer
    callbacks: Callbacks
    budget: LatencyBudget | None

    def run(self, reader: Reader, opened: ExitStack) -> Run:
        """The run, with its sinks open. ``opened`` closes what cannot stay open."""
        options, processing, session = self.plan.options, self.plan.processing, self.connection.session
        small_frames = self._small_frames()
        convert = processing.converter(session, small_frames)
        builder = processing.builder(session, small_frames, self.info.start, self.connection.label_files)
        workers = self._workers()
        exchange = self._exchange(workers, opened)
        self._introduce(exchange, workers)
        for worker in workers:
            opened.callback(worker.join)
            opened.callback(worker.finish)
            opened.callback(worker.expect_end)
            worker.start(self.info)
        sender = self._sender(exchange, convert)
        opened.callback(sender.join)
        sender.open()
        dispatcher = Dispatcher(
            exchange,
            builder,
            processing.postprocess if processing.pictures else (lambda result: result.image),
            workers,
            self.callbacks.on_result,
            self.callbacks.on_error,
        )
        self.observer.line_measured(session.line)
        return Run(
            self.info,
            session,
            exchange,
            reader,
            sender,
            dispatcher,
            time_limit=options.limit_stream_duration,
            stop_timeout=options.stop_timeout,
            damaged=damage_policy(options, self.info),
            probe=self.plan.server.line_probe(self.observer.line_measured),
        )

    @property
    def _reuses(self) -> bool:
        return self.plan.processing.reuses(self.connection.session.servable)

    def _small_frames(self) -> SmallFrames | None:
        max_side, budget = self.plan.options.max_side, self.budget
        if budget is None:
            return None if max_side is None else SmallFrames(max_side)
        free_size = self.connection.session.image_format.width is None
        budget.begin(self.info, free_size=free_size, reuses=self._reuses)
        self.observer.budget(budget.snapshot)
        return SmallFrames(max_side, lambda: budget.divisor, DIVISORS)

    def _workers(self) -> list[SinkWorker]:
        sinks = self.plan.sinks
        names = numbered([sink.name for sink in sinks])
        ended = self.callbacks.on_sink_ended
        return [SinkWorker(sink, self.observer, ended, name) for sink, name in zip(sinks, names, strict=True)]

    def _exchange(self, workers: Sequence[SinkWorker], opened: ExitStack) -> Exchange:
        options, info = self.plan.options, self.info
        joiner = Joiner(
            expected=frozenset(spec.name for spec in self.connection.session.servable.outputs),
            image_output=self.plan.processing.output_name,
            request_timeout=options.request_timeout,
            join_timeout=options.join_timeout,
            resend_timeout=math.inf if info.live else server_timeout(options, info) or 0.0,
        )
        credits = self.plan.server.credits(options.weight)
        exchange = Exchange(
            frame_queue(drop_policy(options, info)),
            window(options, info, credits),
            joiner,
            Ledger(),
            self.observer,
            credits=credits or OwnCredits(),
            resend=not info.live and options.on_server_loss == "retry",
            reuses=self._reuses,
            sink_queues=lambda: {worker.name: worker.depth for worker in workers},
        )
        if credits is not None:
            opened.callback(credits.leave)
            credits.on_wake(exchange.wake)
            self.observer.share(credits.share)
        return exchange

    def _introduce(self, exchange: Exchange, workers: Sequence[SinkWorker]) -> None:
        """Tell the observer that the run begins, and where it finds the numbers of its parts."""
        observer = self.observer
        observer.started(self.info.name, self.connection.session.servable.name, exchange.snapshot)
        observer.outputs(lambda: {worker.name: worker.output() for worker in workers})
        observer.replicas(self.plan.server.replicas)
        observer.events(lambda: together(worker.events() for worker in workers))

    def _sender(self, exchange: Exchange, convert: Converter) -> Sender:
        options, tracer = self.plan.options, self.plan.tracer
        return Sender(
            self.connection.session.transport,
            exchange,
            convert,
            self.observer,
            self.callbacks.on_error,
            on_server_loss=options.on_server_loss,
            retry_timeout=server_timeout(options, self.info),
            request_timeout=options.request_timeout,
            trace=None if tracer is None else tracer.parent_of,
        )


def _say_what_is_lost(info: StreamInfo) -> None:
    """Frames have 8 bits a sample and no high dynamic range."""
    color = info.color
    if color.hdr:
        text = f"{info.name} is HDR ({color.hdr}, {color.bits} bits): without tone mapping its frames look pale"
        logger.warning("%s", StreamClientError(text, option="tone_map"))
    elif color.bits > 8:
        logger.warning("%s has %d bits a sample, its frames have 8", info.name, color.bits)
