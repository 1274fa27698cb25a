"""A fleet that runs: its streams start, and follow their file, until a signal or their end."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from stream_client.cli.fleet_tables import AnyFleet, fleet_table
from stream_client.cli.messages import error_line
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConfigurationError, ConnectError, ServerStartError
from stream_client.fleet.cluster.connection import connected
from stream_client.fleet.cluster.fleet import ClusterFleet, check_plan
from stream_client.fleet.engine import EngineOptions
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.plan import StreamPlan, read_plans
from stream_client.fleet.shared_server import at_server
from stream_client.fleet.states import FleetStates, Wanted
from stream_client.fleet.supervised import Complete
from stream_client.fleet.workers import WorkerFleet
from stream_client.monitoring.options import MetricsOptions
from stream_client.util.redact import redact
from stream_client.util.settings import Settings, read

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_MOST_WORKERS = 64
_OVER = ("ended", "stopped")


def run_fleet(flags: argparse.Namespace, plans: Sequence[StreamPlan], states: FleetStates) -> None:
    """Run ``plans``, and what their file becomes. Raises :class:`.ConfigurationError` where one cannot start."""
    stopping = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ExitStack() as stack:
            server = _server(flags, plans, stack)
            fleet = _fleet(flags, plans, server, stack, stopping)  # its processes start meanwhile
            stack.enter_context(fleet)
            if server is not None:
                print("waiting for the embedded graph server", file=sys.stderr, flush=True)
                server.start()
            problems = _apply(fleet, plans, states.wanted())
            if problems:
                name, problem = next(iter(problems.items()))
                raise ConfigurationError(f"stream {name!r}: {problem}")
            _serve_metrics(fleet, read(MetricsOptions, vars(flags)), stack)
            _watch(fleet, server, flags.streams, plans, states, flags.status_every, stopping)
            print(fleet_table(fleet), file=sys.stderr, flush=True)
            if isinstance(fleet, ClusterFleet):
                print("the streams go on in the cluster: --stop ends them", file=sys.stderr, flush=True)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _fleet(
    flags: argparse.Namespace,
    plans: Sequence[StreamPlan],
    server: EmbeddedServer | None,
    stack: ExitStack,
    stopping: threading.Event,
) -> AnyFleet:
    engine = read(EngineOptions, vars(flags))
    if engine.engine == "ray":
        if flags.workers is not None:
            raise ConfigurationError("the nodes of a cluster have as many processes as they need", option="workers")
        for plan in plans:  # before anything of them runs somewhere
            try:
                check_plan(plan, served=flags.graph_servers)
            except ConfigurationError as error:
                raise ConfigurationError(f"stream {plan.name!r}: {error.message}", option=error.option) from error
        servers = read(EmbeddedOptions, vars(flags)) if flags.graph_servers else None
        ray = stack.enter_context(connected(engine.cluster))
        return ClusterFleet(ray, flags.streams.stem, stopping.is_set, servers)
    if flags.graph_servers:
        raise ConfigurationError("only the nodes of a cluster have graph servers", option="engine", value="ray")
    complete = _completing(server)
    if flags.workers is None:
        return Fleet(complete)
    if not 1 <= flags.workers <= _MOST_WORKERS:
        raise ConfigurationError(f"{flags.workers} is out of range: 1 to {_MOST_WORKERS}", option="workers")
    return WorkerFleet(flags.workers, complete)


def _server(flags: argparse.Namespace, plans: Sequence[StreamPlan], stack: ExitStack) -> EmbeddedServer | None:
    """One embedded server for all streams that name no other, if there are such. It starts, and is not waited for."""
    if flags.engine == "ray" or all(plan.settings.get("grpc_address") for plan in plans):
        return None
    server = EmbeddedServer(read(EmbeddedOptions, vars(flags)))
    stack.callback(server.close)
    server.launch()
    return server


def _completing(server: EmbeddedServer | None) -> Complete:
    def complete(settings: Settings) -> Settings:
        if settings.get("grpc_address") or server is None:
            return settings
        return at_server(settings, server.address, server.label_files)

    return complete


def _serve_metrics(fleet: AnyFleet, options: MetricsOptions, stack: ExitStack) -> None:
    if options.metrics_port is None:
        return
    from stream_client.monitoring.prometheus.export import MetricsServer
    from stream_client.monitoring.prometheus.families import Metrics

    metrics = Metrics(fleet.statistics)
    served = stack.enter_context(MetricsServer(metrics, port=options.metrics_port, address=options.metrics_address))
    print(f"metrics: {served.url}", file=sys.stderr, flush=True)


def _watch(
    fleet: AnyFleet,
    server: EmbeddedServer | None,
    path: Path,
    plans: Sequence[StreamPlan],
    states: FleetStates,
    status_every: float,
    stopping: threading.Event,
) -> None:
    """Apply changes of the file and of what is wanted, and print the table, until ``stopping`` or the end of all."""
    seen, wanted, shown = _state(path), states.wanted(), 0.0
    while not stopping.wait(_LOOK_SECONDS):
        shown += _LOOK_SECONDS
        if server is not None:
            _keep_alive(server)
        changed = _state(path) != seen
        if changed:
            seen = _state(path)
            plans = _read_again(path, plans)
        status = fleet.status()
        try:
            fleet.look(states.looked())
            states.report(status, fleet.pictures())
            if changed:
                states.keep_only([plan.name for plan in plans])
            changed |= wanted != states.wanted()
            wanted = states.wanted()
        except ConfigurationError as error:  # a full disk, for instance: the streams go on
            logger.warning("%s", error)
        if changed:
            for name, problem in _apply(fleet, plans, wanted).items():
                print(f"stream {name!r} does not start: {redact(problem)}", file=sys.stderr, flush=True)
        if shown >= status_every:
            shown = 0.0
            print(fleet_table(fleet), file=sys.stderr, flush=True)
        if status and all(each.state in _OVER for each in status):
            return


def _keep_alive(server: EmbeddedServer) -> None:
    """Start a server again that has ended; streams find it at the same address."""
    try:
        server.revive(_LOOK_SECONDS)
    except ConnectError:  # it starts still
        pass
    except ServerStartError as error:
        logger.warning("%s", error)


def _read_again(path: Path, plans: Sequence[StreamPlan]) -> Sequence[StreamPlan]:
    """What is wrong with the file is said, and the streams go on as they are."""
    try:
        return read_plans(path)
    except ConfigurationError as error:
        print(f"not taken: {error_line(error)}", file=sys.stderr, flush=True)
        return plans


def _apply(fleet: AnyFleet, plans: Sequence[StreamPlan], wanted: Mapping[str, Wanted]) -> Mapping[str, str]:
    paused = {name for name, state in wanted.items() if state == "paused"}
    return fleet.apply([plan for plan in plans if wanted.get(plan.name) != "removed"], paused)


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0  # it is being replaced
    return status.st_mtime_ns, status.st_size
