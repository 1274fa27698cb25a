"""``GET /api/health``."""

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from stream_client.web.model_server import ServerState
from stream_client.web.state import State


class Health(BaseModel):
    """Whether streams can run. ``problem`` says in one line what is wrong, and is empty otherwise."""

    status: Literal["ok", "starting", "failed"]
    server: ServerState
    problem: str
    version: str


def router(state: State) -> APIRouter:
    """The route."""
    made = APIRouter(prefix="/api", tags=["health"])

    @made.get("/health")
    async def health() -> Health:
        """How the application and its model server are."""
        server = state.server.state
        status: Literal["ok", "starting", "failed"] = "ok"
        if server in ("starting", "failed"):
            status = "starting" if server == "starting" else "failed"
        return Health(status=status, server=server, problem=state.server.problem, version=version("ovms-stream-client"))

    return made
