"""A running graph server: configuration, gRPC, REST."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from graph_server.config import ServerConfig
from graph_server.errors import ConfigError
from graph_server.fault import NO_FAULTS, FaultOptions
from graph_server.fault_interceptor import FaultInterceptor
from graph_server.models import Runtime
from graph_server.servables import Servables, load
from graph_server.service.grpc_service import InferenceService
from graph_server.service.limits import Budgets, Limits
from graph_server.service.rest import RestServer

logger = logging.getLogger(__name__)

# A client that vanishes without closing its connection is noticed after 40 s.
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Addresses and limits. Port 0 lets the system choose; ``rest_port`` ``None`` serves no REST.

    ``channel_arguments`` are gRPC core's, such as ``grpc.max_concurrent_streams``.
    """

    bind_address: str = "127.0.0.1"
    port: int = 9000
    rest_port: int | None = None
    limits: Limits = field(default_factory=Limits)
    channel_arguments: tuple[tuple[str, int | str], ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    cache: Path | None = None
    faults: FaultOptions = NO_FAULTS


class GraphServer:
    """Loads a configuration and serves it until :meth:`stop`."""

    GRACE_SECONDS = 5.0

    def __init__(self, config: ServerConfig, options: ServerOptions) -> None:
        self._options = options
        self._servables = load(config, Runtime(options.cache))
        # A thread for every call that is admitted: none waits for another to end.
        self._pool = ThreadPoolExecutor(options.limits.calls, thread_name_prefix="call")
        self._faults = FaultInterceptor(options.faults) if options.faults.any else None
        self._grpc = grpc.server(
            self._pool,
            interceptors=[self._faults] if self._faults is not None else [],
            options=[
                ("grpc.max_receive_message_length", options.limits.message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                *_KEEPALIVE,
                *options.channel_arguments,
            ],
            maximum_concurrent_rpcs=options.limits.calls,
        )
        service = InferenceService(lambda: self._servables, Budgets(options.limits))
        self._grpc.add_generic_rpc_handlers((service.handlers(),))
        self._rest: RestServer | None = None
        self.address = ""
        self.rest_address: str | None = None

    @property
    def servables(self) -> Servables:
        """What is served."""
        return self._servables

    def start(self) -> None:
        """Bind and serve; raises :class:`ConfigError` for an address that cannot be bound."""
        options = self._options
        target = f"{options.bind_address}:{options.port}"
        try:
            credentials = self._credentials()
            if credentials is None:
                port = self._grpc.add_insecure_port(target)
            else:
                port = self._grpc.add_secure_port(target, credentials)
        except RuntimeError as error:
            raise ConfigError(
                f"cannot bind {target}: is another server running? (--port, --grpc_bind_address)"
            ) from error
        self.address = f"{options.bind_address}:{port}"
        self._grpc.start()
        if options.rest_port is not None:
            try:
                self._rest = RestServer(options.bind_address, options.rest_port, lambda: self._servables)
            except OSError as error:
                self.stop()
                raise ConfigError(
                    f"cannot bind REST port {options.rest_port}: {error.strerror} (--rest_port)"
                ) from error
            self._rest.start()
            self.rest_address = self._rest.address

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Take nothing new, let what is under way end within ``grace`` seconds."""
        self._grpc.stop(grace).wait()
        if self._rest is not None:
            self._rest.close()
            self._rest = None
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._faults is not None:
            self._faults.join()

    def _credentials(self) -> grpc.ServerCredentials | None:
        options = self._options
        if options.tls_certificate is None or options.tls_key is None:
            if options.tls_certificate or options.tls_key:
                raise ConfigError("--tls_cert and --tls_key go together")
            return None
        try:
            return grpc.ssl_server_credentials([(options.tls_key.read_bytes(), options.tls_certificate.read_bytes())])
        except OSError as error:
            raise ConfigError(f"cannot read {error.filename}: {error.strerror} (--tls_cert, --tls_key)") from error


def label_files(servables: Servables) -> dict[str, str | None]:
    """The label names beside each graph's classifier, for clients on this machine."""
    return {name: None if path is None else str(path) for name, path in servables.label_files.items()}
