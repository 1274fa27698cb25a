"""WebRTC by WHEP as an input, with aiortc, which receives, asks again for lost packets, and decodes."""

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, cast
from urllib.error import HTTPError

import av

from stream_client.errors import (
    SourceAuthenticationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
)
from stream_client.rtsp.sound import EncodedSound, SoundClock
from stream_client.sound.track import SoundTrack
from stream_client.sources.access_units import sound_of
from stream_client.sources.damage import Damage
from stream_client.sources.described_sound import described_track
from stream_client.sources.feed import Classify, FeedFrame, FeedProperties, FeedSound, LiveInput
from stream_client.util.container import microseconds
from stream_client.util.urls import check_clear_text
from stream_client.webrtc.endpoint import Endpoint, http_url
from stream_client.webrtc.loop import LoopThread, check_aiortc

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection

TOKEN_VARIABLE = "STREAM_CLIENT_WHEP_TOKEN"
"""The environment's bearer token for WHEP servers."""
_MOST_WAITING = 30
"""Frames that are kept for a reader that is late."""
_MOST_SOUND = 500
"""Pieces of sound, of 20 ms each, that are kept."""
_CLOCK_RATE, _SOUND_RATE, _SOUND_CHANNELS = 90_000, 48_000, 2
_CLOSE_SECONDS = 1.0
_SILENT = 2.0
"""Seconds without a frame of a stream that has begun: lost. ICE itself notices after half a minute."""
_VIDEO = re.compile(r"^m=video ([1-9][0-9]*) \S+ ([0-9]+)(.*?)(?=^m=|\Z)", re.MULTILINE | re.DOTALL)
_LOGIN = f"put user and password into the URL, or a bearer token into {TOKEN_VARIABLE}"
_MEANINGS = {
    400: "the server does not send this stream: its codec may not be H.264 or VP8",
    405: "the URL is not one of WHEP: mediamtx's end with /whep",
    406: "the server does not send this stream: its codec may not be H.264 or VP8",
}


def check_whep(url: str) -> None:
    """Raise :class:`.ConfigurationError` where aiortc is missing, or a password would go in clear text."""
    check_aiortc("whep", "source")
    check_clear_text(http_url(url), "source")


class WhepFeed:
    """One session."""

    def __init__(self, url: str, live: LiveInput, classify: Classify) -> None:
        self.live = live
        self.properties = FeedProperties()
        self._classify = classify
        self._endpoint = Endpoint(url, token_variable=TOKEN_VARIABLE, timeout=live.open_timeout, insecure=live.insecure)
        self._loop = LoopThread(f"WHEP {live.name}")
        self._peer: RTCPeerConnection | None = None
        self._pumps: list[asyncio.Future[None]] = []
        self._codec = ""
        self._changed = threading.Condition()
        self._frames: deque[tuple[av.VideoFrame, float]] = deque(maxlen=_MOST_WAITING)
        self._sounds: deque[tuple[av.AudioFrame, float]] = deque(maxlen=_MOST_SOUND)
        self._sound: SoundTrack | None = None
        self._sound_clock = SoundClock(_CLOCK_RATE, _SOUND_RATE)
        self._sound_time: int | None = None
        self._ended = False

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Begin a session, and give its frames until it ends."""
        damage = Damage()
        self._loop.start()
        try:
            self._loop.run(self._begin(), self.live.open_timeout)
            while (frame := self._next()) is not None:
                self.properties = FeedProperties(codec=self._codec, sound=self._sound)
                yield from self._heard()
                # The decoder of VP8 does not say which frames are key frames.
                damaged = damage.shows(frame) if self._codec == "h264" else frame.is_corrupt
                yield FeedFrame(frame, microseconds(frame), None, damaged)
        except HTTPError as error:
            raise self._refusal(error.code) from None
        except OSError as error:
            raise self._classify(self.live, error) from error
        finally:
            self._loop.close(self._end, _CLOSE_SECONDS)

    def abort(self) -> None:
        """End waits."""
        self._finish()
        self._loop.abort()

    def _next(self) -> av.VideoFrame | None:
        patience = min(self.live.read_timeout, _SILENT) if self.properties.codec else self.live.read_timeout
        with self._changed:
            if not self._changed.wait_for(lambda: self._frames or self._ended, patience):
                raise SourceTimeoutError(
                    f"{self.live.name}: no frame came for {patience:g} s: does somebody publish there, and are the "
                    "server's UDP ports open?"
                )
            if not self._frames:
                return None
            frame, arrived = self._frames.popleft()
        if frame.pts is not None:
            self._sound_clock.video(frame.pts, arrived)
        return frame

    def _heard(self) -> list[FeedSound]:
        """The sound that has come: its place is that of the frame that came just before."""
        with self._changed:
            sounds = list(self._sounds)
            self._sounds.clear()
        placed = [self._sound_clock.place(self._encoded(frame), arrived) for frame, arrived in sounds]
        return [sound_of(beside) for beside in placed if beside is not None]

    def _encoded(self, frame: av.AudioFrame) -> EncodedSound:
        """The samples, with a time that goes on where RTP's begins anew."""
        stamp = frame.pts or 0
        before = self._sound_time
        ticks = stamp if before is None else before + (stamp - before + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        self._sound_time = ticks
        return EncodedSound(frame.to_ndarray().tobytes(), ticks)

    def _finish(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def _begin(self) -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

        peer = self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        settled = asyncio.Event()

        @peer.on("connectionstatechange")
        def changed() -> None:
            if peer.connectionState != "connecting":
                settled.set()
            if peer.connectionState in ("failed", "closed"):
                self._finish()

        @peer.on("track")
        def began(track: "MediaStreamTrack") -> None:
            self._pumps.append(asyncio.ensure_future(self._take(track)))

        video = peer.addTransceiver("video", direction="recvonly")
        known = RTCRtpReceiver.getCapabilities("video")
        assert known is not None
        video.setCodecPreferences(sorted(known.codecs, key=lambda codec: codec.mimeType != "video/H264"))
        sound = peer.addTransceiver("audio", direction="recvonly")
        heard = RTCRtpReceiver.getCapabilities("audio")
        assert heard is not None
        sound.setCodecPreferences([codec for codec in heard.codecs if codec.mimeType == "audio/opus"])
        await peer.setLocalDescription(await peer.createOffer())
        answer = await self._endpoint.offer(peer.localDescription.sdp)
        self._codec = _codec(answer)
        if not self._codec:
            raise SourceCodecError(f"{self.live.name} has no video in H.264 or VP8", option="source")
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        if sound.currentDirection == "recvonly":
            self._sound = described_track("pcm_s16le", _SOUND_RATE, _SOUND_CHANNELS, b"")
        await settled.wait()
        if peer.connectionState != "connected":
            raise SourceError(f"{self.live.name}: no connection by UDP: look at the server's ports and addresses")

    async def _take(self, track: "MediaStreamTrack") -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame = cast("av.VideoFrame | av.AudioFrame", await track.recv())
                arrived = time.monotonic()
                with self._changed:
                    if isinstance(frame, av.VideoFrame):
                        self._frames.append((frame, arrived))
                        self._changed.notify_all()
                    else:
                        self._sounds.append((frame, arrived))
        except MediaStreamError:
            if track.kind == "video":
                self._finish()

    async def _end(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await self._endpoint.end()
        if self._peer is not None:
            await self._peer.close()

    def _refusal(self, status: int) -> SourceError:
        name = self.live.name
        if status in (401, 403):
            return SourceAuthenticationError(f"{name} refuses the credentials ({status}): {_LOGIN}")
        if status == 404:
            return SourceNotFoundError(f"{name}: nobody publishes there (404)")
        return SourceError(f"{name} answered {status}: {_MEANINGS.get(status, 'the server does not send this stream')}")


def _codec(answer: str) -> str:
    """FFmpeg's name of the video's codec in an answer; empty where there is no video."""
    video = _VIDEO.search(answer.replace("\r\n", "\n"))
    if video is None or "a=inactive" in video[3]:
        return ""
    names = re.search(rf"^a=rtpmap:{video[2]} ([A-Za-z0-9]+)/", video[3], re.MULTILINE)
    return names[1].lower() if names else ""
