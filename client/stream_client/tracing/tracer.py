"""Makes traces of frames, from the stamps that their results have anyway."""

import secrets
from collections.abc import Callable, Iterator
from hashlib import blake2b

from kserve_wire.tracing import Span, TraceParent
from stream_client.errors import ConfigurationError
from stream_client.frames import Result
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.stages import stage_ends
from stream_client.tracing.options import TracingOptions
from stream_client.util.extras import install_command

_LOWER = (1 << 64) - 1


class Tracer(Observer):
    """The traces of one run: whether a frame has one, its ids, and its spans once it is delivered.

    The ids are a hash of the frame's timestamp, so nothing has to be kept until the answer comes. A frame is sampled
    by its trace's id, as OpenTelemetry's ``TraceIdRatioBased`` does it.
    """

    def __init__(self, options: TracingOptions) -> None:
        try:
            from kserve_wire.otlp import SpanExport
        except ImportError as missing:
            text = f"traces need OpenTelemetry: {install_command('otel')}"
            raise ConfigurationError(text, option="otel_endpoint") from missing
        assert options.otel_endpoint is not None
        self._endpoint = options.otel_endpoint
        self._below = round(options.otel_sample * (1 << 64))
        self._key = secrets.token_bytes(16)
        self._make = SpanExport
        self._export: SpanExport | None = None
        self._run: dict[str, str | int] = {}

    def parent_of(self, timestamp: int) -> str:
        """What the request of the frame with that timestamp carries; empty where it is not traced."""
        ids = self._ids(timestamp)
        return "" if ids is None else str(TraceParent(ids[0], ids[2]))

    def started(self, stream: str, model: str, ledger: Callable[[], LedgerSnapshot]) -> None:
        """Begin to export."""
        self._run = {"stream": stream, "model": model}
        self._export = self._make(self._endpoint, "stream-client")

    def resulted(self, result: Result) -> None:
        """A result is delivered: its stages are known."""
        ids = self._ids(result.frame.timestamp)
        if ids is not None and self._export is not None:
            self._export.add(self._spans(result, *ids))

    def result_written(self, sink: str, result: Result, began: float, ended: float) -> None:
        """A sink took a result."""
        ids = self._ids(result.frame.timestamp)
        if ids is not None and self._export is not None:
            trace, frame, _ = ids
            self._export.add([Span(f"sink {sink}", trace, _new(), frame, began, ended)])

    def close(self) -> None:
        """Send what waits, for a short time. Safe twice."""
        export, self._export = self._export, None
        if export is not None:
            export.close()

    def _spans(self, result: Result, trace: int, frame: int, request: int) -> Iterator[Span]:
        stamps = result.stamps
        frame_is = {"frame": result.frame.index, "timestamp": result.frame.timestamp}
        yield Span("frame", trace, frame, 0, stamps.captured, stamps.delivered, attributes=self._run | frame_is)
        for stage, (began, ended) in stage_ends(stamps).items():
            if not began <= ended:  # nan: it was not passed
                continue
            if stage == "round_trip":
                yield Span(stage, trace, request, frame, began, ended, "client")
            else:
                yield Span(stage, trace, _new(), frame, began, ended)

    def _ids(self, timestamp: int) -> tuple[int, int, int] | None:
        """The ids of a frame's trace, of the span of the whole and of that of the request; ``None``: not traced."""
        digest = blake2b(timestamp.to_bytes(8, "big", signed=True), key=self._key, digest_size=32).digest()
        trace, frame, request = (int.from_bytes(digest[a:b], "big") for a, b in ((0, 16), (16, 24), (24, 32)))
        return (trace, frame, request) if trace & _LOWER < self._below else None


def _new() -> int:
    return secrets.randbits(64) or 1
