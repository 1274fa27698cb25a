"""The graph server's arguments."""

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graph_server.assets import ensure_models
from graph_server.assets import main as assets_main
from graph_server.config import read_config, single_servable
from graph_server.errors import GraphServerError
from graph_server.fault import HELP, parse_faults
from graph_server.landmarks import main as landmarks_main
from graph_server.memory import keep_frame_memory
from graph_server.resources import cache_folder, project_file
from graph_server.server import GraphServer, ServerOptions, label_files
from graph_server.service.limits import Limits

_EXAMPLES = """
examples:
  python -m graph_server --config_path server_config/config.json --port 9000 --rest_port 8000
  python -m graph_server --model_name echo --model_path graphs/pass_through --port 9000
  python -m graph_server --port 9000 --fault delay=50 --fault drop=0.01
  python -m graph_server assets                        fetch the models
  python -m graph_server landmarks in.mp4 --out out.npz
"""


def build_parser() -> argparse.ArgumentParser:
    """OVMS's flags under their names, and a few of our own."""
    parser = argparse.ArgumentParser(
        prog="python -m graph_server",
        description="A local stand-in for OpenVINO Model Server: same files, same behaviour on the wire.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to serve")
    what.add_argument("--config_path", type=Path, help="config.json as OVMS reads it (default: the project's)")
    what.add_argument("--model_name", help="serve one graph or model under this name")
    what.add_argument("--model_path", type=Path, help="its folder, or a .pbtxt file")
    what.add_argument("--models_dir", type=Path, help="model repository (default: the user's cache, filled if need be)")
    where = parser.add_argument_group("where to serve it")
    where.add_argument("--port", type=int, default=9000, help="gRPC port, 0 for any (default: 9000)")
    where.add_argument("--rest_port", type=int, help="REST port, 0 for any (default: no REST)")
    where.add_argument("--grpc_bind_address", default="127.0.0.1", help="address to bind (default: loopback)")
    where.add_argument("--tls_cert", type=Path, help="PEM certificate chain: serve TLS")
    where.add_argument("--tls_key", type=Path, help="PEM private key")
    _add_limits(parser.add_argument_group("limits"))
    how = parser.add_argument_group("how")
    how.add_argument("--log_level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    how.add_argument(
        "--exit_with_stdin",
        action="store_true",
        help="end when standard input closes, for servers that are embedded",
    )
    faults = parser.add_argument_group("to test clients")
    faults.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help=f"repeatable: {HELP}")
    faults.add_argument("--fault_seed", type=int, default=0, help="the same seed gives the same faults (default: 0)")
    return parser


def _add_limits(group: Any) -> None:
    default = Limits()
    group.add_argument(
        "--grpc_max_threads",
        type=_positive,
        default=default.calls,
        help=f"calls at once, of which half may be streams (default: {default.calls})",
    )
    group.add_argument(
        "--max_sessions",
        type=_positive,
        default=default.sessions,
        help=f"streams at once that have a graph (default: {default.sessions})",
    )
    group.add_argument(
        "--grpc_memory_quota",
        type=_positive,
        default=default.memory_bytes,
        help=f"bytes of frames under way, shared equally by the sessions (default: {default.memory_bytes})",
    )
    group.add_argument(
        "--max_message_bytes",
        type=_positive,
        default=default.message_bytes,
        help=f"the largest request (default: {default.message_bytes})",
    )
    group.add_argument(
        "--max_queued_packets",
        type=_positive,
        default=default.queued_packets,
        help=f"packets of a stream inside a session's graph (default: {default.queued_packets})",
    )
    group.add_argument(
        "--grpc_channel_arguments",
        type=_channel_arguments,
        default=(),
        metavar="NAME=VALUE,...",
        help="for gRPC core, as in grpc.max_concurrent_streams=64",
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    pairs = []
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise argparse.ArgumentTypeError(f"{item!r} is not NAME=VALUE")
        pairs.append((name, int(value) if value.lstrip("-").isdigit() else value))
    return tuple(pairs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is interrupted, or a subcommand."""
    keep_frame_memory()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["assets"]:
        return assets_main(arguments[1:])
    if arguments[:1] == ["landmarks"]:
        return landmarks_main(arguments[1:])
    parser = build_parser()
    options = parser.parse_args(arguments)
    if (options.model_name is None) != (options.model_path is None):
        parser.error("--model_name and --model_path go together")
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        return _serve(options)
    except GraphServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace) -> int:
    faults = parse_faults(options.fault, options.fault_seed)
    if options.model_name is not None:
        config = single_servable(
            options.model_name, options.model_path, options.models_dir or cache_folder() / "models"
        )
    else:
        models = ensure_models(options.models_dir)
        config = read_config(options.config_path or project_file("server_config/config.json"), models)
    server = GraphServer(
        config,
        ServerOptions(
            bind_address=options.grpc_bind_address,
            port=options.port,
            rest_port=options.rest_port,
            limits=Limits(
                calls=options.grpc_max_threads,
                sessions=options.max_sessions,
                message_bytes=options.max_message_bytes,
                memory_bytes=options.grpc_memory_quota,
                queued_packets=options.max_queued_packets,
            ),
            channel_arguments=options.grpc_channel_arguments,
            tls_certificate=options.tls_cert,
            tls_key=options.tls_key,
            cache=cache_folder() / "openvino",
            faults=faults,
        ),
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server.start()
    ready = {"grpc": server.address, "rest": server.rest_address, "labels": label_files(server.servables)}
    print(json.dumps(ready), flush=True)
    if options.exit_with_stdin:
        threading.Thread(target=_watch_stdin, args=(ended,), name="stdin", daemon=True).start()
    ended.wait()
    server.stop(0.5 if options.exit_with_stdin else GraphServer.GRACE_SECONDS)
    return 0


def _watch_stdin(ended: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    ended.set()
