"""Sound in RTP: AAC (RFC 3640), Opus (RFC 7587) and G.711 (RFC 3551), and its description in SDP. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stream_client.rtsp.depacketizer import payload_of
from stream_client.rtsp.reports import sender_report

_HEADER_BYTES = 12
_MOST_BYTES = 64 << 10
_AAC_SAMPLES = 1024
_G711 = {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
_STATIC = {"0": "PCMU/8000", "8": "PCMA/8000"}


@dataclass(frozen=True, slots=True)
class PlayedSound:
    """A track to set up at ``control``. ``codec`` is FFmpeg's name, ``rate`` in ticks and samples a second.

    ``parameters`` are what its decoder has to know. ``size_bits`` and ``index_bits`` are those of AAC's headers.
    """

    control: str
    payload_type: int
    codec: str
    rate: int
    channels: int
    parameters: bytes = b""
    size_bits: int = 0
    index_bits: int = 0


@dataclass(frozen=True, slots=True)
class EncodedSound:
    """What a decoder takes at once. ``time``: ticks since the first, not modulo 2^32."""

    data: bytes
    time: int


def sound_track(description: str, base: str) -> PlayedSound | None:
    """The first sound of the presentation at ``base``; ``None`` unless it is in a format that we read."""
    lines = [line.strip() for line in description.splitlines()]
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    for start, end in pairwise(starts):
        if lines[start].startswith("m=audio"):
            return _track(lines[start:end], base)
    return None


def _track(media: Sequence[str], base: str) -> PlayedSound | None:
    words = media[0].split()
    if len(words) < 4 or not words[3].isdecimal():
        return None
    kind = words[3]
    name, _, rest = (_attribute(media, f"rtpmap:{kind} ") or _STATIC.get(kind, "")).partition("/")
    rate, _, channels = rest.partition("/")
    control = _attribute(media, "control:")
    address = control if "://" in control else f"{base.rstrip('/')}/{control}"
    if not rate.isdecimal() or not 0 < int(rate) <= 192_000 or (channels and channels not in ("1", "2")):
        return None
    made = PlayedSound(address, int(kind), "", int(rate), int(channels or 1))
    parameters = _parameters(_attribute(media, f"fmtp:{kind} "))
    match name.upper():
        case "PCMU" | "PCMA":
            return _with(made, _G711[name.upper()])
        case "OPUS":
            return _with(made, "opus")
        case "MPEG4-GENERIC" if parameters.get("mode", "").lower() == "aac-hbr":
            try:
                configuration = bytes.fromhex(parameters.get("config", ""))
            except ValueError:
                return None
            return _with(made, "aac", configuration, 13, 3) if configuration else None
    return None


def _with(made: PlayedSound, codec: str, parameters: bytes = b"", size: int = 0, index: int = 0) -> PlayedSound:
    return PlayedSound(made.control, made.payload_type, codec, made.rate, made.channels, parameters, size, index)


def _attribute(lines: Sequence[str], name: str) -> str:
    return next((line[len(name) + 2 :].strip() for line in lines if line.startswith(f"a={name}")), "")


def _parameters(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class SoundBeside:
    """Encoded sound and its place in the video: microseconds since the first access unit. ``rate`` is its own."""

    sound: EncodedSound
    microseconds: int
    rate: int


class SoundClock:
    """Places sound beside the video: by arrival, and once both have sender reports, by the sender's clock.

    Rates are in ticks a second. No I/O; ``now`` is in seconds.
    """

    def __init__(self, video_rate: int, sound_rate: int) -> None:
        self._video_rate, self._sound_rate = video_rate, sound_rate
        self._video: tuple[int, float] | None = None
        self._reports: dict[bool, int] = {}
        self._offset: int | None = None

    def video(self, ticks: int, now: float) -> None:
        """An access unit of that time has come."""
        self._video = _microseconds(ticks, self._video_rate), now

    def report(self, ticks: int, wall: int, *, sound: bool) -> None:
        """The sender's clock had ``wall``, in microseconds, at that time of the video or of the sound."""
        self._reports[sound] = _microseconds(ticks, self._sound_rate if sound else self._video_rate) - wall
        if len(self._reports) == 2:
            self._offset = self._reports[False] - self._reports[True]

    def place(self, sound: EncodedSound, now: float) -> SoundBeside | None:
        """Where sound belongs that has just come; ``None`` before the video begins."""
        own = _microseconds(sound.time, self._sound_rate)
        if self._offset is None and self._video is not None:
            time, arrived = self._video
            self._offset = time + round(1_000_000 * (now - arrived)) - own
        return None if self._offset is None else SoundBeside(sound, own + self._offset, self._sound_rate)


def _microseconds(ticks: int, rate: int) -> int:
    return round(1_000_000 * ticks / rate)


class SoundDepacketizer:
    """Takes packets in order. Of an access unit in several packets, a lost one loses it."""

    def __init__(self, track: PlayedSound) -> None:
        self._track = track
        self._timestamp: int | None = None
        self._time = 0
        self._part = b""
        self._sequence = -1

    def take(self, packet: bytes) -> list[EncodedSound]:
        """What ends with the next packet."""
        if len(packet) < _HEADER_BYTES or packet[1] & 0x7F != self._track.payload_type:
            return []
        sequence, timestamp = int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[4:8], "big")
        if sequence != (self._sequence + 1) & 0xFFFF:
            self._part = b""
        self._sequence = sequence
        self._time, self._timestamp = self.time_of(timestamp), timestamp
        payload = payload_of(packet)
        if not payload:
            return []
        return self._units(payload, bool(packet[1] & 0x80)) if self._track.size_bits else self._whole(payload)

    def time_of(self, timestamp: int) -> int:
        """The time of an RTP timestamp that is less than 2^31 ticks away."""
        if self._timestamp is None:
            return 0
        return self._time + (timestamp - self._timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000

    def _whole(self, payload: bytes) -> list[EncodedSound]:
        return [EncodedSound(payload, self._time)]

    def _units(self, payload: bytes, last: bool) -> list[EncodedSound]:
        """AAC's access units behind their headers (RFC 3640, 3.2 and 3.3.6)."""
        track = self._track
        bits = int.from_bytes(payload[:2], "big")
        count = bits // (track.size_bits + track.index_bits)
        position = 2 + (bits + 7) // 8
        headers = int.from_bytes(payload[2:position], "big") >> (-bits % 8)
        found: list[EncodedSound] = []
        for number in range(count):
            shift = bits - number * (track.size_bits + track.index_bits) - track.size_bits
            size = headers >> shift & (1 << track.size_bits) - 1
            data = payload[position : position + size]
            position += size
            if count == 1 and len(data) < size and len(self._part) + len(data) <= _MOST_BYTES:
                self._part += data
                data, self._part = (self._part, b"") if last else (b"", self._part)
            if data:
                found.append(EncodedSound(data, self._time + number * _AAC_SAMPLES))
        return found


class SoundReception:
    """Puts the sound's packets together, and beside a video of ``video_rate`` ticks a second."""

    def __init__(self, track: PlayedSound, video_rate: int) -> None:
        self.clock = SoundClock(video_rate, track.rate)
        self._depacketizer = SoundDepacketizer(track)

    def take(self, packet: bytes, now: float, *, report: bool) -> list[SoundBeside]:
        """The sound that ends with the next packet, or RTCP ``report``, and has a place."""
        if not report:
            placed = [self.clock.place(sound, now) for sound in self._depacketizer.take(packet)]
            return [each for each in placed if each is not None]
        if found := sender_report(packet):
            self.clock.report(self._depacketizer.time_of(found.timestamp), found.time, sound=True)
        return []
