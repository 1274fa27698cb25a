"""The stream that a path names, for handlers."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request

from stream_client.web.streams.manager import StreamManager
from stream_client.web.streams.stream import Stream

StreamId = Annotated[str, Path(max_length=20)]
Responses = dict[int | str, dict[str, Any]]
MISSING: Responses = {404: {"description": "there is no such stream"}}


def _known(id: StreamId, request: Request) -> Stream:
    manager: StreamManager = request.app.state.streams
    stream = manager.get(id)
    if stream is None:
        raise HTTPException(404, f"there is no stream {id!r}")
    return stream


Known = Annotated[Stream, Depends(_known)]
"""The stream of ``{id}``; 404 where there is none."""
