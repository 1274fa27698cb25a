"""The graph server: it serves a configuration on gRPC and REST."""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from graph_server.config.server_config import ServerConfig
from graph_server.errors import ConfigError, GraphServerError
from graph_server.faults.interceptor import FaultInterceptor
from graph_server.faults.options import NO_FAULTS, FaultOptions
from graph_server.metrics.registry import MetricsConfig, Registry
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.runtime import Runtime
from graph_server.servables.live import LiveServables
from graph_server.servables.reload import ConfigWatcher
from graph_server.servables.served import Servables
from graph_server.service.admission import Budgets, Limits
from graph_server.service.call_threads import CallThreads, TurnTaker
from graph_server.service.connections import UNIX_CLIENT, Endpoint, user_of
from graph_server.service.grpc_service import InferenceService
from graph_server.service.reception import Reception
from graph_server.service.region import FOLDER as SHARED_MEMORY_FOLDER
from graph_server.service.rest.cross_origin import CrossOrigin
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.shared_memory import SharedMemoryRegions
from graph_server.tls import server_credentials

if TYPE_CHECKING:
    from graph_server.service.rest.server import RestServer
    from kserve_wire.otlp import SpanExport

DEFAULT_REST_WORKERS = 32
UNIX = "unix:"
"""What the address of a socket in the file system begins with."""
_MAX_MESSAGE_BYTES = 2**31 - 1  # gRPC core counts in 32 bits
# The server finds after 40 s that a client is gone which did not close its connection.
_KEEPALIVE = {
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.http2.max_pings_without_data": 0,
}
# gRPC unpacks messages before anybody sees them: 125 KB become 128 MiB, for which all others wait half a second.
_ONLY_PLAIN = {"grpc.compression_enabled_algorithms_bitset": 1}


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Addresses and limits. Port 0 lets the system choose a port. A port of ``None`` means no gRPC, or no REST.

    ``rest_address`` is the address of REST; ``None`` takes the address of gRPC. ``channel_arguments`` are arguments of
    gRPC core, such as ``grpc.max_concurrent_streams``. If ``metrics`` is ``None`` the configuration decides.
    ``tfs``: TensorFlow Serving's API too, for models. ``exact_inputs``: see :class:`ServableCalls`.
    ``idle_seconds``: after how long idle servables are unloaded, 0 for never; it needs ``poll_seconds``.
    ``poll_seconds`` is the time between two checks for a changed configuration, 0 for no checks.
    ``otel_endpoint``: the OpenTelemetry collector that gets the spans of requests that name their trace.
    """

    bind_address: str = "127.0.0.1"
    rest_address: str | None = None
    port: int | None = 9000
    rest_port: int | None = None
    rest_workers: int = DEFAULT_REST_WORKERS
    cross_origin: CrossOrigin = field(default_factory=CrossOrigin)
    limits: Limits = field(default_factory=Limits)
    channel_arguments: tuple[tuple[str, int | str], ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    cache: Path | None = None
    cpu_extension: Path | None = None
    faults: FaultOptions = NO_FAULTS
    metrics: MetricsConfig | None = None
    tfs: bool = False
    exact_inputs: bool = True
    idle_seconds: float = 0.0
    poll_seconds: float = 0.0
    otel_endpoint: str | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses in ``bind_address``. IPv6 addresses are without brackets."""
        return _hosts(self.bind_address)

    @property
    def rest_hosts(self) -> tuple[str, ...]:
        """The addresses of REST, in the same form."""
        return _hosts(self.rest_address) if self.rest_address else self.hosts


class GraphServer:
    """Serves a configuration from :meth:`start` to :meth:`stop`. As in OVMS, the ports answer while models load."""

    GRACE_SECONDS = 5.0

    def __init__(
        self, config: ServerConfig, options: ServerOptions, read: Callable[[], ServerConfig] | None = None
    ) -> None:
        """``read`` reads the current configuration. Without it the server never reloads."""
        self._options = options
        self._metrics = Registry(options.metrics or config.metrics or MetricsConfig())
        runtime = Runtime(options.cache, options.cpu_extension)
        self._live = LiveServables(config, read, runtime, ServableMetrics(self._metrics), options.idle_seconds)
        self._watcher = ConfigWatcher(options.poll_seconds, self._live.check)
        self._pool = CallThreads(options.limits.calls)
        self._faults = FaultInterceptor(options.faults) if options.faults.any else None
        self._regions = self._offered_regions()
        self._reception = Reception(options.limits.memory_bytes, self._connected)
        self._grpc = grpc.server(
            self._pool,
            interceptors=[
                TurnTaker(self._pool),
                self._reception,
                *([self._faults] if self._faults is not None else []),
            ],
            options=_channel_arguments(options),
            maximum_concurrent_rpcs=options.limits.calls,
        )
        self._calls = ServableCalls(self._live, Budgets(options.limits), exact_inputs=options.exact_inputs)
        self._spans = None if options.otel_endpoint is None else _span_export(options.otel_endpoint)
        service = InferenceService(self._calls, self._regions, None if self._spans is None else self._spans.add)
        self._grpc.add_generic_rpc_handlers((service.handlers(),))
        if options.tfs:
            from graph_server.service.tfs.grpc_service import TensorFlowServing

            self._grpc.add_generic_rpc_handlers(TensorFlowServing(self._calls).handlers())
        self._rest: RestServer | None = None
        self._port = 0
        self.address = ""
        self.rest_address: str | None = None

    @property
    def servables(self) -> Servables:
        """The current servables."""
        return self._live.current

    def start(self) -> None:
        """Bind, serve and load. Raises :class:`ConfigError` if an address or a required servable fails."""
        options = self._options
        if options.port is not None:
            self.address = self._bind_grpc(options.port)
            self._grpc.start()
            if self._port:
                self._reception.start(self._port)
        if options.rest_port is not None:
            self._rest = self._start_rest(options.rest_port)
            self.rest_address = self._rest.address
        try:
            self._live.load()
        except GraphServerError:
            self.stop(0)
            raise
        if options.poll_seconds:
            self._watcher.start()

    def _start_rest(self, port: int) -> "RestServer":
        # Importing asyncio and h11 takes 50 ms, and most servers have no REST.
        from graph_server.service.rest.answers import RestAnswers
        from graph_server.service.rest.connection import HttpLimits
        from graph_server.service.rest.server import RestServer

        options = self._options
        try:
            rest = RestServer(
                options.rest_hosts,
                port,
                RestAnswers(self._calls, self._live, self._metrics, options.cross_origin, tfs=options.tfs),
                HttpLimits(self._calls.budgets.rest_bytes, options.limits.message_bytes, options.limits.json_bytes),
                workers=options.rest_workers,
            )
        except OSError as error:
            self.stop()
            text = f"cannot bind REST port {port} of {', '.join(options.rest_hosts)}: {error.strerror}"
            raise ConfigError(text, option="rest_port") from error
        rest.start()
        return rest

    def drain(self) -> None:
        """Say that the server is not ready, so that balancers and clients leave it, and serve on."""
        self._live.ready = False

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Refuse new calls, and give the current calls ``grace`` seconds to end."""
        self._watcher.close()
        self._live.stop_waiting()
        self._grpc.stop(grace).wait()
        self._reception.close()
        if self._rest is not None:
            self._rest.close()
            self._rest = None
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._live.close()
        if self._faults is not None:
            self._faults.join()
        if self._spans is not None:
            self._spans.close()

    def _offered_regions(self) -> SharedMemoryRegions | None:
        """Shared memory, only for clients on this machine.

        It does not work with reordered responses. When a client has a later response, it may use the memory of the
        earlier response's output again.
        """
        options = self._options
        local = all(host in ("localhost", "::1") or host.startswith(("127.", UNIX)) for host in options.hosts)
        if not local or not SHARED_MEMORY_FOLDER.is_dir() or options.faults.reorder:
            return None
        return SharedMemoryRegions(options.limits.message_bytes, self._user_of)

    def _user_of(self, client: Endpoint) -> int | None:
        """A Unix socket here lets in the server's own user alone."""
        return os.geteuid() if client == UNIX_CLIENT else user_of(client, self._port)

    def _connected(self, clients: Collection[Endpoint]) -> None:
        if self._regions is not None:
            self._regions.keep_only(clients)

    def _bind_grpc(self, port: int) -> str:
        """Bind every address to the port of the first one. Returns the first address."""
        options = self._options
        credentials = server_credentials(options.tls_certificate, options.tls_key, options.tls_client_ca)
        for host in options.hosts:
            target = _target(host, port)
            mask = os.umask(0o177)  # a Unix socket is for its own user
            try:
                if credentials is None:
                    bound = self._grpc.add_insecure_port(target)
                else:
                    bound = self._grpc.add_secure_port(target, credentials)
            except RuntimeError as error:
                reason = "another server has the port, or the address is not one of this machine's"
                raise ConfigError(f"cannot bind {target}: {reason}", option="port") from error
            finally:
                os.umask(mask)
            if not host.startswith(UNIX):
                port = self._port = bound
        return _target(options.hosts[0], port)


def _span_export(endpoint: str) -> "SpanExport":
    if re.fullmatch(r"https?://[^\s/@]+(/\S*)?", endpoint) is None:
        raise ConfigError(f"{endpoint!r} is no collector: http://localhost:4318 is expected", option="otel_endpoint")
    try:
        from kserve_wire.otlp import SpanExport
    except ImportError as missing:
        text = "traces need OpenTelemetry: pip install 'ovms-stream-client[otel]'"
        raise ConfigError(text, option="otel_endpoint") from missing
    return SpanExport(endpoint, "graph-server")


def _channel_arguments(options: ServerOptions) -> list[tuple[str, int | str]]:
    """The server's own arguments, or what the user says instead. gRPC core takes the first of a name."""
    arguments: dict[str, int | str] = {
        "grpc.max_receive_message_length": min(options.limits.message_bytes, _MAX_MESSAGE_BYTES),
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,
        **_KEEPALIVE,
        **_ONLY_PLAIN,
    }
    return list({**arguments, **dict(options.channel_arguments)}.items())


def _target(host: str, port: int) -> str:
    if host.startswith(UNIX):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _hosts(addresses: str) -> tuple[str, ...]:
    return tuple(host.strip().strip("[]") for host in addresses.split(","))


def label_files(servables: Servables) -> dict[str, str | None]:
    """The servables, each with the file of its classifier's label names, for clients on this machine."""
    return {name: None if path is None else str(path.resolve()) for name, path in servables.label_files.items()}
