"""``ovms-stream-client fleet``."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from stream_client.cli.fleet_run import run_fleet
from stream_client.cli.fleet_tables import fleet_table, status_table
from stream_client.cli.messages import error_line, log
from stream_client.cli.parser import Parser
from stream_client.cli.setting_flags import add_settings
from stream_client.cli.status import status_of
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError
from stream_client.fleet.cluster.connection import connected
from stream_client.fleet.cluster.fleet import ClusterFleet
from stream_client.fleet.engine import EngineOptions
from stream_client.fleet.plan import StreamPlan, check_stream, read_plans
from stream_client.fleet.states import IN_MEMORY, FleetStates, Wanted, states_file
from stream_client.monitoring.options import MetricsOptions
from stream_client.util.settings import read

_EPILOG = """
example of streams.toml:

  [defaults]
  grpc_address = "host:9000"
  labels_output = "labels/{stream}.jsonl"

  [streams.door]
  input_stream = "rtsp://camera-1/main"

The file is read again when it changes: streams that are new start, those that are gone end, others go on.
"""
_VERBS: Mapping[str, Wanted] = {"pause": "paused", "resume": "run", "remove": "removed"}


def build_parser() -> Parser:
    """The flags of ``fleet``."""
    parser = Parser("ovms-stream-client fleet", "Run many streams, each supervised.", _EPILOG)
    parser.add_argument("streams", type=Path, help="streams.toml: a run's settings under a name for each stream")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="spread the streams over N processes (default: one process)"
    )
    parser.add_argument("--status_every", type=float, default=10.0, metavar="SECONDS", help="print a table so often")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="what is paused and removed (default: beside it, streams.state.sqlite)",
    )
    add_settings(parser.add_argument, EngineOptions)
    parser.add_argument(
        "--graph_servers",
        action="store_true",
        help="run a graph server on each node of the cluster, for streams that name no server",
    )
    add_settings(parser.add_argument, MetricsOptions, "metrics_port", "metrics_address")
    add_settings(parser.add_argument, EmbeddedOptions)
    parser.add_argument("--verbose", action="store_true", help="log what happens to streams")
    add = parser.add_argument_group("a fleet that runs").add_argument
    add("--status", action="store_true", help="print what its streams do")
    add("--pause", action="append", default=[], metavar="STREAM", help="let a stream take no frame")
    add("--resume", action="append", default=[], metavar="STREAM", help="let a paused or removed stream run again")
    add("--remove", action="append", default=[], metavar="STREAM", help="end a stream, though it is in the file")
    add("--drain", metavar="NODE", help="move the streams of a node of the cluster to others, and none to it")
    add("--stop", action="store_true", help="end a fleet of a cluster: it outlives the command that started it")
    return parser


def run(arguments: Sequence[str]) -> None:
    """Run the streams of the file until a signal, or until all of them have ended; or steer a fleet that does.

    Raises :class:`~stream_client.errors.ConfigurationError` for a file or stream that cannot work at the start.
    """
    flags = build_parser().parse_args(arguments)
    log(flags.verbose)
    plans = read_plans(flags.streams)
    asked = _asked(flags, plans)
    engine = read(EngineOptions, vars(flags))
    with _states(flags.streams, flags.state) as states, ExitStack() as stack:
        if engine.engine == "ray" and not asked and (flags.status or flags.drain or flags.stop):
            ray = stack.enter_context(connected(engine.cluster))
            _steer_cluster(ClusterFleet(ray, flags.streams.stem), flags)
        elif flags.drain or flags.stop:
            raise ConfigurationError("only fleets of a cluster are drained and stopped", option="engine", value="ray")
        elif asked or flags.status:
            _steer(states, plans, asked, show=flags.status)
        else:
            run_fleet(flags, plans, states)


def _asked(flags: argparse.Namespace, plans: Sequence[StreamPlan]) -> Mapping[str, Wanted]:
    """What is asked of each stream."""
    verbs: dict[str, str] = {}
    for verb in _VERBS:
        for name in getattr(flags, verb):
            check_stream(name, plans, verb)
            if verbs.setdefault(name, verb) != verb:
                raise ConfigurationError(f"stream {name!r} is also to {verbs[name]}: ask for one of them", option=verb)
    return {name: _VERBS[verb] for name, verb in verbs.items()}


def _steer_cluster(fleet: ClusterFleet, flags: argparse.Namespace) -> None:
    if flags.drain:
        fleet.drain(flags.drain)
    if flags.stop:
        fleet.stop()
    if flags.status:
        print(fleet_table(fleet))


def _states(streams: Path, given: Path | None) -> FleetStates:
    """The fleet's states: in ``given``, else beside its file if that can be."""
    if given is not None:
        return FleetStates(given)
    try:
        return FleetStates(states_file(streams))
    except ConfigurationError as error:
        print(f"what is paused and removed is not kept: {error_line(error)}", file=sys.stderr, flush=True)
        return FleetStates(IN_MEMORY)


def _steer(states: FleetStates, plans: Sequence[StreamPlan], asked: Mapping[str, Wanted], *, show: bool) -> None:
    for name, wanted in asked.items():
        states.want(name, wanted)
    streams = states.status_now()
    if streams is None:
        print("no fleet runs with this file now", file=sys.stderr)
    if show:
        wanted_now = states.wanted()
        gone = [f"{plan.name}: removed" for plan in plans if wanted_now.get(plan.name) == "removed"]
        print("\n".join([status_table(streams or ()), *gone]))


def main(arguments: Sequence[str]) -> int:
    """``fleet`` of the command line: 0; 2 for a file that cannot work."""
    return status_of(run, arguments)
