"""``/api/streams/ID/…``: what a stream gives, while it runs and afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse, Response, StreamingResponse

from stream_client.web.handover import Handover
from stream_client.web.streams.known import MISSING, Known, Responses
from stream_client.web.streams.stream import Stream
from stream_client.web.streams.values import stream_state

_ROWS = 256
"""Rows of results that wait for a slow reader. Older ones are left out for it."""
_STATE_SECONDS = 1.0
_PREVIEW_PERIOD = 1 / 15
_BOUNDARY = "frame"


def router() -> APIRouter:
    """The routes. Handlers that wait run in threads."""
    made = APIRouter(prefix="/api/streams", tags=["streams"])

    @made.get("/{id}/labels", response_class=Response, responses=MISSING | _content("application/x-ndjson"))
    def labels(stream: Known) -> StreamingResponse:
        """The labels of the newest frames, up to now: JSON Lines, as the output for labels writes them."""
        return StreamingResponse(stream.run.journal.labels(), media_type="application/x-ndjson")

    @made.get("/{id}/events", response_class=Response, responses=MISSING | _content("text/event-stream"))
    async def events(stream: Known) -> StreamingResponse:
        """Server-sent events: `result` for each frame, `state` once a second and at the end."""
        return StreamingResponse(_events(stream), media_type="text/event-stream")

    @made.get("/{id}/mjpeg", response_class=Response, responses=MISSING | _content("multipart/x-mixed-replace"))
    async def mjpeg(stream: Known) -> StreamingResponse:
        """The frames as they come, at most 15 a second, as an `img` of a page shows them."""
        return StreamingResponse(_parts(stream), media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}")

    @made.get("/{id}/frame.jpg", response_class=Response, responses=MISSING | _content("image/jpeg"))
    def frame(stream: Known) -> Response:
        """The newest frame."""
        jpeg = stream.run.preview.jpeg()
        if jpeg is None:
            raise HTTPException(404, "no frame has come yet")
        return Response(jpeg, media_type="image/jpeg")

    @made.get("/{id}/results/{name}", response_class=FileResponse, responses=MISSING)
    def result(stream: Known, name: Annotated[str, Path(max_length=120)]) -> FileResponse:
        """Download a file of the results. A video is complete once the run is over."""
        for path in stream.results():
            if path.name == name:
                return FileResponse(path, filename=name)
        raise HTTPException(404, "there is no such result")

    return made


def _content(kind: str) -> Responses:
    return {200: {"content": {kind: {}}}}


async def _events(stream: Stream) -> AsyncIterator[bytes]:
    run = stream.run
    rows: Handover[dict[str, object]] = Handover(_ROWS)
    run.journal.followers.add(rows)
    try:
        due = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            if clock() >= due:
                due = clock() + _STATE_SECONDS
                yield await _state_event(stream)
            try:
                row = await asyncio.wait_for(rows.get(), max(0.01, due - clock()))
            except asyncio.TimeoutError:
                continue
            if row is None:
                break
            yield f"event: result\ndata: {json.dumps(row, ensure_ascii=False)}\n\n".encode()
        yield await _state_event(stream)
    finally:
        run.journal.followers.remove(rows)


async def _state_event(stream: Stream) -> bytes:
    value = await asyncio.to_thread(stream_state, stream)
    return f"event: state\ndata: {value.model_dump_json()}\n\n".encode()


async def _parts(stream: Stream) -> AsyncIterator[bytes]:
    preview = stream.run.preview
    frames: Handover[int] = Handover(1)
    preview.followers.add(frames)
    try:
        yield f"--{_BOUNDARY}\r\n".encode()
        while True:
            jpeg = await asyncio.to_thread(preview.jpeg)
            if jpeg is not None:
                # A browser shows a part when the next one begins, so the boundary comes at once.
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                yield head.encode() + jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
            await asyncio.sleep(_PREVIEW_PERIOD)
            if await frames.get() is None:
                break
    finally:
        preview.followers.remove(frames)
