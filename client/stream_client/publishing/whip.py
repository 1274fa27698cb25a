"""WebRTC by WHIP (RFC 9725), with aiortc: frames and sound are packed as they were encoded."""

import asyncio
import time
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import av

from stream_client.errors import OutputRefusedError
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.rtsp.h264 import CLOCK_RATE
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import LIVE_SILENCE, SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.webrtc.endpoint import Endpoint
from stream_client.webrtc.loop import LoopThread
from stream_client.webrtc.reports import ReceiverReports

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection, RTCRtpSender

TOKEN_VARIABLE = "STREAM_CLIENT_WHIP_TOKEN"
"""The environment's bearer token for WHIP servers."""
_MOST_WAITING = 50
_OPUS_RATE = 48_000
_RULE = SoundRule(frozenset({"opus"}), "libopus", channels=2, silence=LIVE_SILENCE)
_CLOSE_SECONDS = 1.0
_LOOK_SECONDS = 0.2
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
        self._frames = _Packets(_MOST_WAITING)
        self._sounds = _Packets(_MOST_WAITING)
        self._peer: RTCPeerConnection | None = None
        self._state = "new"
        self._reports = ReceiverReports()
        self._listening: asyncio.Task[None] | None = None

    sound_rule: SoundRule | None = _RULE

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        """Offer the stream, and wait until it is connected."""
        self._loop.start()
        try:
            self._loop.run(self._begin(with_sound=sound is not None), min(within, self._timeout))
        except HTTPError as error:
            meaning = _MEANINGS.get(error.code, "the server does not take this stream")
            raise OutputRefusedError(
                f"POST was answered with {error.code}: {meaning}", final=error.code in (401, 403)
            ) from None

    def send(self, frame: PublishedFrame) -> int:
        """Hand a frame to the session."""
        if self._state != "connected":
            raise ConnectionResetError("the server ended the session")
        if self._reports.overdue(time.monotonic()):  # the session itself would notice after half a minute
            raise ConnectionResetError("the server's reports have stopped")
        self._loop.call(self._frames.put, frame.data, frame.time, CLOCK_RATE)
        return len(frame.data)

    def send_sound(self, packet: SoundPacket) -> int:
        """Hand sound to the session."""
        self._loop.call(self._sounds.put, packet.data, round(packet.time * _OPUS_RATE), _OPUS_RATE)
        return len(packet.data)

    def queued(self) -> int | None:
        """Unknown: UDP, and aiortc has no queue."""
        return None

    def close(self) -> None:
        """End the session and the thread."""
        self._loop.close(self._end, _CLOSE_SECONDS)

    def abort(self) -> None:
        """End waiting calls; called from another thread."""
        self._loop.abort()

    async def _begin(self, *, with_sound: bool) -> None:
        from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

        class Track(MediaStreamTrack):
            """What is published, as aiortc asks for it."""

            def __init__(self, kind: str, packets: _Packets) -> None:
                super().__init__()
                self.kind = kind
                self._packets = packets

            async def recv(self) -> "av.Packet[av.stream.Stream]":
                """The next packet."""
                return await self._packets.get()

        peer = self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connected = asyncio.Event()

        @peer.on("connectionstatechange")
        def changed() -> None:
            self._state = peer.connectionState
            if self._state != "connecting":
                connected.set()

        tracks = [("video", "video/H264", self._frames)]
        tracks += [("audio", "audio/opus", self._sounds)] if with_sound else []
        for kind, name, packets in tracks:
            sender = peer.addTransceiver(Track(kind, packets), direction="sendonly")
            codecs = RTCRtpSender.getCapabilities(kind).codecs
            sender.setCodecPreferences([codec for codec in codecs if codec.mimeType == name])
        await peer.setLocalDescription(await peer.createOffer())
        answer = await self._endpoint.offer(peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        await connected.wait()
        if self._state != "connected":
            raise ConnectionResetError("no connection by UDP: look at the server's ports and addresses")
        self._listening = asyncio.ensure_future(self._listen(peer.getSenders()[0]))

    async def _listen(self, sender: "RTCRtpSender") -> None:
        """Note when the server reports what it received."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for found in (await sender.getStats()).values():
                if found.type == "remote-inbound-rtp":
                    self._reports.seen(found.timestamp, time.monotonic())

    async def _end(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        await self._endpoint.end()
        if self._peer is not None:
            await self._peer.close()


class _Packets:
    """Encoded packets that wait for aiortc, in its loop. What does not fit is left out."""

    def __init__(self, most: int) -> None:
        self._queue: asyncio.Queue[av.Packet[av.stream.Stream]] = asyncio.Queue(most)

    def put(self, data: bytes, time: int, rate: int) -> None:
        """Add one; ``time`` is in ticks of ``rate`` a second."""
        if not self._queue.full():
            packet = av.Packet(data)
            packet.pts, packet.time_base = time, Fraction(1, rate)
            self._queue.put_nowait(packet)

    async def get(self) -> "av.Packet[av.stream.Stream]":
        """The next one."""
        return await self._queue.get()
