"""Options of traces."""

from dataclasses import dataclass, field

from stream_client.errors import ConfigurationError
from stream_client.util.redact import redact
from stream_client.util.settings import check, setting
from stream_client.util.urls import check_url, split_credentials


@dataclass(frozen=True, slots=True)
class TracingOptions:
    """Where traces of frames go, and of which share of the frames; ``None``: there are none."""

    otel_endpoint: str | None = field(
        default=None,
        metadata=setting(
            "send traces to this OpenTelemetry collector, by OTLP over HTTP: http://localhost:4318", metavar="URL"
        ),
    )
    otel_sample: float = field(
        default=0.01, metadata=setting("share of the frames that are traced", minimum=0.0, maximum=1.0)
    )

    def __post_init__(self) -> None:
        check(self)
        url = self.otel_endpoint
        if url is None:
            return
        if not url.startswith(("http://", "https://")) or split_credentials(url)[1] is not None:
            raise ConfigurationError(
                f"{redact(url)}: http://host:4318 or https:// is expected; tokens go into OTEL_EXPORTER_OTLP_HEADERS",
                option="otel_endpoint",
            )
        check_url(url, "otel_endpoint")
