"""Options of a run's metrics."""

from dataclasses import dataclass, field

from stream_client.util.settings import check, setting


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """Where a run's Prometheus metrics are served and pushed; ``None``: not at all."""

    metrics_port: int | None = field(
        default=None,
        metadata=setting(
            "serve Prometheus metrics on this port, 0: any free one", minimum=0, maximum=65535, otherwise="none"
        ),
    )
    metrics_address: str = field(default="127.0.0.1", metadata=setting("address to serve them on", metavar="ADDRESS"))
    pushgateway: str | None = field(
        default=None, metadata=setting("push the metrics there at the end of the run", metavar="URL")
    )

    def __post_init__(self) -> None:
        check(self)
