"""The REST port: health, readiness and metadata."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import graph_server
from graph_server.errors import GraphServerError
from graph_server.servables import Servables
from graph_server.service.grpc_service import SERVER_NAME


class RestServer:
    """Owns the thread that serves; ``current`` gives the servables at the moment of each call."""

    def __init__(self, host: str, port: int, current: Callable[[], Servables]) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(current))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="rest")

    @property
    def address(self) -> str:
        """``host:port``."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End and wait for that."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def answer(servables: Servables, path: str) -> tuple[int, dict[str, Any] | None]:
    """The HTTP status and the JSON body for a GET of ``path``."""
    parts = [part for part in path.split("?", maxsplit=1)[0].split("/") if part]
    match parts:
        case ["v2", "health", "live" | "ready"]:
            return 200, None
        case ["v2"]:
            return 200, {"name": SERVER_NAME, "version": graph_server.__version__}
        case ["v1", "config"]:
            return 200, {
                name: {"model_version_status": [{"version": "1", "state": "AVAILABLE" if graph else "END"}]}
                for name, graph in servables.graphs.items()
            }
        case ["v2", "models", name, *rest]:
            return _model(servables, name, [part for part in rest if part not in ("versions", "1")])
    return 404, {"error": "invalid URL"}


def _model(servables: Servables, name: str, rest: list[str]) -> tuple[int, dict[str, Any] | None]:
    specs: list[list[dict[str, Any]]]
    if name in servables.graphs:
        graph = servables.graphs[name]
        if rest == ["ready"]:
            return (200 if graph is not None else 503), None
        if graph is None:
            return 503, {"error": "Mediapipe is not loaded yet"}
        specs = [
            [{"name": port, "datatype": "INVALID", "shape": []} for port in sorted(port.name for port in ports)]
            for ports in (graph.input_streams, graph.output_streams)
        ]
        versions = ["1"]
    else:
        try:
            model = servables.models.get(name)
        except GraphServerError:
            return 404, {"error": "Model with requested name is not found"}
        if rest == ["ready"]:
            return 200, None
        specs = [
            [{"name": info.name, "datatype": info.datatype, "shape": list(info.shape)} for info in infos]
            for infos in (model.inputs, model.outputs)
        ]
        versions = [str(model.version)]
    if rest:
        return 404, {"error": "invalid URL"}
    return 200, {
        "name": name, "versions": versions, "platform": "OpenVINO", "inputs": specs[0], "outputs": specs[1]
    }  # fmt: skip


def _handler(current: Callable[[], Servables]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(current(), self.path)
            data = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler
