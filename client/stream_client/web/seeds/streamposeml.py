"""StreamPoseML's web interface: Socket.IO ``keypoints`` to ``frame_result``, and ``POST /api/model/setup``.

Source: "Web Application Integration" of StreamPoseML's Client Interfaces. Its program has one client for all; here each
connection has its own, so that windows of two people do not mix.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import socketio
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from stream_client.classify.mlflow_classifier import MLflowScorer
from stream_client.compat.streamposeml import MLFlowClient, SequenceTransformer
from stream_client.errors import ConfigurationError, StreamClientError, TooManyError
from stream_client.util.redact import redact
from stream_client.web.sessions import Session, peer_of
from stream_client.web.state import State

EVENT, ANSWER = "keypoints", "frame_result"
MAX_BYTES = 200_000
"""Of a message: 33 points of JSON have a few kilobytes."""
_MOST_FRAMES = 300
_DEFAULT_SERVER = "http://127.0.0.1:5002"
"""Where StreamPoseML's MLflow listens."""
Answer = Mapping[str, object]
Pipeline = Callable[[Any], Answer]
"""From the payload of an event to that of its answer. Takes as long as a prediction."""


class ModelSetup(BaseModel):
    """How windows are made, and who classifies them. ``scoring_server`` is the address of an MLflow scoring server."""

    frame_window: int = Field(default=30, ge=1, le=_MOST_FRAMES)
    frame_overlap: int = Field(default=5, ge=0, lt=_MOST_FRAMES)
    input_example: dict[str, Any] = Field(default_factory=lambda: {"columns": []})
    original_features: bool = Field(default=False, description="columns as StreamPoseML itself names and computes them")
    scoring_server: str = Field(default=_DEFAULT_SERVER, max_length=2000)


class Status(BaseModel):
    """Whether the model is configured, and why not."""

    status: Literal["success", "error"]
    message: str


class StreamPoseML:
    """The Socket.IO server with its connections, and the setup that they follow."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._setup: ModelSetup | None = None
        self._sessions: dict[str, Session] = {}
        self._pipelines: dict[str, tuple[ModelSetup, Pipeline]] = {}
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,  # the next event of a connection waits until this one is answered
            cors_allowed_origins=[],  # the application's guard checks origins
            max_http_buffer_size=MAX_BYTES,
            ping_interval=10,
            ping_timeout=10,
            logger=False,
            engineio_logger=False,
        )
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on(EVENT, self._keypoints)
        self.server.on("ping_heartbeat", self._heartbeat)

    def set_up(self, setup: ModelSetup) -> None:
        """Configure all connections. Raises :class:`.ConfigurationError` for what cannot work."""
        self._pipeline(setup)
        self._setup = setup

    async def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        try:
            self._sessions[sid] = self._state.sessions.enter("Socket.IO", peer_of(environ.get("asgi.scope", {})))
        except TooManyError as error:
            raise socketio.exceptions.ConnectionRefusedError(error.message) from error

    async def _disconnect(self, sid: str, reason: object = None) -> None:
        self._pipelines.pop(sid, None)
        session = self._sessions.pop(sid, None)
        if session is not None:
            self._state.sessions.leave(session)

    async def _heartbeat(self, sid: str, payload: object = None) -> None:
        """StreamPoseML's page shows how long ago it was answered."""
        await self.server.emit("pong_heartbeat", {"timestamp": time.time(), "server_health": "ok"}, to=sid)

    async def _keypoints(self, sid: str, payload: object = None) -> None:
        answer: Answer
        if self._setup is None:
            answer = {"error": "No model configured"}
        else:
            try:
                answer = await asyncio.to_thread(self._run, sid, self._setup, payload)
            except StreamClientError as error:
                answer = {"error": redact(error.message)}
        await self.server.emit(ANSWER, answer, to=sid)

    def _run(self, sid: str, setup: ModelSetup, payload: object) -> Answer:
        made, pipeline = self._pipelines.get(sid, (None, None))
        if made is not setup or pipeline is None:
            pipeline = self._pipeline(setup)
            if sid in self._sessions:
                self._pipelines[sid] = setup, pipeline
        return pipeline(_keypoints_of(payload))

    def _pipeline(self, setup: ModelSetup) -> Pipeline:
        address = self._state.places.address(setup.scoring_server, ("http", "https"), "scoring_server")
        scorer = MLflowScorer(address)
        client = MLFlowClient(
            data_transformer=SequenceTransformer(original_features=setup.original_features),
            predict_fn=lambda columns: scorer.invoke({"inputs": columns}),
            input_example=setup.input_example,
            frame_window=setup.frame_window,
            frame_overlap=setup.frame_overlap,
        )

        def run(payload: Mapping[str, Any]) -> Answer:
            if not client.run_keypoint_pipeline(payload) or client.current_classification is None:
                return {"status": "processing"}
            return {
                "classification": client.current_classification,
                "prediction_time": client.prediction_processing_time,
                "confidence": client.current_confidence,
            }

        return run


def router(seed: StreamPoseML) -> APIRouter:
    """``POST /api/model/setup``."""
    made = APIRouter(prefix="/api/model", tags=["StreamPoseML"])

    @made.post(
        "/setup",
        response_model=Status,
        responses={400: {"description": "settings that cannot work, with status `error`"}},
    )
    def setup(given: ModelSetup) -> JSONResponse:
        """Configure the model of the Socket.IO interface, as StreamPoseML's program does."""
        try:
            seed.set_up(given)
        except StreamClientError as error:
            return JSONResponse({"status": "error", "message": redact(error.message)}, 400)
        return JSONResponse({"status": "success", "message": "Model configured"})

    return made


def _keypoints_of(payload: object) -> Mapping[str, Any]:
    """The payload as an object: StreamPoseML's handler is declared to take a string."""
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            raise ConfigurationError("keypoints are no JSON") from None
    if not isinstance(payload, Mapping):
        raise ConfigurationError("keypoints are an object with 'landmarks' or 'joint_positions'")
    return payload
