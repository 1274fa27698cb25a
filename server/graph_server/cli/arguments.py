"""The graph server's flags: OVMS's under their names, and a few of our own."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from graph_server.cli.ovms_flags import IGNORED
from graph_server.config.entries import PREPROCESSING
from graph_server.faults.options import HELP
from graph_server.service.admission import Limits
from graph_server.service.rest.cross_origin import CrossOrigin

_Number = TypeVar("_Number", int, float)

_EXAMPLES = """
examples:
  python -m graph_server --config_path server_config/config.json --port 9000 --rest_port 8000
  python -m graph_server --model_name echo --model_path graphs/pass_through --port 9000
  python -m graph_server --port 9000 --fault delay=50 --fault drop=0.01
  python -m graph_server check --config_path FILE      what OVMS would refuse of it, and why
  python -m graph_server assets                        fetch the models
  python -m graph_server landmarks in.mp4 --out out.npz
"""


def build_parser() -> argparse.ArgumentParser:
    """OVMS's flags under their names, and a few of our own."""
    parser = argparse.ArgumentParser(
        prog="python -m graph_server",
        usage="%(prog)s [flag ...]",
        allow_abbrev=False,
        description="A local stand-in for OpenVINO Model Server: same files, same behavior on the wire.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the versions of this server and of OpenVINO")
    what = parser.add_argument_group("what to serve")
    what.add_argument("--config_path", type=Path, help="config.json as OVMS reads it (default: the project's)")
    what.add_argument("--model_name", help="serve one graph or model under this name")
    what.add_argument(
        "--model_path", type=Path, help="a graph's folder, a model's folder of versions, or a model's file"
    )
    _add_model(parser.add_argument_group("settings of the one model, as in config.json"))
    what.add_argument(
        "--models_dir",
        type=Path,
        help="models of the project's configuration (default: the user's cache, filled if need be)",
    )
    what.add_argument(
        "--only", metavar="NAME", help="serve nothing else of the configuration; all of it, where it has no such name"
    )
    add_mounts(what)
    where = parser.add_argument_group("where to serve it")
    where.add_argument("--port", type=_port, help="gRPC port, 0 for any (default: no gRPC)")
    where.add_argument("--rest_port", type=_port, help="REST port, 0 for any (default: no REST)")
    where.add_argument(
        "--grpc_bind_address",
        default="127.0.0.1",
        help="addresses to bind, with commas, or unix:PATH (default: loopback)",
    )
    where.add_argument("--rest_bind_address", help="addresses to bind for REST, with commas (default: gRPC's)")
    where.add_argument("--tls_cert", type=Path, help="PEM certificate chain: serve TLS")
    where.add_argument("--tls_key", type=Path, help="PEM private key")
    where.add_argument(
        "--tls_client_ca", type=Path, help="PEM certificates: admit only clients with one signed by them"
    )
    _add_limits(parser.add_argument_group("limits"))
    how = parser.add_argument_group("how")
    how.add_argument("--log_level", default="INFO", choices=("TRACE", "DEBUG", "INFO", "WARNING", "ERROR"))
    how.add_argument("--log_path", type=Path, help="file to write the log to as well")
    _add_switch(how, "--metrics_enable", "serve /metrics on the REST port")
    how.add_argument("--metrics_list", type=_names, metavar="NAME,...", help="which metrics (default: OVMS's default)")
    how.add_argument(
        "--otel_endpoint",
        metavar="URL",
        help="send the spans of requests that name their trace to this OpenTelemetry collector (http://localhost:4318)",
    )
    how.add_argument(
        "--file_system_poll_wait_seconds",
        type=_seconds,
        default=1.0,
        help="how often the configuration and the models' folders are looked at for changes, 0: never (default: 1)",
    )
    how.add_argument(
        "--drain_seconds",
        type=_seconds,
        default=0.0,
        help="at SIGTERM, say that the server is not ready and serve on for so long, or until a second signal",
    )
    how.add_argument(
        "--idle_unload_timeout_seconds",
        type=_natural,
        default=0,
        metavar="N",
        help="unload what nobody asked for during N seconds, and load it for the next request; with --config_path only "
        "(default: 0, never)",
    )
    how.add_argument(
        "--tfs",
        action="store_true",
        help="answer TensorFlow Serving's API for models too (predict, metadata, status; gRPC and REST), as OVMS did "
        "until 2026.2: for ovmsclient",
    )
    _add_switch(how, "--disable_input_count_validation", "ignore inputs of a request that its model does not have")
    how.add_argument("--cpu_extension", type=Path, help="a library with operations for OpenVINO's CPU device")
    how.add_argument("--cache_dir", type=Path, help="where OpenVINO keeps compiled models (default: the user's cache)")
    how.add_argument(
        "--exit_with_stdin",
        action="store_true",
        help="end when standard input closes, for servers that are embedded",
    )
    _add_cross_origin(parser.add_argument_group("cross-origin requests from browsers to REST"))
    _add_ignored(parser.add_argument_group("flags of OVMS without effect here"))
    faults = parser.add_argument_group("to test clients")
    faults.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help=f"repeatable: {HELP}")
    faults.add_argument("--fault_seed", type=int, default=0, help="the same seed gives the same faults (default: 0)")
    return parser


def _add_limits(group: Any) -> None:
    default = Limits()

    def add(flag: str, value: int, text: str) -> None:
        group.add_argument(flag, type=_count, default=value, metavar="N", help=f"{text} (default: {value})")

    group.add_argument("--rest_workers", type=_count, metavar="N", help="REST inferences at once (default: 32)")
    add("--grpc_max_threads", default.calls, "calls at once, of which half may be streams")
    add("--max_sessions", default.sessions, "streams at once that have a graph")
    add("--grpc_memory_quota", default.memory_bytes, "bytes of frames under way, shared equally by the sessions")
    add("--max_message_bytes", default.message_bytes, "bytes of the largest request; OVMS takes 1073741824")
    add("--max_queued_packets", default.queued_packets, "packets of a stream inside a session's graph")
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
    group.add_argument("--model_version_policy", type=_json, help='{"latest": {"num_versions": 2}}')
    group.add_argument("--nireq", type=_natural, help="infer requests at once, 0 for as many as OpenVINO advises")
    group.add_argument("--target_device", help="OpenVINO's device (default: CPU)")
    group.add_argument("--mean", help="what is subtracted from the values of an image: 127.5 or [123.7,116.3,103.5]")
    group.add_argument("--scale", help="what divides them: 255 or [58.4,57.1,57.4]")
    group.add_argument("--color_format", help="TARGET:SOURCE, as in BGR:RGB; NV12 and I420 are known as well")
    group.add_argument("--precision", help="TARGET:SOURCE, as in uint8:fp32")
    group.add_argument("--plugin_config", type=_json, help='{"PERFORMANCE_HINT": "LATENCY"}')


MODEL_SETTINGS = (
    "batch_size", "shape", "layout", "model_version_policy", "nireq", "target_device", "plugin_config", *PREPROCESSING,
)  # fmt: skip
"""Flags that are keys of a model in ``config.json`` or in a subconfig."""


def _add_cross_origin(group: Any) -> None:
    default = CrossOrigin()
    group.add_argument("--allowed_origins", default=default.origins, help="default: *")
    group.add_argument("--allowed_methods", default=default.methods, help="default: *")
    group.add_argument("--allowed_headers", default=default.headers, help="default: *")
    _add_switch(group, "--allow_credentials", "let browsers send cookies")


def _add_ignored(group: Any) -> None:
    kinds: dict[str, Callable[[str], Any]] = {"grpc_workers": _workers, "api_key_file": _file}
    for name, reason in IGNORED.items():
        if name == "verbose_response":
            _add_switch(group, f"--{name}", reason)
        else:
            group.add_argument(f"--{name}", type=kinds.get(name, str), metavar="…", help=reason)


def _add_switch(group: Any, flag: str, text: str) -> None:
    """A flag that may have a value, as in ``--metrics_enable=true``."""
    group.add_argument(flag, type=_boolean, nargs="?", const=True, default=False, metavar="true|false", help=text)


def _json_or_text(text: str) -> Any:
    return _json(text) if text.lstrip().startswith("{") else text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid JSON: {error}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("true", "1")


def _workers(text: str) -> int:
    most = os.cpu_count() or 1
    return _number(text, int, 1, most, f"a number of gRPC servers, from 1 to the {most} processors")


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no file that can be read")
    return Path(text)


def add_mounts(group: Any) -> None:
    """``--mount``, which is a subcommand's flag as well."""
    group.add_argument(
        "--mount",
        type=_mount,
        action="append",
        default=[],
        metavar="PATH=FOLDER",
        help="FOLDER stands for PATH of the configuration, as a container's volume does; repeatable",
    )


def _mount(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not name or not equals or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not PATH=FOLDER with a FOLDER that is there")
    return name, Path(folder).absolute()


def _seconds(text: str) -> float:
    return _number(text, float, 0, 1e9, "a number of seconds")


def _port(text: str) -> int:
    return _number(text, int, 0, 65535, "a port, 0 to 65535")


def _natural(text: str) -> int:
    return _number(text, int, 0, 2**32 - 1, "a number, 0 or above")


def _count(text: str) -> int:
    return _number(text, int, 1, 2**63 - 1, "a positive number")


def _number(text: str, kind: type[_Number], least: float, most: float, what: str) -> _Number:
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    pairs = []
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise argparse.ArgumentTypeError(f"{item!r} is not NAME=VALUE")
        pairs.append((name, int(value) if value.lstrip("-").isdigit() else value))
    return tuple(pairs)
