"""Which sound an output takes unchanged, and what others become."""

from dataclasses import dataclass

from stream_client.sound.track import SoundTrack

MOST_CHANNELS = 8
LIVE_SILENCE = 0.5
"""A live output's ``silence``: what comes after a longer gap is sent at once, and its time says where it belongs."""


@dataclass(frozen=True, slots=True)
class SoundRule:
    """``unchanged``: codecs, by FFmpeg's names, that are carried as they are. ``encoder``: FFmpeg's, for all others.

    What has more than ``channels`` is encoded, too. ``silence``: seconds of a gap in the sound that are filled with it;
    a longer gap is left as a gap.
    """

    unchanged: frozenset[str]
    encoder: str
    channels: int = MOST_CHANNELS
    silence: float = 10.0

    def carries(self, track: SoundTrack) -> bool:
        """Whether the packets of ``track`` are taken as they are."""
        sound = track.format
        described = sound.codec != "aac" or bool(sound.parameters)
        return track.steady and sound.codec in self.unchanged and sound.channels <= self.channels and described
