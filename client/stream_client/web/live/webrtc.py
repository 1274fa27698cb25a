"""WebRTC: the messages of a live session over a data channel, which loses what is late instead of waiting for it."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiortc import RTCDataChannel

IceServer = dict[str, str]
"""``urls``, and for TURN ``username`` and ``credential``: as aiortc and browsers take it."""
USER_VARIABLE, PASSWORD_VARIABLE = "STREAM_CLIENT_TURN_USERNAME", "STREAM_CLIENT_TURN_PASSWORD"
MAX_MESSAGE = 256 << 10
"""Bytes. Chromium sends and takes no longer ones."""
_MOST_WAITING = 8
_MOST_BUFFERED = 1 << 20
_MEDIA = re.compile(r"^m=(\S+)", re.MULTILINE)


def ice_servers(urls: Sequence[str]) -> list[IceServer] | None:
    """The servers for both sides; ``None`` where aiortc is missing. TURN's credentials come from the environment."""
    try:
        import aiortc  # noqa: F401
    except ModuleNotFoundError:
        return None
    turn = {"username": os.environ.get(USER_VARIABLE, ""), "credential": os.environ.get(PASSWORD_VARIABLE, "")}
    return [{"urls": url, **(turn if url.startswith("turn") else {})} for url in urls]


class RtcChannel:
    """One data channel, made by the browser. ``take`` is awaited for each message of the browser, one at a time.

    Messages that come faster than they are taken are dropped: the decoder then asks for a key frame.
    """

    def __init__(self, servers: Sequence[IceServer], take: Callable[[bytes], Awaitable[None]]) -> None:
        from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

        self._take = take
        self._messages: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)
        self._channel: RTCDataChannel | None = None
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[RTCIceServer(**server) for server in servers]))
        self._peer.on("datachannel", self._opened)
        self._delivery = asyncio.create_task(self._deliver())

    async def answer(self, offer: str) -> str:
        """The answer to the browser's offer, both in SDP. Raises ``ValueError`` for what is no offer of one channel."""
        from aiortc import RTCSessionDescription

        if _MEDIA.findall(offer) != ["application"]:
            raise ValueError("an offer of WebRTC has one data channel and no media")
        try:
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

    async def close(self) -> None:
        """End the connection and everything that it started."""
        self._delivery.cancel()
        with suppress(asyncio.CancelledError):
            await self._delivery
        await self._peer.close()

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
