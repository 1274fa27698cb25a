"""The application factory: pages, API and live sessions behind one guard."""

import tempfile
from importlib.metadata import version
from importlib.resources import files

import socketio
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from stream_client.errors import ConfigurationError, SourceError, StreamClientError
from stream_client.plain_text import one_line
from stream_client.util.redact import redact
from stream_client.web import catalog, fleet, health, live, login, metrics, recordings, uploads
from stream_client.web.guard import Guard
from stream_client.web.seeds import live_signs, streamposeml
from stream_client.web.state import State
from stream_client.web.streams import routes, view, watching
from stream_client.web.teach import routes as teach

_MOST_DETAILS = 20
_LONGEST_DETAIL = 200


def create(state: State) -> FastAPI:
    """The ASGI application. Whoever calls it owns the parts of ``state``."""
    app = FastAPI(
        title="ovms-stream-client",
        version=version("ovms-stream-client"),
        openapi_url="/api/openapi.json",
        docs_url=None,  # their scripts come from another host
        redoc_url=None,
        routes=[*live.routes(state), *live_signs.routes(state)],
    )
    for part in (health, login, routes, uploads, catalog, teach, recordings, fleet, metrics):
        app.include_router(part.router(state))
    app.include_router(watching.router())
    app.include_router(view.router())
    seed = streamposeml.StreamPoseML(state)
    app.include_router(streamposeml.router(seed))
    app.mount("/socket.io", socketio.ASGIApp(seed.server, socketio_path="/socket.io"))
    app.state.streams = state.streams  # for the handlers' dependency
    app.add_exception_handler(StreamClientError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _failed)
    app.mount("/", StaticFiles(directory=str(files(__package__) / "page"), html=True))
    if state.access.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(state.access.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Guard, access=state.access, max_upload=int(1e6 * state.options.max_upload))
    return app


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """What is wrong with a request. What was sent is left out: it may be no number or text that JSON can carry."""
    assert isinstance(error, RequestValidationError)
    details = [
        {"loc": [_shown(part) for part in each["loc"]], "msg": _shown(each["msg"]), "type": each["type"]}
        for each in error.errors()[:_MOST_DETAILS]
    ]
    return JSONResponse({"detail": details}, 422)


def _shown(part: object) -> str | int:
    return part if isinstance(part, int) else one_line(str(part))[:_LONGEST_DETAIL]


async def _failed(request: Request, error: Exception) -> Response:
    """The answer that a route names. FastAPI names none where a large body finds no room on the disk."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, OSError) and error.status_code == 400:
        reason = f"the request cannot be kept: {error.__cause__.strerror}: make room in {tempfile.gettempdir()}"
        return JSONResponse({"detail": reason}, 507)
    return await http_exception_handler(request, error)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """An error of the library: 400 for what was asked, 503 for what is not possible now."""
    assert isinstance(error, StreamClientError)
    status = 400 if isinstance(error, ConfigurationError | SourceError) else 503
    return JSONResponse({"detail": redact(error.message), "option": error.option}, status)
