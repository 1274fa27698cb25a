"""The track of sound that no container of FFmpeg's brings, but whose codec is described.

PyAV makes the parameters of a stream only by opening a container. So a small one is made and opened.
"""

import io
import logging
import struct

import av
import av.error
import numpy as np

from stream_client.sound.track import SoundTrack

logger = logging.getLogger(__name__)

_MOST_PARAMETERS = 64
_AUDIO_TAG, _AAC_CONFIGURATION, _AAC_FRAME = 8, b"\xaf\x00", b"\xaf\x01"
_SILENT_MONO, _SILENT_STEREO = b"\x01\x18\x20\x07", b"\x21\x10\x04\x60\x8c\x1c"
_PCM = {"pcm_mulaw": "mulaw", "pcm_alaw": "alaw", "pcm_s16le": "s16le"}
_DECODED = "pcm_s16le"


def described_track(codec: str, rate: int, channels: int, parameters: bytes) -> SoundTrack | None:
    """The track of ``codec``: ``aac``, whose AudioSpecificConfig is ``parameters``, ``opus``, G.711, or 16-bit samples.

    The latter was decoded before, and is encoded anew for every output. ``None``, and a line in the log, where the
    description is wrong: the video does without.
    """
    try:
        if codec in _PCM:
            options = {"sample_rate": str(rate), "ch_layout": "mono" if channels == 1 else "stereo"}
            return _track(io.BytesIO(bytes(rate)), rate, _PCM[codec], options, parameters, steady=codec != _DECODED)
        if codec == "opus":
            return _track(_silence(), rate, "ogg", {}, parameters)
        if len(parameters) <= _MOST_PARAMETERS:
            return _track(io.BytesIO(_flv(parameters, channels)), rate, "flv", {}, parameters)
    except (OSError, av.error.FFmpegError, ValueError, LookupError) as error:
        logger.debug("sound is described wrongly: %s", error)
    logger.warning("the sound is left out: the server describes %s that cannot be decoded", codec)
    return None


def _track(
    data: io.BytesIO, rate: int, container: str, options: dict[str, str], parameters: bytes, *, steady: bool = True
) -> SoundTrack:
    with av.open(data, format=container, options=options) as opened:
        stream = opened.streams.audio[0]
        # HE-AAC may be described by half of its rate.
        if stream.codec_context is None or stream.codec_context.sample_rate not in (rate, 2 * rate, rate // 2):
            raise ValueError("another rate")
        decoder = av.CodecContext.create(stream.codec_context.codec.canonical_name, "r")
        assert isinstance(decoder, av.AudioCodecContext)
        decoder.extradata = parameters or None
        decoder.sample_rate, decoder.layout = stream.codec_context.sample_rate, stream.codec_context.layout
        return SoundTrack(stream, steady=steady, decoder=decoder)


def _flv(configuration: bytes, channels: int) -> bytes:
    """FLV (Adobe's Video File Format 10.1, annex E) with the configuration of AAC, and a silent frame to decode."""
    silent = _SILENT_MONO if channels == 1 else _SILENT_STEREO
    return b"FLV\x01\x04\0\0\0\x09\0\0\0\0" + _tag(_AAC_CONFIGURATION + configuration) + _tag(_AAC_FRAME + silent)


def _tag(body: bytes) -> bytes:
    tag = bytes([_AUDIO_TAG]) + len(body).to_bytes(3, "big") + bytes(7) + body
    return tag + struct.pack("!I", len(tag))


def _silence() -> io.BytesIO:
    """Opus in Ogg. RTP has it in stereo, whatever the sender's microphone (RFC 7587)."""
    written = io.BytesIO()
    with av.open(written, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 960), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    written.seek(0)
    return written
