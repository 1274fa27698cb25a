"""The application factory: pages, API and live sessions behind one guard."""

from importlib.metadata import version
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles

from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.web import health, live, login
from stream_client.web.guard import Guard
from stream_client.web.state import State


def create(state: State) -> FastAPI:
    """The ASGI application. Whoever calls it owns the parts of ``state``."""
    app = FastAPI(
        title="ovms-stream-client",
        version=version("ovms-stream-client"),
        openapi_url="/api/openapi.json",
        docs_url=None,  # their scripts come from another host
        redoc_url=None,
        routes=live.routes(state),
    )
    app.include_router(health.router(state))
    app.include_router(login.router(state))
    app.add_exception_handler(StreamClientError, _refused)
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


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """An error of the library: 400 for what was asked, 503 for what the server is not able to do now."""
    status = 400 if isinstance(error, ConfigurationError) else 503
    option = error.option if isinstance(error, StreamClientError) else None
    return JSONResponse({"detail": str(error) if option is None else error.args[0], "option": option}, status)
