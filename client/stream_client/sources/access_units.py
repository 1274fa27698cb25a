"""From the access units of RTP to frames. A frame is there as soon as its last packet is."""

from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import Protocol, cast

import av
import av.error

from stream_client.rtsp.depacketizer import PlayedUnit
from stream_client.rtsp.description import PlayedTrack
from stream_client.rtsp.sound import PlayedSound, SoundBeside
from stream_client.sound.track import SoundTrack
from stream_client.sources.damage import Damage
from stream_client.sources.described_sound import described_track
from stream_client.sources.feed import FeedFrame, FeedProperties, FeedSound
from stream_client.sources.pixel_bound import Refusals, bound
from stream_client.sources.timeline import MediaTimes
from stream_client.util.container import microseconds
from stream_client.util.decoder import Decoder
from stream_client.util.hardware import acceleration, say_what_decodes

_NOMINAL_RATE = Fraction(30)


class PlaysTrack(Protocol):
    """What the access units come from."""

    def access_units(self, track: PlayedTrack) -> Iterator[PlayedUnit | SoundBeside]:
        """Each access unit as soon as it is complete, until the stream ends."""

    def capture_time(self, time: int, clock_rate: int) -> int | None:
        """When the access unit of that time was captured: µs since 1970, ``None`` where that is unknown."""


def decoded(
    name: str,
    track: PlayedTrack,
    player: PlaysTrack,
    found: Callable[[FeedProperties], None],
    sound: PlayedSound | None = None,
    *,
    decoder: Decoder = "software",
) -> Generator[FeedFrame | FeedSound, None, None]:
    """Decode what ``player`` plays; ``found`` learns the stream's properties with the first frame.

    ``sound`` is what comes between the access units. ``name`` is for messages. Raises :class:`.SourceCodecError`, and
    what ``player`` raises.
    """
    hardware = acceleration(decoder)
    context = av.CodecContext.create(track.format.codec, "r", hwaccel=hardware)
    assert isinstance(context, av.VideoCodecContext)
    context.thread_type = "SLICE"  # frame threads would hold back a frame a thread
    context.extradata = track.parameter_sets or None
    bound(context, name)
    say_what_decodes(context, hardware, name)
    refusals, damage = Refusals(name), Damage()
    times = MediaTimes(round(1_000_000 / (track.frame_rate or _NOMINAL_RATE))) if track.finite else None
    known = False

    def timed(frame: av.VideoFrame) -> FeedFrame:
        time = microseconds(frame)
        captured = None if frame.pts is None else player.capture_time(frame.pts, track.clock_rate)
        return FeedFrame(frame, time if times is None else times.place(time), captured, damage.shows(frame))

    for unit in player.access_units(track):
        if isinstance(unit, SoundBeside):
            yield sound_of(unit)
            continue
        if unit.begins:
            damage.lost()
        if unit.damaged:
            damage.packet(unit.time)
        packet = av.Packet(unit.data)
        packet.pts, packet.time_base = unit.time, Fraction(1, track.clock_rate)
        try:
            frames = context.decode(packet)
        except av.error.InvalidDataError:  # damaged in transit, or before the first key frame: the stream goes on
            refusals.damaged(context)
            damage.lost()
            continue
        if frames and not known:
            known = True
            found(
                FeedProperties(
                    codec=context.name,
                    frame_rate=track.frame_rate or context.framerate or None,
                    finite=track.finite,
                    sample_aspect_ratio=context.sample_aspect_ratio,
                    sound=track_of(sound),
                )
            )
        yield from map(timed, frames)
    yield from map(timed, context.decode(None))


def track_of(sound: PlayedSound | None) -> SoundTrack | None:
    """The track that outputs listen to."""
    return None if sound is None else described_track(sound.codec, sound.rate, sound.channels, sound.parameters)


def sound_of(beside: SoundBeside) -> FeedSound:
    """The sound as a feed gives it."""
    packet = cast("av.Packet[av.AudioStream]", av.Packet(beside.sound.data))
    packet.pts = packet.dts = beside.sound.time
    packet.time_base, packet.is_keyframe = Fraction(1, beside.rate), True
    return FeedSound(packet, beside.microseconds)
