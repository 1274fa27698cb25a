"""The graph server's flags: OVMS's under their names, and a few of our own."""

import argparse
import json
from pathlib import Path
from typing import Any

from graph_server.fault import HELP
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
    _add_model(parser.add_argument_group("settings of the one model, as in config.json"))
    what.add_argument("--models_dir", type=Path, help="model repository (default: the user's cache, filled if need be)")
    where = parser.add_argument_group("where to serve it")
    where.add_argument("--port", type=int, default=9000, help="gRPC port, 0 for any (default: 9000)")
    where.add_argument("--rest_port", type=int, help="REST port, 0 for any (default: no REST)")
    where.add_argument(
        "--grpc_bind_address", default="127.0.0.1", help="addresses to bind, with commas (default: loopback)"
    )
    where.add_argument("--rest_bind_address", help="address to bind for REST (default: as gRPC)")
    where.add_argument("--tls_cert", type=Path, help="PEM certificate chain: serve TLS")
    where.add_argument("--tls_key", type=Path, help="PEM private key")
    where.add_argument(
        "--tls_client_ca", type=Path, help="PEM certificates: admit only clients with one signed by them"
    )
    _add_limits(parser.add_argument_group("limits"))
    how = parser.add_argument_group("how")
    how.add_argument("--log_level", default="INFO", choices=("TRACE", "DEBUG", "INFO", "WARNING", "ERROR"))
    how.add_argument("--log_path", type=Path, help="file to write the log to as well")
    how.add_argument("--metrics_enable", action="store_true", help="serve /metrics on the REST port")
    how.add_argument("--metrics_list", type=_names, metavar="NAME,...", help="which metrics (default: OVMS's default)")
    how.add_argument(
        "--file_system_poll_wait_seconds",
        type=_seconds,
        default=1.0,
        help="how often the configuration and the models' folders are looked at for changes, 0: never (default: 1)",
    )
    how.add_argument("--cache_dir", type=Path, help="where OpenVINO keeps compiled models (default: the user's cache)")
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
        "--grpc_workers", type=_positive, default=1, help="accepted for OVMS's sake: one gRPC server does it here"
    )
    group.add_argument("--rest_workers", type=_positive, default=32, help="REST connections at once (default: 32)")
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


def _add_model(group: Any) -> None:
    group.add_argument("--batch_size", help="8, 1:8 or -1")
    group.add_argument("--shape", type=_json_or_text, help='(1,3,224,224) or {"input": "(1,3,-1,-1)"}')
    group.add_argument("--layout", type=_json_or_text, help='NHWC:NCHW or {"input": "NHWC:NCHW"}')
    group.add_argument("--model_version_policy", type=json.loads, help='{"latest": {"num_versions": 2}}')
    group.add_argument("--nireq", type=int, help="infer requests at once, 0 for as many as OpenVINO advises")
    group.add_argument("--target_device", help="OpenVINO's device (default: CPU)")
    group.add_argument("--plugin_config", type=json.loads, help='{"PERFORMANCE_HINT": "LATENCY"}')


MODEL_SETTINGS = (
    "batch_size", "shape", "layout", "model_version_policy", "nireq", "target_device", "plugin_config",
)  # fmt: skip
"""Flags that are keys of a model in ``config.json``."""


def _json_or_text(text: str) -> Any:
    return json.loads(text) if text.lstrip().startswith("{") else text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


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
