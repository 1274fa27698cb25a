"""A collector of OpenTelemetry: takes traces by OTLP over HTTP and keeps them."""

import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.in_thread import InThread


@dataclass(frozen=True, slots=True)
class Received:
    """A span, its ids in hexadecimal, times in seconds since 1970."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    kind: int
    began: float
    ended: float
    attributes: dict[str, str | int]


class Collector(InThread, ThreadingHTTPServer):
    """Takes what is posted to ``/v1/traces``; ``seconds``: how long it lets each post wait."""

    daemon_threads = True

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seconds = seconds
        self.spans: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.seconds)
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {each.key: each.value for each in span.attributes}
                    self.server.spans.append(
                        Received(
                            about["service.name"],
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.kind,
                            span.start_time_unix_nano / 1e9,
                            span.end_time_unix_nano / 1e9,
                            {key: value.string_value or value.int_value for key, value in values.items()},
                        )
                    )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""
