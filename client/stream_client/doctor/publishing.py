"""Tries an output that publishes: announces a stream as a run would, and never sends one."""

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from stream_client.doctor.finding import Finding, amiss, ok
from stream_client.errors import RtspError
from stream_client.publishing.refusals import meaning
from stream_client.rtsp.connection import RtspConnection
from stream_client.rtsp.h264 import parameter_sets, session_description, split_access_unit

_TIMEOUT = 5.0
_RATE = 25
_TITLE = "ovms-stream-client doctor"
_REMEDY = "correct its URL, the credentials in it, or the media server's configuration"


def try_publishing(check: str, url: str, *, insecure: bool) -> Finding:
    """Whether the media server takes a stream at ``url``, where nobody publishes now."""
    try:
        if _is_taken(url, insecure):
            found = "somebody publishes there already, and a run would throw that one out, or be refused"
            return amiss(check, found, "use another path, or stop the other publisher", needed=False)
        _announce(url, insecure)
    except (RtspError, OSError) as error:
        return amiss(check, meaning(error, _TIMEOUT), _REMEDY, needed=True, option="sinks")
    return ok(check, "the server takes a stream there: announced, not sent")


def _is_taken(url: str, insecure: bool) -> bool:
    connection = RtspConnection(url, timeout=_TIMEOUT, insecure=insecure)
    try:
        connection.begin("DESCRIBE", {"Accept": "application/sdp"})
    except RtspError:
        return False  # nothing to read there, or not for us: the announcement shows the rest
    finally:
        connection.close()
    return True


def _announce(url: str, insecure: bool) -> None:
    sets = parameter_sets(split_access_unit(_frame()))
    assert sets is not None
    description = session_description(sets, _TITLE, Fraction(_RATE)).encode()
    connection = RtspConnection(url, timeout=_TIMEOUT, insecure=insecure)
    try:
        connection.begin("ANNOUNCE", {"Content-Type": "application/sdp"}, description)
    finally:
        connection.close()


def _frame() -> bytes:
    """A small encoded frame, for its parameter sets."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width = encoder.height = 64
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, _RATE)
    black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
    return b"".join(bytes(packet) for packet in (*encoder.encode(black), *encoder.encode(None)))
