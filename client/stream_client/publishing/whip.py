"""WebRTC by WHIP (RFC 9725), with aiortc: the frames are packed as they were encoded.

aiortc needs an asyncio loop, so each wire owns a thread with one.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Coroutine
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import av

from stream_client.errors import ConfigurationError, OutputRefusedError
from stream_client.publishing.wire import EncodedFrame, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.util.extras import install_command
from stream_client.util.tls import tls_context
from stream_client.util.urls import same_server

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

Answer = TypeVar("Answer")

TOKEN_VARIABLE = "STREAM_CLIENT_WHIP_TOKEN"
"""The environment's bearer token for WHIP servers."""
_MOST_WAITING = 50
_MOST_ANSWER_BYTES = 1 << 20
_CLOSE_SECONDS = 1.0
_MEANINGS = {
    400: "the server does not take this stream: H.264 may not be allowed there, or somebody publishes there already",
    401: f"the server wants another bearer token, in {TOKEN_VARIABLE}",
    403: f"the server wants another bearer token, in {TOKEN_VARIABLE}",
    404: "the server has no such path: correct the URL",
    405: "the URL is not one of WHIP: mediamtx's end with /whip",
}


def check_whip() -> None:
    """Raise :class:`.ConfigurationError` where aiortc is missing."""
    try:
        import aiortc  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"whip:// output needs aiortc: {install_command('webrtc')}", option="sinks") from error


class WhipWire:
    """One session. ``timeout`` in seconds bounds its beginning."""

    def __init__(self, url: str, *, timeout: float, insecure: bool) -> None:
        scheme, _, rest = url.partition("://")
        self._url = f"{'https' if scheme.lower() == 'whips' else 'http'}://{rest}"
        self._timeout = timeout
        self._insecure = insecure
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="WHIP")
        self._frames: asyncio.Queue[EncodedFrame] = asyncio.Queue(_MOST_WAITING)
        self._peer: RTCPeerConnection | None = None
        self._session = ""
        self._state = "new"

    def open(self, track: VideoTrack, first: EncodedFrame, within: float) -> None:
        """Offer the stream, and wait until it is connected."""
        self._thread.start()
        self._run(self._begin(), min(within, self._timeout))

    def send(self, frame: EncodedFrame) -> int:
        """Hand a frame to the session."""
        if self._state != "connected":
            raise ConnectionResetError("the server ended the session")
        self._loop.call_soon_threadsafe(self._put, frame)
        return len(frame.data)

    def queued(self) -> int | None:
        """Unknown: UDP, and aiortc has no queue."""
        return None

    def close(self) -> None:
        """End the session and the thread."""
        if self._thread.is_alive():
            with contextlib.suppress(OSError, OutputRefusedError):
                self._run(self._end(), _CLOSE_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def abort(self) -> None:
        """End waiting calls; called from another thread."""
        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(self._cancel)

    def _run(self, steps: Coroutine[Any, Any, Answer], within: float) -> Answer:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(steps, within), self._loop)
        try:
            return future.result()
        except asyncio.CancelledError as error:
            raise ConnectionAbortedError("stopped") from error
        except asyncio.TimeoutError as error:
            raise TimeoutError from error

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _put(self, frame: EncodedFrame) -> None:
        if not self._frames.full():
            self._frames.put_nowait(frame)

    async def _begin(self) -> None:
        from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

        frames = self._frames

        class Frames(MediaStreamTrack):
            """What is published, as aiortc asks for it."""

            kind = "video"

            async def recv(self) -> "av.Packet[av.stream.Stream]":
                """The next frame, encoded."""
                frame = await frames.get()
                packet = av.Packet(frame.data)
                packet.pts, packet.time_base = frame.time, Fraction(1, CLOCK_RATE)
                return packet

        peer = self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connected = asyncio.Event()

        @peer.on("connectionstatechange")
        def changed() -> None:
            self._state = peer.connectionState
            if self._state != "connecting":
                connected.set()

        sender = peer.addTransceiver(Frames(), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        sender.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
        await peer.setLocalDescription(await peer.createOffer())
        answer = await asyncio.to_thread(self._post, peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await connected.wait()
        if self._state != "connected":
            raise ConnectionResetError("no connection by UDP: look at the server's ports and addresses")

    async def _end(self) -> None:
        if self._session:
            with contextlib.suppress(OSError, OutputRefusedError):
                await asyncio.to_thread(self._request, "DELETE", self._session, None)
        if self._peer is not None:
            await self._peer.close()

    def _post(self, offer: str) -> str:
        answer, location = self._request("POST", self._url, offer.encode())
        from urllib.parse import urljoin

        session = urljoin(self._url, location) if location else ""
        self._session = session if same_server(self._url, session) else ""
        return answer

    def _request(self, method: str, url: str, body: bytes | None) -> tuple[str, str]:
        """The answer's body and its ``Location``."""
        from urllib.error import HTTPError, URLError
        from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

        class NoRedirects(HTTPRedirectHandler):
            """The token stays with the server that it was given for."""

            def redirect_request(self, *_: object) -> None:
                """A redirect is an error."""

        headers = {"Content-Type": "application/sdp"} if body is not None else {}
        if token := os.environ.get(TOKEN_VARIABLE):
            headers["Authorization"] = f"Bearer {token}"
        request = Request(url, data=body, headers=headers, method=method)
        try:
            opener = build_opener(HTTPSHandler(context=tls_context(insecure=self._insecure)), NoRedirects)
            with opener.open(request, timeout=self._timeout) as response:
                answer = response.read(_MOST_ANSWER_BYTES).decode("utf-8", "replace")
                return answer, response.headers.get("Location", "")
        except HTTPError as error:
            error.close()
            meaning = _MEANINGS.get(error.code, "the server does not take this stream")
            raise OutputRefusedError(
                f"{method} was answered with {error.code}: {meaning}", final=error.code in (401, 403)
            ) from None
        except URLError as error:
            raise (error.reason if isinstance(error.reason, OSError) else ConnectionError(str(error.reason))) from None
