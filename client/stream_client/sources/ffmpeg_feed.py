"""Connections that FFmpeg opens: network streams and capture devices."""

import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import av
import av.error
from av.format import Flags

from stream_client.errors import SourceCodecError, SourceError, SourceOverError
from stream_client.sources.arrivals import arrivals
from stream_client.sources.bursts import Start
from stream_client.sources.capture_times import CaptureTimes
from stream_client.sources.damage import Damage
from stream_client.sources.feed import Classify, FeedFrame, FeedProperties, FeedSound, LiveInput
from stream_client.sources.hls_files import HLS_OPTIONS, Failure, HlsFiles, PlayedParts
from stream_client.sources.hls_playlist import PLAYLIST_HEAD
from stream_client.sources.pixel_bound import DECODER_OPTIONS, Refusals, bound
from stream_client.sources.recording import Recording
from stream_client.util.container import (
    JOINED,
    SELF_CONTAINED,
    frame_count_of,
    frame_rate_of,
    has_flag,
    is_of,
    leave_out,
    microseconds,
    sound_of,
    video_of,
)
from stream_client.util.hardware import acceleration, say_what_decodes
from stream_client.util.urls import split_credentials

if TYPE_CHECKING:
    from stream_client.sources.digest_file import DigestFile


class Readable(Protocol):
    """What FFmpeg reads from. It raises nothing: PyAV prints the traceback of a second error."""

    def read(self, size: int) -> bytes:
        """Wait for bytes, at most ``size``; empty at the end."""


class FfmpegFeed:
    """Everything that FFmpeg opens, or reads by ``reader``. ``classify`` turns FFmpeg's exception into one of ours.

    ``played``: what earlier connections have read of the same stream, where that is HLS.

    FFmpeg's exception carries the whole URL, so it is never the cause of ours: a traceback would show the credentials.
    """

    def __init__(
        self,
        live: LiveInput,
        classify: Classify,
        reader: Readable | None = None,
        played: PlayedParts | None = None,
    ) -> None:
        self.live = live
        self._played = played
        self._hls_files: HlsFiles | None = None
        self._digest_file: DigestFile | None = None
        self._reader = reader
        self.properties = FeedProperties()
        self._classify = classify
        self._began = 0.0
        self._hardware = acceleration(live.decoder)

    def frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        """Connect, and decode until the end."""
        try:
            yield from self._frames()
        finally:
            if self._digest_file is not None:
                self._digest_file.close()

    def _frames(self) -> Generator[FeedFrame | FeedSound, None, None]:
        with self._open() as container:
            try:
                stream = self._video(container)
                frames: Generator[FeedFrame | FeedSound, None, None] = self._live_frames(container, stream)
                if self.properties.finite:
                    recording = Recording(container, stream, self.live.name, sound=self.properties.sound)
                    frames = cast("Generator[FeedFrame | FeedSound, None, None]", recording.frames())
                yield from self._unbroken(frames)
            except (OSError, av.error.FFmpegError) as error:
                lost = self._lost()
                if lost is None and isinstance(error, av.error.InvalidDataError):
                    raise SourceError(f"{self.live.name} broke off") from None
                raise self._reason(lost or error) from None

    def abort(self) -> None:
        """FFmpeg cannot be woken while it waits for a silent server. Its own timeouts end the wait."""
        if self._hls_files is not None:
            self._hls_files.stop()

    def _unbroken(
        self, frames: Generator[FeedFrame | FeedSound, None, None]
    ) -> Generator[FeedFrame | FeedSound, None, None]:
        """The frames, to where what we read for FFmpeg is lost.

        A recording is read again. So its last frame is not taken, which may be cut.
        """
        for frame in frames:
            if self.properties.finite and (lost := self._lost()) is not None:
                raise lost
            yield frame
        if (lost := self._lost()) is not None:
            raise lost
        if self._hls_files is not None and self._hls_files.ended:  # a live stream that is over
            self.properties = replace(self.properties, finite=True)

    def _live_frames(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> Generator[FeedFrame | FeedSound, None, None]:
        refusals = Refusals(self.live.name)
        captured, damage = CaptureTimes(), Damage()
        for each, arrived in self._live_packets(container, stream):
            if not is_of(each, stream):
                sound = cast("av.Packet[av.AudioStream]", each)
                if sound.pts is not None and sound.time_base is not None:
                    yield FeedSound(sound, round(sound.pts * sound.time_base * 1_000_000))
                continue
            packet = cast("av.Packet[av.VideoStream]", each)
            captured.take(packet)
            if packet.is_corrupt and packet.pts is not None:
                damage.packet(packet.pts)
            try:
                frames = stream.decode(packet)
            except av.error.InvalidDataError:  # damaged in transit, or before the first key frame: the stream goes on
                refusals.damaged(stream.codec_context)
                damage.lost()
                continue
            for frame in frames:
                time = microseconds(frame) if arrived is None else None
                yield FeedFrame(frame, time, captured.of(frame), damage.shows(frame), arrived)

    def _live_packets(
        self, container: av.container.InputContainer, stream: av.VideoStream
    ) -> "Iterator[tuple[av.Packet[av.stream.Stream], float | None]]":
        """The packets. Each has the time of its arrival where its timestamps are made up."""
        streams: list[av.stream.Stream] = [stream]
        if self.properties.sound is not None:
            streams.append(container.streams.audio[0])
        packets = container.demux(streams)
        if has_flag(container.format, Flags.no_timestamps):
            return arrivals(packets, self._began)
        if not self.properties.bursty and self.live.url.startswith("http"):
            start = Start(packets, _seconds)
            if start.faster_than_real_time:
                self.properties = replace(self.properties, bursty=True)
            packets = start.packets()
        return ((packet, None) for packet in packets)

    def _open(self) -> av.container.InputContainer:
        live = self.live
        # Few sources are HTTP, and its modules take long to load.
        from stream_client.sources.http_passwords import url_to_open

        self._began = time.monotonic()
        try:
            if self._reader is not None:
                return self._container(self._reader, live.format)
            if live.url.lower().startswith("http"):
                return self._web(url_to_open(live))
            return self._container(live.url, live.format)
        except (OSError, av.error.FFmpegError) as error:  # most of FFmpeg's errors are not an OSError
            lost = self._lost()
            if self._hls_files is not None and self._hls_files.over:
                raise SourceOverError(f"{live.name} has ended") from None
            # An interrupted handshake ends with any error, "invalid data" for instance.
            if lost is None and time.monotonic() - self._began >= live.open_timeout:
                raise live.silence(live.open_timeout) from None
            raise self._reason(lost or error) from None

    def _reason(self, error: Failure) -> SourceError:
        return (self._hls_files and self._hls_files.refusal) or self._classify(self.live, error)

    def _lost(self) -> Failure | None:
        """Why FFmpeg got nothing more of what we read for it."""
        if self._digest_file is not None and self._digest_file.error is not None:
            return self._digest_file.error
        return None if self._hls_files is None else self._hls_files.failure

    def _web(self, url: str) -> av.container.InputContainer:
        """What a web server has: a video, or a playlist. It names no file of this machine, and no port of it."""
        from stream_client.sources.digest_file import DigestFile
        from stream_client.sources.http_passwords import allows_clear_text
        from stream_client.sources.web_playlists import WEB_PROTOCOLS, WebPlaylists

        what: str | DigestFile = url
        if split_credentials(url)[1] is not None and not allows_clear_text(self.live):
            what = self._digest_file = DigestFile(self.live)
        # FFmpeg knows a playlist by its name, too, and this file has none for it.
        if isinstance(what, str) or not what.begins_with(PLAYLIST_HEAD):
            with suppress(av.error.ArgumentError):  # a format that names others
                return self._container(what, None, SELF_CONTAINED | WEB_PROTOCOLS)
        if self._digest_file is not None:
            self._digest_file.close()
            self._digest_file = None
        self._hls_files = HlsFiles(
            url,
            self.live.name,
            WebPlaylists(replace(self.live, url=url)),
            timeout=(self.live.open_timeout, self.live.read_timeout),
            played=self._played,
        )
        container = self._container(url, "hls", HLS_OPTIONS, self._hls_files)
        self._hls_files.opening = False
        return container

    def _container(
        self,
        what: str | Readable,
        format: str | None,
        options: dict[str, str] | None = None,
        io_open: HlsFiles | None = None,
    ) -> av.container.InputContainer:
        return av.open(
            what,
            "r",
            format=format,
            options=self.live.options | DECODER_OPTIONS | JOINED | (options or {}),
            timeout=(self.live.open_timeout, self.live.read_timeout),
            hwaccel=self._hardware,
            io_open=io_open,
        )

    def _video(self, container: av.container.InputContainer) -> av.VideoStream:
        stream = video_of(container)
        if not container.streams and self._hls_files is not None:
            if self._hls_files.failure is not None:
                raise self._hls_files.failure
            if self._hls_files.over:
                raise SourceOverError(f"{self.live.name} has ended")
            raise SourceError(f"{self.live.name} is a playlist that lists nothing: has the stream begun?")
        if stream is None:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise SourceCodecError(f"{self.live.name} has no video track, only {kinds}", option="source")
        if stream.codec_context is None:
            raise SourceCodecError(f"{self.live.name} has video in a codec that FFmpeg cannot decode", option="source")
        bound(stream.codec_context, self.live.name)
        say_what_decodes(stream.codec_context, self._hardware, self.live.name)
        segmented = self._hls_files is not None or container.format.name == "dash"
        continues = self._hls_files is not None and self._hls_files.continues
        finite = _has_an_end(container, segmented) and not continues
        made_up = has_flag(container.format, Flags.no_timestamps)
        # Frame threads would hold back a frame a thread.
        stream.thread_type = "AUTO" if finite else "SLICE"
        self.properties = FeedProperties(
            codec=stream.codec_context.name,
            # FFmpeg makes 25 frames a second up, or what the codec says.
            frame_rate=frame_rate_of(stream) if finite or not made_up else None,
            frame_count=frame_count_of(container, stream) if finite else None,
            finite=finite,
            bursty=segmented and not finite,
            sample_aspect_ratio=stream.sample_aspect_ratio,
            sound=sound_of(container),
        )
        if segmented:
            leave_out(container, stream)
        return stream


def _seconds(packet: "av.Packet[av.stream.Stream]") -> float | None:
    return None if packet.dts is None or packet.time_base is None else float(packet.dts * packet.time_base)


def _has_an_end(container: av.container.InputContainer, segmented: bool) -> bool:
    """Whether the stream declares its length, in time or in bytes. A playlist of live segments has bytes of its own."""
    if container.duration:  # live FLV has a length of 0
        return True
    if segmented or container.format.name in ("mpjpeg", "sdp"):  # some cameras make a length up; a file describes
        return False
    return not has_flag(container.format, Flags.no_file) and container.size > 0
