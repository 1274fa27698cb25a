"""WebRTC by WHIP (RFC 9725), with aiortc: the frames are packed as they were encoded."""

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import av

from stream_client.errors import OutputRefusedError
from stream_client.publishing.wire import EncodedFrame, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.webrtc.endpoint import Endpoint
from stream_client.webrtc.loop import LoopThread

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

TOKEN_VARIABLE = "STREAM_CLIENT_WHIP_TOKEN"
"""The environment's bearer token for WHIP servers."""
_MOST_WAITING = 50
_CLOSE_SECONDS = 1.0
_MEANINGS = {
    400: "the server does not take this stream: H.264 may not be allowed there, or somebody publishes there already",
    401: f"the server wants another bearer token, in {TOKEN_VARIABLE}",
    403: f"the server wants another bearer token, in {TOKEN_VARIABLE}",
    404: "the server has no such path: correct the URL",
    405: "the URL is not one of WHIP: mediamtx's end with /whip",
}


class WhipWire:
    """One session. ``timeout`` in seconds bounds its beginning."""

    def __init__(self, url: str, *, timeout: float, insecure: bool) -> None:
        self._timeout = timeout
        self._endpoint = Endpoint(url, token_variable=TOKEN_VARIABLE, timeout=timeout, insecure=insecure)
        self._loop = LoopThread("WHIP")
        self._frames: asyncio.Queue[EncodedFrame] = asyncio.Queue(_MOST_WAITING)
        self._peer: RTCPeerConnection | None = None
        self._state = "new"

    def open(self, track: VideoTrack, first: EncodedFrame, within: float) -> None:
        """Offer the stream, and wait until it is connected."""
        self._loop.start()
        try:
            self._loop.run(self._begin(), min(within, self._timeout))
        except HTTPError as error:
            meaning = _MEANINGS.get(error.code, "the server does not take this stream")
            raise OutputRefusedError(
                f"POST was answered with {error.code}: {meaning}", final=error.code in (401, 403)
            ) from None

    def send(self, frame: EncodedFrame) -> int:
        """Hand a frame to the session."""
        if self._state != "connected":
            raise ConnectionResetError("the server ended the session")
        self._loop.call(self._put, frame)
        return len(frame.data)

    def queued(self) -> int | None:
        """Unknown: UDP, and aiortc has no queue."""
        return None

    def close(self) -> None:
        """End the session and the thread."""
        self._loop.close(self._end, _CLOSE_SECONDS)

    def abort(self) -> None:
        """End waiting calls; called from another thread."""
        self._loop.abort()

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
        answer = await self._endpoint.offer(peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await connected.wait()
        if self._state != "connected":
            raise ConnectionResetError("no connection by UDP: look at the server's ports and addresses")

    async def _end(self) -> None:
        await self._endpoint.end()
        if self._peer is not None:
            await self._peer.close()
