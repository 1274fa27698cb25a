"""WebRTC: a data channel for the messages of a live session, and a video track for what the server draws.

The channel loses what is late instead of waiting for it.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import av

from stream_client.frames import Image
from stream_client.web.live.video import DrawnVideo

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCDataChannel

IceServer = dict[str, str]
"""``urls``, and for TURN ``username`` and ``credential``: as aiortc and browsers take it."""
USER_VARIABLE, PASSWORD_VARIABLE = "STREAM_CLIENT_TURN_USERNAME", "STREAM_CLIENT_TURN_PASSWORD"
MAX_MESSAGE = 256 << 10
"""Bytes. Chromium sends and takes no longer ones."""
_MOST_WAITING = 8
_MOST_PACKETS = 4
_MOST_BUFFERED = 1 << 20
_MEDIA = re.compile(r"^m=(\S+)", re.MULTILINE)
_KINDS = (["application"], ["video"], ["application", "video"])
Packets = asyncio.Queue["av.Packet[av.stream.Stream]"]


def ice_servers(urls: Sequence[str]) -> list[IceServer] | None:
    """The servers for both sides; ``None`` where aiortc is missing. TURN's credentials come from the environment."""
    try:
        import aiortc  # noqa: F401
    except ModuleNotFoundError:
        return None
    turn = {"username": os.environ.get(USER_VARIABLE, ""), "credential": os.environ.get(PASSWORD_VARIABLE, "")}
    return [{"urls": url, **(turn if url.startswith("turn") else {})} for url in urls]


class RtcPeer:
    """A connection that the browser offers. ``take`` is awaited for each message of its channel, one at a time.

    Messages that come faster than they are taken are dropped: the decoder then asks for a key frame.
    """

    def __init__(self, servers: Sequence[IceServer], take: Callable[[bytes], Awaitable[None]]) -> None:
        from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

        self._take = take
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._channel: RTCDataChannel | None = None
        self._video: DrawnVideo | None = None
        self._packets: Packets = asyncio.Queue(_MOST_PACKETS)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[RTCIceServer(**server) for server in servers]))
        self._peer.on("datachannel", self._opened)
        self._delivery = asyncio.create_task(self._deliver())

    async def answer(self, offer: str) -> str:
        """The answer to the browser's offer, both in SDP.

        Raises ``ValueError`` for what is no offer of one channel, one video to receive, or both.
        """
        from aiortc import RTCSessionDescription

        kinds = sorted(_MEDIA.findall(offer))
        if kinds not in _KINDS:
            raise ValueError("an offer of WebRTC has one data channel, one video to receive, or both")
        try:
            if "video" in kinds:
                self._add_video()
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # aiortc reads SDP without checks: any error may come
            raise ValueError("the offer of WebRTC cannot be read") from error
        return re.sub(r"(a=max-message-size:)\d+", rf"\g<1>{MAX_MESSAGE}", self._peer.localDescription.sdp)

    def send(self, message: bytes) -> bool:
        """Send, without waiting; false if the channel cannot take it now."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return False
        if len(message) > MAX_MESSAGE or channel.bufferedAmount > _MOST_BUFFERED:
            return False
        channel.send(message)
        return True

    def show(self, image: Image, captured: float) -> bool:
        """Send a frame by the video track; false while there is none. ``image`` and ``captured`` as of
        :meth:`.DrawnVideo.encode`. Called in any thread, which encodes.
        """
        video = self._video
        if video is None or self._peer.connectionState != "connected":
            return False
        if not self._packets.full():  # else the frame is left out: the network does not take more
            for packet in video.encode(image, captured):
                self._loop.call_soon_threadsafe(self._put, packet)
        return True

    def restart_video(self) -> None:
        """Make the next frame of the video a key frame: aiortc does not pass on the browser's own requests."""
        if self._video is not None:
            self._video.restart()

    async def close(self) -> None:
        """End the connection and everything that it started."""
        self._delivery.cancel()
        with suppress(asyncio.CancelledError):
            await self._delivery
        await self._peer.close()
        if self._video is not None:
            self._video.close()

    def _add_video(self) -> None:
        from aiortc import RTCRtpSender

        self._video = DrawnVideo()
        transceiver = self._peer.addTransceiver(_track(self._packets), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])

    def _put(self, packet: "av.Packet[av.stream.Stream]") -> None:
        try:
            self._packets.put_nowait(packet)
        except asyncio.QueueFull:  # what follows is made from it
            self.restart_video()

    def _opened(self, channel: "RTCDataChannel") -> None:
        if self._channel is None:
            self._channel = channel
            channel.on("message", self._arrived)

    def _arrived(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            with suppress(asyncio.QueueFull):
                self._messages.put_nowait(message)

    async def _deliver(self) -> None:
        while True:
            await self._take(await self._messages.get())


def _track(packets: Packets) -> "MediaStreamTrack":
    from aiortc import MediaStreamTrack

    class Drawn(MediaStreamTrack):
        """What is drawn, as aiortc asks for it."""

        kind = "video"

        async def recv(self) -> "av.Packet[av.stream.Stream]":
            """The next frame, encoded."""
            return await packets.get()

    return Drawn()
