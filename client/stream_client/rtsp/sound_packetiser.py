"""Sound into RTP: AAC (RFC 3640), Opus (RFC 7587) and G.711 (RFC 3551), and its lines of SDP. No I/O."""

from collections.abc import Iterator

from stream_client.rtsp.rtp import MAX_PAYLOAD, RtpStream

CODECS = frozenset({"aac", "opus", "pcm_mulaw", "pcm_alaw"})
"""By FFmpeg's names."""
CONTROL = "streamid=1"
_DYNAMIC = 97
_G711 = {"pcm_mulaw": ("PCMU", 0), "pcm_alaw": ("PCMA", 8)}
_G711_RATE = 8000
_OPUS_RATE = 48_000
_HEADER_BITS = 16
"""Of an access unit of AAC: 13 for its size, 3 for its index."""
_MOST_AAC = (1 << 13) - 1


class SoundPacketiser:
    """Makes packets of the sound in one of :data:`CODECS`, at ``rate`` samples a second.

    ``parameters``: AAC's AudioSpecificConfig. Times are in seconds.
    """

    def __init__(self, codec: str, rate: int, channels: int, parameters: bytes) -> None:
        self._codec = codec
        self._rate = _OPUS_RATE if codec == "opus" else rate
        self._channels = channels
        self._parameters = parameters
        name, kind = _G711.get(codec, ("", _DYNAMIC))
        self._name = name
        # The types of RFC 3551 mean one channel at 8 kHz.
        self._type = kind if rate == _G711_RATE and channels == 1 else _DYNAMIC
        self._stream = RtpStream(self._type)

    def description(self) -> list[str]:
        """The track in SDP."""
        return [
            f"m=audio 0 RTP/AVP {self._type}",
            f"a=rtpmap:{self._type} {self._encoding()}",
            *self._format(),
            f"a=control:{CONTROL}",
        ]

    def packets(self, data: bytes, time: float) -> Iterator[bytes]:
        """The packets of what a decoder takes at once."""
        ticks = round(time * self._rate)
        if self._codec == "aac":
            if len(data) > _MOST_AAC:
                return
            # Each fragment repeats the header with the size of the whole (RFC 3640, 3.2.3).
            header = _HEADER_BITS.to_bytes(2, "big") + (len(data) << 3).to_bytes(2, "big")
            step = MAX_PAYLOAD - len(header)
            for start in range(0, len(data), step):
                last = start + step >= len(data)
                yield self._stream.packet(header + data[start : start + step], ticks, marker=last)
        elif self._codec == "opus":
            yield self._stream.packet(data, ticks, marker=False)
        else:
            step = MAX_PAYLOAD // self._channels * self._channels
            for start in range(0, len(data), step):
                part = data[start : start + step]
                yield self._stream.packet(part, ticks + start // self._channels, marker=False)

    def sender_report(self, time: float, wall_clock: float) -> bytes:
        """An RTCP sender report: ``time`` was at ``wall_clock``, seconds since 1970."""
        return self._stream.sender_report(round(time * self._rate), wall_clock)

    def _encoding(self) -> str:
        if self._codec == "aac":
            return f"MPEG4-GENERIC/{self._rate}/{self._channels}"
        if self._codec == "opus":
            return f"opus/{_OPUS_RATE}/2"  # always two, whatever is in it
        return f"{self._name}/{self._rate}" + (f"/{self._channels}" if self._channels > 1 else "")

    def _format(self) -> list[str]:
        if self._codec == "aac":
            sizes = "sizelength=13; indexlength=3; indexdeltalength=3"
            configuration = self._parameters.hex().upper()
            return [
                f"a=fmtp:{self._type} streamtype=5; profile-level-id=1; mode=AAC-hbr; {sizes}; config={configuration}"
            ]
        return [f"a=fmtp:{self._type} sprop-stereo={int(self._channels == 2)}"] if self._codec == "opus" else []
