"""``/ws/live_signs``: JPEG frames in, landmarks and a label for each out."""

import asyncio
import json
import logging
import time

from starlette.routing import BaseRoute
from starlette.websockets import WebSocket

from kserve_wire.pictures.jpeg import decode_image
from stream_client.aio import AsyncStreamClient
from stream_client.classify.factory import open_classifier
from stream_client.errors import StreamClientError
from stream_client.options import ClassifierOptions, RunOptions
from stream_client.processing.results import LandmarkClassifier
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.web.answers import result_value
from stream_client.web.live.decoding import MAX_PIXELS
from stream_client.web.rate_limit import RateLimit
from stream_client.web.seeds.buffered_frames import BufferedFrames
from stream_client.web.sessions import Session
from stream_client.web.sockets import refuse, session_route
from stream_client.web.state import State

logger = logging.getLogger(__name__)

MESSAGES_A_SECOND = 120.0
SILENCE_SECONDS = 60.0
"""Without a message the session ends."""


def routes(state: State) -> list[BaseRoute]:
    """The websocket's route."""

    async def live_signs(websocket: WebSocket, session: Session) -> None:
        """``?classifier=NAME`` labels by a classifier of ``/api/classifiers``, ``?model_name=`` names another graph,
        ``?face=1`` adds the face.
        """
        await _serve(state, websocket, session)

    return [session_route("/ws/live_signs", "websocket, JPEG", state.sessions, live_signs)]


async def _serve(state: State, websocket: WebSocket, session: Session) -> None:
    """Until the other side closes: one task receives, one answers. The client is closed before this returns."""
    client, frames = await asyncio.to_thread(_client, state, websocket)
    try:
        async with client:
            receiving = asyncio.create_task(_receive(websocket, frames, session))
            answering = asyncio.create_task(_answer(websocket, client, frames, session))
            try:
                await asyncio.wait((receiving, answering), return_when=asyncio.FIRST_COMPLETED)
            finally:
                frames.close()
                for task in (receiving, answering):
                    task.cancel()
                ended = await asyncio.gather(receiving, answering, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, StreamClientError):
                raise outcome
    finally:
        frames.close()


def _client(state: State, websocket: WebSocket) -> tuple[AsyncStreamClient, BufferedFrames]:
    frames = BufferedFrames()
    query = websocket.query_params
    classifier: LandmarkClassifier | None = None
    if name := query.get("classifier"):
        classifier = open_classifier(ClassifierOptions(classifier=state.places.classifier(name)))
    transport = state.server.transport(model_name=query.get("model_name") or LANDMARK_GRAPH)
    options = RunOptions(stop_timeout=0.5)
    return AsyncStreamClient(frames.take, (), transport, options=options, classifier=classifier), frames


async def _receive(websocket: WebSocket, frames: BufferedFrames, session: Session) -> None:
    limit = RateLimit(MESSAGES_A_SECOND)
    while True:
        message = await asyncio.wait_for(websocket.receive(), SILENCE_SECONDS)
        if message["type"] == "websocket.disconnect":
            return
        if not limit.allows(time.monotonic()):
            await refuse(websocket, f"more than {MESSAGES_A_SECOND:g} messages a second")
            return
        data = message.get("bytes")
        try:
            if not data:
                raise ValueError("a frame is the bytes of a JPEG or PNG")
            image = await asyncio.to_thread(decode_image, data, MAX_PIXELS)
        except ValueError as error:
            session.counts["refused"] = session.counts.get("refused", 0) + 1
            await websocket.send_text(json.dumps({"error": str(error)}))
            continue
        session.counts["received"] = frames.add(image) + 1


async def _answer(websocket: WebSocket, client: AsyncStreamClient, frames: BufferedFrames, session: Session) -> None:
    face = websocket.query_params.get("face") == "1"
    async for result in client:
        value = {"index": frames.number(result.frame.index), **result_value(result, face=face)}
        await websocket.send_text(json.dumps(value))
        session.counts["answered"] = session.counts.get("answered", 0) + 1
