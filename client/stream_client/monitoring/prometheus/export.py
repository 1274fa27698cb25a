"""Where a run's metrics go: served over HTTP, or pushed to a Pushgateway when the run is over."""

import errno
import logging
import socket
import threading
from functools import partial
from http.client import HTTPException
from types import TracebackType
from urllib.error import HTTPError
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from prometheus_client import make_wsgi_app, push_to_gateway
from prometheus_client.exposition import basic_auth_handler, default_handler

from stream_client.errors import ConfigurationError, MetricsError
from stream_client.monitoring.bounded_server import BoundedServer
from stream_client.monitoring.options import MetricsOptions
from stream_client.monitoring.prometheus.families import Metrics
from stream_client.monitoring.prometheus.learning import LearningMetrics
from stream_client.monitoring.statistics import Statistics
from stream_client.util.redact import redact
from stream_client.util.urls import check_clear_text

_LOOPBACK = MetricsOptions().metrics_address
logger = logging.getLogger(__name__)


class MetricsServer:
    """Serves ``metrics`` over HTTP, from a thread of its own, until it is closed.

    It has a few connections at once (:class:`~stream_client.monitoring.bounded_server.BoundedServer`).
    ``port`` 0 takes a free one; :attr:`url` says which. Raises :class:`.ConfigurationError` where the port is
    taken or the address is not this machine's.
    """

    def __init__(self, metrics: Metrics | LearningMetrics, *, port: int, address: str = _LOOPBACK) -> None:
        try:
            self._server = BoundedServer(make_wsgi_app(metrics.registry), address, port)
        except OSError as error:
            taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
            raise ConfigurationError(
                f"metrics cannot be served on {address}, port {port}: {error.strerror}",
                option="metrics_port" if taken else "metrics_address",
            ) from error
        host = f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self._server.server_port}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metrics")
        self._thread.start()

    def close(self) -> None:
        """Serve no more; the port is free again."""
        self._server.close()
        self._thread.join()

    def __enter__(self) -> "MetricsServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Pushgateway:
    """Where metrics of short runs are pushed to: ``http://host:9091``, or ``https://user:password@host``.

    Raises :class:`.ConfigurationError` for what is no such address.
    """

    JOB = "stream_client"
    TIMEOUT = 10.0

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(parts):
            raise ConfigurationError(
                f"{redact(url)!r} is no address of a Pushgateway: http://host:9091", option="pushgateway"
            )
        check_clear_text(url, "pushgateway")
        # prometheus_client takes no credentials in the URL.
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._handler = default_handler
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
            self._handler = partial(basic_auth_handler, username=user, password=password)

    def push(self, metrics: Metrics) -> None:
        """Replace what this host pushed before; raises :class:`MetricsError`."""
        try:
            push_to_gateway(
                self._url,
                job=self.JOB,
                registry=metrics.registry,
                grouping_key={"instance": socket.gethostname()},
                timeout=self.TIMEOUT,
                handler=self._handler,
            )
        except (OSError, HTTPException) as error:  # urllib's own errors are OSErrors too
            if isinstance(error, HTTPError):
                error.close()
            raise MetricsError(f"metrics could not be pushed to {self._url}: {error}", option="pushgateway") from error


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:  # no number, or too large
        return False


class Monitor:
    """A run's metrics: served while it goes on, pushed at its end.

    A push that fails is logged, since the run itself went well.
    """

    def __init__(self, statistics: Statistics, options: MetricsOptions) -> None:
        self._metrics = Metrics([statistics])
        port, gateway = options.metrics_port, options.pushgateway
        self._gateway = None if gateway is None else Pushgateway(gateway)
        self._server = (
            None if port is None else MetricsServer(self._metrics, port=port, address=options.metrics_address)
        )

    @property
    def url(self) -> str | None:
        """Where the metrics are served."""
        return None if self._server is None else self._server.url

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._gateway is not None:
                self._gateway.push(self._metrics)
        except MetricsError as failure:
            logger.warning("%s", failure)
        finally:
            if self._server is not None:
                self._server.close()
