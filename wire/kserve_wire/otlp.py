"""Sends spans to a collector by OTLP over HTTP. Needs opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from kserve_wire.tracing import Span

logger = logging.getLogger(__name__)

_PATH = "/v1/traces"
"""What OpenTelemetry appends to a collector's address."""
_KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "server": SpanKind.SERVER}


class SpanExport:
    """Sends spans in batches, in a thread of its own. ``service`` is the name of this program in traces.

    A collector that is away costs spans and nothing else: at most 2048 wait.
    """

    TIMEOUT = 2.0
    """Seconds for a batch, with further tries."""

    FINISH = 0.4
    """Seconds at the end for what waits, and as long again for what is on its way. Ctrl-C ends a run within 2 s."""

    def __init__(self, endpoint: str, service: str) -> None:
        # They tell every failure; the exporter below tells the first one.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._ids = _Ids()
        self._lock = threading.Lock()
        self._exporter = _SayingExporter(endpoint.rstrip("/") + _PATH, self.TIMEOUT)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({SERVICE_NAME: service}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("ovms-stream-client")

    def add(self, spans: Iterable[Span]) -> None:
        """Take spans that have ended; does not wait."""
        since_1970 = time.time_ns() - time.monotonic_ns()
        for span in spans:
            with self._lock:
                self._ids.trace, self._ids.span = span.trace, span.id
                started = self._tracer.start_span(
                    span.name,
                    _under(span),
                    kind=_KINDS[span.kind],
                    attributes=span.attributes,
                    start_time=since_1970 + round(span.began * 1e9),
                )
            started.end(since_1970 + round(span.ended * 1e9))

    def close(self) -> None:
        """Send what waits, for a short time."""
        finish = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        finish.start()
        finish.join(self.FINISH)
        self._exporter.shutdown()
        finish.join(self.FINISH)


class _Ids(IdGenerator):  # type: ignore[misc,unused-ignore]
    """The ids of the next span, which are known before it is made."""

    trace = 0
    span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _SayingExporter(SpanExporter):  # type: ignore[misc,unused-ignore]
    """Says once that a collector does not take spans, and once more after it did."""

    def __init__(self, endpoint: str, timeout: float) -> None:
        self._endpoint = endpoint
        self._inner = OTLPSpanExporter(endpoint=endpoint, timeout=timeout)
        self._failing = self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except OSError:  # older exporters raise where nobody listens
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            logger.warning("traces: %s does not take them; they are lost until it does", self._endpoint)
        self._failing = failed
        return result

    def shutdown(self) -> None:
        if not self._closed:
            self._closed = True
            self._inner.shutdown()  # type: ignore[no-untyped-call,unused-ignore]


def _under(span: Span) -> Context:
    if not span.parent:
        return Context()
    above = SpanContext(span.trace, span.parent, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(above), Context())
