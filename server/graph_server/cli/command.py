"""The graph server's command line."""

import argparse
import ipaddress
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import openvino

import graph_server
from graph_server.assets import ensure_models, shipped_mounts
from graph_server.cli.arguments import MODEL_SETTINGS, build_parser
from graph_server.cli.assets import main as assets_main
from graph_server.cli.messages import error_line
from graph_server.cli.ovms_flags import IGNORED, refusal
from graph_server.config.entries import PREPROCESSING
from graph_server.config.server_config import ServerConfig, only, read_config, single_servable
from graph_server.errors import ConfigError, GraphServerError
from graph_server.faults.options import FaultOptions, parse_faults
from graph_server.metrics.registry import MetricsConfig, metrics_config
from graph_server.models.runtime import default_precision
from graph_server.resources import allow_open_files, cache_folder, project_file
from graph_server.server import DEFAULT_REST_WORKERS, UNIX, GraphServer, ServerOptions, label_files
from graph_server.service.admission import Limits
from graph_server.service.grpc_service import SERVER_NAME
from graph_server.service.rest.cross_origin import CrossOrigin
from kserve_wire.malloc import keep_frame_memory

logger = logging.getLogger(__name__)

_WITH_CONFIG = ("layout", *PREPROCESSING)
"""Settings of one model that OVMS also accepts beside ``--config_path``, without effect."""
_MOST_REST_WORKERS = 10_000
_HOST_NAME = r"(?=.{1,255}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is interrupted, or a subcommand."""
    keep_frame_memory()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["assets"]:
        return assets_main(arguments[1:])
    if arguments[:1] == ["check"]:
        from graph_server.cli.check import main as check_main

        return check_main(arguments[1:])
    if arguments[:1] == ["landmarks"]:
        from graph_server.cli.landmarks import main as landmarks_main  # FFmpeg, which serving does not need

        return landmarks_main(arguments[1:])
    parser = build_parser()
    refused = refusal(arguments)
    if refused is not None:
        parser.error(refused)
    options = parser.parse_args(arguments)
    if options.version:
        print(f"{SERVER_NAME}, in its place: ovms-stream-client {graph_server.__version__}")
        print(f"OpenVINO backend {openvino.__version__}")
        return 0
    _check(parser, options)
    allow_open_files()
    try:
        _start_log(options)
        return _serve(options)
    except GraphServerError as error:
        print(f"error: {error_line(error)}", file=sys.stderr)
        return 1


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse what OVMS's check of its flags refuses (src/config.cpp)."""
    if (options.model_name is None) != (options.model_path is None):
        parser.error("--model_name and --model_path go together")
    if options.config_path is not None and options.model_name is not None:
        parser.error("use either --config_path or --model_name with --model_path")
    if options.only is not None and options.model_name is not None:
        parser.error("--only goes with a configuration: --model_name serves nothing else anyway")
    for key in MODEL_SETTINGS:
        if options.model_name is None and getattr(options, key) is not None and key not in _WITH_CONFIG:
            parser.error(f"--{key} goes with --model_name; in a configuration it is a key of the model")
        if key in PREPROCESSING and getattr(options, key) is not None and options.layout is None:
            parser.error(f"--layout is missing: --{key} needs it")
    _check_ports(parser, options)
    if options.cpu_extension is not None and not options.cpu_extension.exists():
        parser.error(f"--cpu_extension: {options.cpu_extension} does not exist")
    if options.metrics_enable and options.rest_port is None:
        parser.error("--rest_port is missing: metrics are served on it")
    if options.metrics_list is not None and not options.metrics_enable:
        parser.error("--metrics_enable is missing: --metrics_list needs it")


def _check_ports(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.port is None and options.rest_port is None:
        parser.error("--port and --rest_port are both missing: one of them is needed")
    if options.port and options.port == options.rest_port:
        parser.error("--port and --rest_port cannot be the same")
    if options.rest_workers is not None and options.rest_port is None:
        parser.error("--rest_port is missing: --rest_workers is for it")
    if options.rest_workers is not None and not 2 <= options.rest_workers <= _MOST_REST_WORKERS:
        parser.error(f"--rest_workers is from 2 to {_MOST_REST_WORKERS}")
    if options.grpc_bind_address.startswith(UNIX):
        options.rest_bind_address = options.rest_bind_address or "127.0.0.1"
    for flag in ("grpc_bind_address", "rest_bind_address"):
        for host in (getattr(options, flag) or "").split(","):
            if host and not host.startswith(UNIX) and not _is_host(host.strip("[]")):
                parser.error(f"--{flag}: {host!r} is neither a host's name nor an address")


def _is_host(text: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return re.fullmatch(_HOST_NAME, text) is not None and not re.fullmatch(r"[0-9A-Fa-f.:]+", text)


def _start_log(options: argparse.Namespace) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if options.log_path is not None:
        try:
            handlers.append(logging.FileHandler(options.log_path, encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot write {options.log_path}: {error.strerror}", option="log_path") from error
    level = "DEBUG" if options.log_level == "TRACE" else options.log_level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=handlers)


def _read(options: argparse.Namespace) -> Callable[[], ServerConfig]:
    """The function that reads what to serve, now and after each change."""
    if options.model_name is not None:
        settings = {key: getattr(options, key) for key in MODEL_SETTINGS if getattr(options, key) is not None}
        return lambda: single_servable(options.model_name, options.model_path, settings)
    path = options.config_path or project_file("server_config/config.json")
    mounts = shipped_mounts(path, options.models_dir or cache_folder() / "models")
    if mounts:
        ensure_models(options.models_dir)
    mounted = {**mounts, **dict(options.mount)}
    if options.only is not None:
        return lambda: only(read_config(path, mounted), options.only)
    return lambda: read_config(path, mounted)


def _metrics(options: argparse.Namespace, config: ServerConfig) -> MetricsConfig | None:
    if not options.metrics_enable:
        if config.metrics is not None and config.metrics.enabled and options.rest_port is None:
            raise ConfigError("--rest_port is missing: the configuration's metrics are served on it")
        return None
    if config.metrics is not None:
        raise ConfigError("metrics are configured twice: by --metrics_enable and by monitoring in the configuration")
    return metrics_config(True, options.metrics_list)


def _serve(options: argparse.Namespace) -> int:
    faults = parse_faults(options.fault, options.fault_seed)
    for name, reason in IGNORED.items():
        if getattr(options, name):
            logger.warning("--%s has no effect: %s", name, reason)
    read = _read(options)
    try:
        config = read()
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from error
    server = GraphServer(config, _server_options(options, config, faults), read)
    # A signal may reach any thread, but only the main thread runs handlers. The socket wakes it.
    ended, end = socket.socketpair()
    end.setblocking(False)
    signal.set_wakeup_fd(end.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    serving = threading.Event()
    if options.exit_with_stdin:
        threading.Thread(target=_watch_stdin, args=(serving, end), name="stdin", daemon=True).start()
    server.start()
    try:
        ready = _ready_line(server)
        serving.set()  # before the line: whoever reads it may close standard input at once
        print(ready, flush=True)
        _wait_for_end(server, ended, options.drain_seconds)
    except BrokenPipeError as error:
        raise ConfigError("nobody reads standard output, where the addresses are told") from error
    finally:
        server.stop(0.5 if options.exit_with_stdin else GraphServer.GRACE_SECONDS)
    return 0


def _server_options(options: argparse.Namespace, config: ServerConfig, faults: FaultOptions) -> ServerOptions:
    return ServerOptions(
        bind_address=options.grpc_bind_address,
        port=options.port,
        rest_port=options.rest_port,
        rest_address=options.rest_bind_address,
        rest_workers=options.rest_workers or DEFAULT_REST_WORKERS,
        cross_origin=CrossOrigin(
            options.allowed_origins, options.allowed_methods, options.allowed_headers, options.allow_credentials
        ),
        cpu_extension=options.cpu_extension,
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
        tls_client_ca=options.tls_client_ca,
        cache=options.cache_dir or cache_folder() / "openvino",
        faults=faults,
        metrics=_metrics(options, config),
        tfs=options.tfs,
        exact_inputs=not options.disable_input_count_validation,
        idle_seconds=options.idle_unload_timeout_seconds,
        poll_seconds=options.file_system_poll_wait_seconds,
        otel_endpoint=options.otel_endpoint,
    )


def _ready_line(server: GraphServer) -> str:
    """What whoever starts a server reads of it, in JSON."""
    ready = {
        "grpc": server.address or None,
        "rest": server.rest_address,
        "labels": label_files(server.servables),
        "precisions": server.servables.models.precisions,
        "default_precision": default_precision(),
    }
    return json.dumps(ready)


def _wait_for_end(server: GraphServer, ended: socket.socket, drain_seconds: float) -> None:
    """Wait for a signal or the end of standard input. Calls then have ``drain_seconds``, until another one comes."""
    ended.recv(1)
    if drain_seconds:
        server.drain()
        ended.settimeout(drain_seconds)
        with suppress(TimeoutError):
            ended.recv(1)


def _watch_stdin(serving: threading.Event, end: socket.socket) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    if not serving.is_set():
        os._exit(1)  # the parent has gone, and models may load for a minute
    end.send(b"\0")
