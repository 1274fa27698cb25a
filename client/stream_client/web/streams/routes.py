"""``/api/streams``."""

from typing import Any

from fastapi import APIRouter, HTTPException

from stream_client.errors import TooManyError
from stream_client.web.state import State
from stream_client.web.streams.form import StreamRequest
from stream_client.web.streams.known import MISSING, Known, Responses, StreamId
from stream_client.web.streams.values import Created, StreamState, StreamSummary, stream_state, stream_summary

_REFUSED: Responses = {
    400: {"description": "settings that cannot work; `option` names the one to look at"},
    429: {"description": "as many streams run as may run"},
    503: {"description": "the model server cannot be used now"},
}
_CONFLICT: Responses = {409: {"description": "not in this state"}}


def router(state: State) -> APIRouter:
    """The routes. Handlers that wait run in threads."""
    made = APIRouter(prefix="/api/streams", tags=["streams"])
    manager = state.streams

    @made.post("", status_code=201, responses=_REFUSED)
    def create(request: StreamRequest) -> Created:
        """Make a stream, which starts at once.

        Plain names of outputs are files to download; a path with a folder is below `media_dir`; URLs are published to.
        """
        try:
            return Created(id=manager.create(request.name, request.given()).id)
        except TooManyError as error:
            raise HTTPException(429, error.message) from error

    @made.get("")
    def streams() -> list[StreamSummary]:
        """All streams, the oldest first."""
        return [stream_summary(stream) for stream in manager.all()]

    @made.get("/form")
    def form() -> dict[str, Any]:
        """JSON Schema of the settings: type, help (`description`), `group`, `unit`, range and default of each."""
        return StreamRequest.model_json_schema()

    @made.get("/{id}", responses=MISSING)
    def stream(stream: Known) -> StreamState:
        """State, counts of frames, latency, verdict, log and results of a stream."""
        return stream_state(stream)

    @made.delete("/{id}", status_code=204, responses=MISSING)
    def delete(id: StreamId) -> None:
        """End a stream and remove its results."""
        if not manager.delete(id):
            raise HTTPException(404, f"there is no stream {id!r}")

    @made.post("/{id}/pause", responses=MISSING | _CONFLICT)
    def pause(stream: Known) -> StreamState:
        """Take no frame: a file waits, a live source's frames are dropped and counted."""
        if not stream.run.pause():
            raise HTTPException(409, f"a stream that is {stream.run.state} cannot pause")
        return stream_state(stream)

    @made.post("/{id}/resume", responses=MISSING | _CONFLICT)
    def resume(stream: Known) -> StreamState:
        """Go on after a pause."""
        if not stream.run.resume():
            raise HTTPException(409, f"a stream that is {stream.run.state} cannot go on: it is not paused")
        return stream_state(stream)

    @made.post("/{id}/stop", responses=MISSING)
    def stop(stream: Known) -> StreamState:
        """End the run. The results stay."""
        stream.run.stop()
        stream.run.join()
        return stream_state(stream)

    @made.post("/{id}/restart", responses=MISSING | _REFUSED)
    def restart(stream: Known) -> StreamState:
        """End the run if it goes on, and begin anew with the same settings."""
        try:
            manager.restart(stream)
        except TooManyError as error:
            raise HTTPException(429, error.message) from error
        return stream_state(stream)

    return made
