"""What an open container of PyAV says about its streams."""

from fractions import Fraction
from typing import cast

import av
from av.format import ContainerFormat, Flags
from av.stream import Discard, Disposition

from stream_client.sound.track import SoundTrack

_MAX_PLAUSIBLE_RATE = 1000
_NAMING_OTHERS = {"concat", "rtsp", "sap", "sdp"}
UNLISTED = {"format_whitelist": ",".join(sorted(av.formats_available - {"hls"}))}
"""For FFmpeg: its formats, but for playlists, of which it would take any size: see :class:`.HlsFiles`."""
SELF_CONTAINED = {"format_whitelist": ",".join(sorted(av.formats_available - {"hls"} - _NAMING_OTHERS))}
"""Without those as well that name other files and addresses to read."""
JOINED = {"merge_pmt_versions": "1"}
"""For FFmpeg's demuxers: the parts of a joined transport stream go on as the same streams, whatever their ids."""


def has_flag(container_format: ContainerFormat, flag: Flags) -> bool:
    """Whether FFmpeg's format has that flag."""
    return bool(container_format.flags & cast("int", flag.value))


def video_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream. The cover of a song is none."""
    streams = (stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic)
    return next(streams, None)


def leave_out(container: av.container.InputContainer, video: av.VideoStream) -> None:
    """Let FFmpeg read no stream but this one and the first of sound: other renditions of a playlist."""
    for stream in container.streams:
        if stream.index != video.index and stream not in container.streams.audio[:1]:
            stream.discard = Discard.all


def is_of(packet: "av.Packet[av.stream.Stream]", stream: av.stream.Stream) -> bool:
    """Whether the packet is one of that stream.

    PyAV's empty packet at the end, which makes a decoder give its last frames, has the index 0 whatever its stream.
    """
    return (packet.stream_index if packet.size else packet.stream.index) == stream.index


def sound_of(container: av.container.InputContainer) -> SoundTrack | None:
    """The first audio stream of an open container, where it can be decoded."""
    streams = container.streams.audio
    if not streams or streams[0].codec_context is None:
        return None
    return SoundTrack(streams[0], steady=not has_flag(container.format, Flags.ts_discont))


def microseconds(frame: av.VideoFrame) -> int | None:
    """The frame's timestamp in µs: when it is shown, else when it was decoded."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None or frame.time_base is None else round(stamp * frame.time_base * 1_000_000)


def frame_count_of(container: av.container.InputContainer, stream: av.VideoStream) -> int | None:
    """How many frames there are, as far as the container tells."""
    rate = frame_rate_of(stream)
    if stream.frames or container.duration is None or rate is None:
        return stream.frames or None
    return round(container.duration / 1_000_000 * rate)


def frame_rate_of(stream: av.VideoStream) -> Fraction | None:
    """Frames a second as the stream declares them, or ``None`` where that is impossible."""
    rate = stream.average_rate
    return Fraction(rate) if rate and 0 < rate < _MAX_PLAUSIBLE_RATE else None
