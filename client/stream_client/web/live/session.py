"""A live session: frames of a browser's camera in, results out, over a websocket or WebRTC."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from kserve_wire.pictures.jpeg import encode_jpeg
from stream_client.errors import SinkError, StreamClientError
from stream_client.frames import Image, Result
from stream_client.util.extras import install_command
from stream_client.util.redact import redact
from stream_client.web.live.decoding import FrameDecoder
from stream_client.web.live.messages import JPEG, SentFrame
from stream_client.web.live.pipeline import LivePipeline, LiveSettings
from stream_client.web.live.webrtc import RtcPeer, ice_servers
from stream_client.web.rate_limit import RateLimit
from stream_client.web.sessions import Session
from stream_client.web.sockets import refuse
from stream_client.web.state import State
from stream_client.web.teach.clips import Recorder

logger = logging.getLogger(__name__)

MESSAGES_A_SECOND = 150.0
SILENCE_SECONDS = 30.0
"""Without a message the session ends: a page that is open sends one every few seconds."""
_STATUS_SECONDS = 1.0
_MOST_TEXT = 16384
"""Bytes of a text message. An offer of WebRTC has up to some thousand."""
_LAST_ANSWERS_SECONDS = 2.0
"""How long a pipeline that is replaced may answer the frames that it has."""


class LiveSession:
    """Serves one websocket until the other side closes. What it starts has ended when :meth:`serve` returns.

    The websocket carries the settings, and the offer of WebRTC. Frames and results go over a data channel while there
    is one, else over the websocket; drawn frames over a video track, else as JPEG with their results.
    """

    def __init__(self, state: State, websocket: WebSocket, session: Session) -> None:
        self._state = state
        self._websocket = websocket
        self._session = session
        self._decoder = FrameDecoder()
        self._decoding = asyncio.Lock()
        self._limit = RateLimit(MESSAGES_A_SECOND)
        self._ice_servers = ice_servers(state.options.ice_server)
        self._peer: RtcPeer | None = None
        self._sending = asyncio.Lock()
        self._pipeline: LivePipeline | None = None
        self._answers: asyncio.Task[None] | None = None
        self._settings: asyncio.Task[None] | None = None
        self._retirement: asyncio.Task[None] | None = None
        """The end of the pipeline before."""
        self._recorder: Recorder | None = None
        self._early: tuple[int, float, Image] | None = None
        """The newest frame that came before the first pipeline was there. A browser waits for the answer to some."""
        self._newest = -1
        self._size = (1, 1)
        self._dropped = 0

    async def serve(self) -> None:
        """Until the other side closes, or says nothing for :data:`SILENCE_SECONDS`."""
        status = asyncio.create_task(self._report())
        try:
            await self._say({"webrtc": self._ice_servers})
            await self._receive()
        except asyncio.TimeoutError:
            await self._refuse(f"the browser has said nothing for {SILENCE_SECONDS:g} s")
        finally:
            await _cancel(status, self._settings, self._retirement, self._answers)
            await self._disconnect()
            if self._pipeline is not None:
                await self._pipeline.close()
            self._decoder.close()
            # They refer back to the session, and keep the last frame: its shared memory would wait for the collector.
            self._pipeline = self._answers = self._settings = self._retirement = None
            if self._recorder is not None:
                with suppress(SinkError):  # nobody is there to be told
                    await asyncio.to_thread(self._recorder.finish)

    async def _refuse(self, reason: str) -> None:
        async with self._sending:
            await refuse(self._websocket, reason)

    async def _receive(self) -> None:
        while True:
            message = await asyncio.wait_for(self._websocket.receive(), SILENCE_SECONDS)
            if message["type"] == "websocket.disconnect":
                return
            if not self._limit.allows(time.monotonic()):
                await self._refuse(f"more than {MESSAGES_A_SECOND:g} messages a second")
                return
            data, text = message.get("bytes"), message.get("text")
            if data:
                await self._take_frame(data, "websocket")
            elif text:
                await self._take_text(text)

    async def _connect(self, offer: object) -> None:
        """Answer an offer of WebRTC; a new one ends the connection before."""
        if self._ice_servers is None:
            reason = f"WebRTC needs aiortc at the application: {install_command('webrtc')}"
            await self._say({"refused": reason, "webrtc_refused": True})
            return
        await self._disconnect()
        self._peer = peer = RtcPeer(self._ice_servers, self._take_from_channel)
        try:
            await self._say({"answer": await peer.answer(str(offer))})
        except ValueError as error:
            await self._say({"refused": str(error), "webrtc_refused": True})

    async def _disconnect(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            await peer.close()

    async def _take_from_channel(self, data: bytes) -> None:
        if self._limit.allows(time.monotonic()):
            await self._take_frame(data, "WebRTC")

    async def _take_frame(self, data: bytes, way: str) -> None:
        try:
            frame = SentFrame.parse(data)
            async with self._decoding:
                image = await asyncio.to_thread(self._decoder.decode, frame)
        except ValueError as error:
            self._count("refused")
            await self._say({"refused": str(error)})
            return
        if image is None:
            self._count("refused")
            await self._say({"key_frame": True})
            return
        if frame.number <= self._newest:  # overtaken, or sent twice: results are told apart by the number
            self._count("refused")
            return
        self._newest = frame.number
        self._session.kind = f"{way}, {'JPEG' if frame.kind == JPEG else 'H.264'}"
        self._count("received")
        self._size = (image.shape[1], image.shape[0])
        if self._pipeline is not None:
            self._pipeline.put(frame.number, frame.captured, image)
            return
        self._early = (frame.number, frame.captured, image)
        if self._settings is None:
            self._settings = asyncio.create_task(self._change(LiveSettings()))

    async def _take_text(self, text: str) -> None:
        """Other settings, a class to record, an offer of WebRTC or its end, a lost key frame, a sign of life."""
        try:
            value = json.loads(text) if len(text) <= _MOST_TEXT else None
            if value == "alive":
                return
            if value == "no_webrtc":
                await self._disconnect()
                return
            if value == "key_frame":
                if self._peer is not None:
                    self._peer.restart_video()
                return
            if isinstance(value, dict) and "record" in value:
                await self._change_recording(value["record"])
                return
            if isinstance(value, dict) and "offer" in value:
                await self._connect(value["offer"])
                return
            settings = LiveSettings.model_validate(value)
        except (ValidationError, ValueError, RecursionError):
            await self._say({"refused": "these are no settings of a live session"})
            return
        await _cancel(self._settings)
        self._settings = asyncio.create_task(self._change(settings))

    async def _change_recording(self, label: object) -> None:
        """End the clip that is recorded, and begin one of the class ``label``, unless that is null."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            try:
                clip = await asyncio.to_thread(recorder.finish)
            except SinkError as error:
                await self._say({"refused": error.message})
            else:
                await self._say({"recorded": None if clip is None else asdict(clip)})
        if label is not None:
            try:
                self._recorder = self._state.clips.record(str(label)[:100])
            except StreamClientError as error:
                await self._say({"refused": error.message})

    def _record(self, result: Result) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.add(result)

    def _draw(self, image: Image, captured: float) -> bytes:
        """Send a drawn frame by the video track. Where there is none it goes with its result, as JPEG."""
        peer = self._peer
        return b"" if peer is not None and peer.show(image, captured) else encode_jpeg(image)

    async def _change(self, settings: LiveSettings) -> None:
        """Take over with a new pipeline once it is there: the old one goes on until then.

        Settings that come later cancel this, but never the end of a pipeline. There is one at a time: however fast the
        settings change, there are two pipelines at most.
        """
        if self._retirement is not None:
            await asyncio.shield(self._retirement)
        try:
            pipeline = await asyncio.to_thread(LivePipeline, self._state, settings, self._record, self._draw)
        except StreamClientError as error:
            await self._say({"refused": redact(error.message)})
            return
        before, answers = self._pipeline, self._answers
        self._pipeline = pipeline
        if self._early is not None:
            pipeline.put(*self._early)
            self._early = None
        self._answers = asyncio.create_task(self._answer(pipeline))
        if before is not None and answers is not None:
            self._retirement = asyncio.create_task(self._retire(before, answers))
        await self._say({"settings": settings.model_dump()})

    async def _retire(self, pipeline: LivePipeline, answers: "asyncio.Task[None]") -> None:
        """End a pipeline that was replaced, once its last answers have come."""
        pipeline.finish()
        try:
            await asyncio.wait({answers}, timeout=_LAST_ANSWERS_SECONDS)
        finally:
            await _cancel(answers)
            self._dropped += pipeline.dropped()
            await pipeline.close()

    async def _answer(self, pipeline: LivePipeline) -> None:
        try:
            async for message in pipeline.messages():
                self._count("answered")
                if self._peer is not None and self._peer.send(message):
                    continue
                async with self._sending:
                    await self._websocket.send_bytes(message)
        except StreamClientError as error:
            if pipeline is self._pipeline:  # one that was replaced before its first frame is no problem
                await self._say({"problem": redact(error.message)})
        except (RuntimeError, WebSocketDisconnect):
            logger.debug("the browser has gone before its result")

    async def _report(self) -> None:
        """Once a second: states of the connections, counts, the verdict."""
        while True:
            await asyncio.sleep(_STATUS_SECONDS)
            pipeline = self._pipeline
            if pipeline is None:
                continue
            self._session.counts["dropped"] = dropped = self._dropped + pipeline.dropped()
            await self._say(
                {
                    "server": pipeline.server_state,
                    "counts": {**self._session.counts, "dropped": dropped},
                    "verdict": pipeline.verdict(self._size),
                }
            )

    def _count(self, name: str) -> None:
        counts = self._session.counts
        counts[name] = counts.get(name, 0) + 1

    async def _say(self, value: object) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            async with self._sending:
                await self._websocket.send_text(json.dumps(value))


async def _cancel(*tasks: "asyncio.Task[None] | None") -> None:
    """End tasks, and wait for their end. Their faults are raised."""
    given = [task for task in tasks if task is not None]
    for task in given:
        task.cancel()
    for outcome in await asyncio.gather(*given, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
