"""Answers of the REST port: a request's parts in, a response's parts out.

Source: src/http_rest_api_handler.cpp, src/http_server.cpp, src/config_status_utils.cpp.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import grpc

import graph_server
from graph_server.config.paths import is_escaped
from graph_server.errors import GraphServerError
from graph_server.metrics.registry import Registry
from graph_server.servables.live import LiveServables
from graph_server.service.grpc_service import SERVER_NAME
from graph_server.service.messages import InferRequest, decode_response
from graph_server.service.rest.cross_origin import CrossOrigin
from graph_server.service.rest.model_list import asked_model, described, model_list
from graph_server.service.rest.tensors import NotJson, decode_http_request, encode_http_response
from graph_server.service.servable_calls import ServableCalls
from graph_server.service.status import Refusal, UnmappedRefusal, plain, unknown_graph, unknown_version

logger = logging.getLogger(__name__)

_MODEL = r"/v2/models/([^/]+)(?:/versions/([0-9]+))?"
_GENERATIVE = "/(?:v3/v1|v3|v1)/"
_MOST_DIGITS = 100
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"
_STATUS = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAVAILABLE: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 503,
}
# Exceptions from the rule by code in OVMS's table, by the beginning of the text.
_RELOAD_STATUS = {
    "JSON_INVALID": 412, "PATH_INVALID": 400, "RESHAPE_ERROR": 412, "CANNOT_COMPILE_MODEL_INTO_TARGET_DEVICE": 412,
}  # fmt: skip
"""HTTP statuses of a failed reload, by OVMS's names; otherwise 500."""
_EXCEPTIONS = {
    "Mediapipe is not loaded yet": 500, "Failed to add packet": 412, "Model could not be reshaped": 412,
    "Inference-Header-Content-Length header": 500, "Request contains values both in binary data": 500,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A status, a body and its headers."""

    status: int
    body: bytes = b""
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Route = tuple[str, re.Pattern[str], Callable[[re.Match[str], Mapping[str, str], "bytes | bytearray"], HttpResponse]]
"""A method, a path, and what answers it."""


class RestAnswers:
    """Answers for the same servables as gRPC, through the same calls."""

    def __init__(
        self,
        calls: ServableCalls,
        live: LiveServables,
        metrics: Registry,
        cross_origin: CrossOrigin | None = None,
        *,
        tfs: bool = False,
    ) -> None:
        """``tfs``: TensorFlow Serving's API too, for models."""
        self._headers = (cross_origin or CrossOrigin()).answer_headers
        self._calls = calls
        self._live = live
        self._metrics = metrics
        self._routes: tuple[Route, ...] = (
            *(_tfs_routes(calls) if tfs else ()),
            ("POST", re.compile(_MODEL + "/infer"), self._infer),
            ("POST", re.compile("/v1/config/reload"), self._reload),
            ("GET", re.compile("/v1/config"), self._config),
            ("GET", re.compile("/v2/health/live"), lambda match, headers, body: HttpResponse(200)),
            ("GET", re.compile("/v2/health/ready"), self._server_ready),
            ("GET", re.compile("/v2"), self._server),
            ("GET", re.compile(_MODEL + "/?"), self._metadata),
            ("GET", re.compile(_MODEL + "/ready"), self._ready),
            ("GET", re.compile("/metrics"), self._page),
            ("GET", re.compile(f"{_GENERATIVE}models"), self._models),
            ("GET", re.compile(f"{_GENERATIVE}models/(.+)"), self._named_model),
            ("POST", re.compile("(?:/v3/|/v1/).*"), self._generate),
        )

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        """The response; the names of ``headers`` are in lower case."""
        response = self._answer(method, target.partition("?")[0], headers, body)
        return replace(response, headers={**self._headers, **response.headers})

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        try:
            if method == "OPTIONS":
                return HttpResponse(200)
            if method not in ("GET", "POST"):
                return failed(406, "Unsupported method")
            if is_escaped(path):
                return failed(400, "The provided base path is invalid or doesn't exists")
            known = False
            for wanted, pattern, handle in self._routes:
                match = pattern.fullmatch(path)
                if match is not None and wanted == method:
                    return handle(match, headers, body)
                known = known or match is not None
            return failed(406, "Unsupported method") if known else failed(400, "Invalid request URL")
        except Refusal as refusal:
            return failed(_http_status(refusal), str(refusal))
        except GraphServerError as error:
            return failed(500, str(error))

    def _server(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        return _json({"name": SERVER_NAME, "version": graph_server.__version__})

    def _server_ready(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        return HttpResponse(200) if self._calls.server_ready() else failed(503, "Server is not ready")

    def _ready(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        if self._calls.ready(unquote(match[1]), _version(match[2]), "REST"):
            return HttpResponse(200)
        return failed(404, "Model with requested version is not loaded yet")

    def _metadata(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        name, version = unquote(match[1]), _version(match[2])
        answer = self._calls.metadata(name, version, "REST")
        info = self._calls.model_info(name, version)
        more = {"rt_info": {"model_info": info}} if info else {}
        tensors = {
            key: [{"name": item.name, "datatype": item.datatype, "shape": list(item.shape)} for item in items]
            for key, items in (("inputs", answer.inputs), ("outputs", answer.outputs))
        }
        return _json(
            {"name": answer.name, "versions": list(answer.versions), "platform": answer.platform, **tensors, **more}
        )

    def _infer(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        length = headers.get("inference-header-content-length")
        if length is not None and (re.fullmatch("[0-9]{1,10}", length) is None or int(length) >= 2**31):
            raise Refusal("Inference-Header-Content-Length header is invalid and couldn't be parsed")
        decoded: list[InferRequest] = []

        def decode(take: Callable[[int], None]) -> InferRequest:
            size = None if length is None else int(length)
            try:
                decoded.append(decode_http_request(body, size, unquote(match[1]), _version(match[2]), memory.grow))
            except Refusal:
                self._calls.unreadable(unquote(match[1]), _version(match[2]), "REST")
                raise
            return decoded[0]

        with self._calls.budgets.json_bytes.reserve() as memory:
            data = self._calls.infer(decode, len(body), "REST")
            content, json_size = encode_http_response(*decode_response(data), decoded[0].message, memory.grow)
        more = {} if json_size is None else {"Inference-Header-Content-Length": str(json_size)}
        return HttpResponse(200, content, _JSON, more)

    def _config(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        return _json(_statuses(self._calls))

    def _reload(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        reloaded = self._live.reload()
        if reloaded.status:
            return failed(_RELOAD_STATUS.get(reloaded.status, 500), reloaded.text)
        return _json(_statuses(self._calls), 201 if reloaded.changed else 200)

    def _models(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        return _json(model_list(self._calls.current()))

    def _named_model(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        found = described(self._calls.current(), unquote(match[1]))
        return failed(500, "Model not found") if found is None else _json(found)

    def _generate(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        """OVMS's endpoints of generative models, which no graph here has."""
        with self._calls.budgets.json_bytes.reserve() as memory:
            name = asked_model(match[0], headers, body, memory.grow)
        if name in self._calls.current().loaded:
            raise UnmappedRefusal("Functionality not implemented")
        raise unknown_graph()

    def _page(self, match: re.Match[str], headers: Mapping[str, str], body: bytes | bytearray) -> HttpResponse:
        if not self._metrics.config.enabled:
            return failed(400, "Invalid request URL")
        return HttpResponse(200, self._metrics.text().encode(), _TEXT)


def _tfs_routes(calls: ServableCalls) -> tuple[Route, ...]:
    from graph_server.service.tfs import rest as tfs  # its messages are of no use to others

    def parts(match: re.Match[str]) -> tuple[str, str]:
        return unquote(match["name"]), _version(match["version"])

    return (
        ("POST", tfs.PREDICT, lambda match, _, body: HttpResponse(200, tfs.predict(calls, *parts(match), body))),
        ("GET", tfs.METADATA, lambda match, *_: _json(tfs.metadata(calls, *parts(match)))),
        ("GET", tfs.STATUS, lambda match, *_: _json(tfs.status(calls, *parts(match)))),
        ("GET", tfs.PREDICT, lambda *_: failed(406, "Unsupported method")),
        ("POST", tfs.METADATA, lambda *_: failed(406, "Unsupported method")),
        ("POST", tfs.STATUS, lambda *_: failed(406, "Unsupported method")),
    )


def _statuses(calls: ServableCalls) -> dict[str, Any]:
    """The state of every servable, as ``/v1/config`` tells it."""
    servables = calls.current()
    found: dict[str, Any] = {}
    for name in servables.models.names:
        found[name] = [
            _version_status(version.number, version.state, "UNKNOWN" if version.failure else "OK")
            for version in servables.models.versions(name).values()
        ]
    for name, graph in servables.graphs.items():
        state = ("AVAILABLE", "OK") if graph is not None else ("LOADING", "FAILED_PRECONDITION")
        found[name] = [_version_status(1, *state)]
    for name in servables.retired:
        found[name] = [_version_status(1, "END", "OK")]
    return {name: {"model_version_status": found[name]} for name in sorted(found)}


def _version(digits: str | None) -> str:
    """A version in a URL. It may have leading zeros. One that is too large is unknown."""
    if digits and (len(digits) > _MOST_DIGITS or int(digits) >= 2**63):
        raise unknown_version()
    return str(int(digits)) if digits else ""


def _version_status(version: int, state: str, code: str) -> dict[str, Any]:
    return {"version": str(version), "state": state, "status": {"error_code": code, "error_message": code}}


def _http_status(refusal: Refusal) -> int:
    for beginning, status in _EXCEPTIONS.items():
        if str(refusal).startswith(beginning):
            return status
    if isinstance(refusal, NotJson):
        return 412
    return 500 if isinstance(refusal, UnmappedRefusal) else _STATUS.get(refusal.code, 500)


def _json(content: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status, json.dumps(content).encode())


def failed(status: int, text: str) -> HttpResponse:
    """An error as OVMS tells it."""
    return _json({"error": plain(text)}, status)
