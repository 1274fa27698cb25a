"""Decoding by hardware, through FFmpeg's hardware contexts. Frames come back into memory."""

import logging
import sys
from collections.abc import Sequence
from functools import cache

import av
import av.error
from av.codec.hwaccel import HWAccel, hwdevices_available

from stream_client.errors import SourceError
from stream_client.util.decoder import Decoder

logger = logging.getLogger(__name__)

_CODEC = "h264"
"""What every device decodes: so it says whether there is one."""


def acceleration(decoder: Decoder) -> HWAccel | None:
    """What FFmpeg is to open a stream with; ``None`` for software. A codec that the device lacks is software's, too.

    Raises :class:`.SourceError` for a device that is named and not there. ``auto`` takes what is there; that there is
    none is said once.
    """
    device = _found() if decoder == "auto" else decoder
    if device == "software":
        return None
    if decoder != "auto" and (missing := why_not(device)):
        raise SourceError(missing, option="decoder", value="auto")
    return HWAccel(device, allow_software_fallback=True)


def why_not(device: str, built: Sequence[str] | None = None) -> str:
    """Why a device cannot decode here, empty where it can; ``built``: those that FFmpeg was built with."""
    known = hwdevices_available() if built is None else built
    if device not in known:
        has = ", ".join(known) or "none"
        return f"the FFmpeg that PyAV brings was built without {device}, with {has}: PyAV can be built with another"
    try:
        HWAccel(device).create(av.Codec(_CODEC, "r"))
    except (OSError, RuntimeError, av.error.FFmpegError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return f"{device} does not start: {text}: is the device here, with its driver, and may this user open it?"
    return ""


@cache
def _found() -> str:
    """The device that decodes here; said once, since it is found once."""
    candidates = ("videotoolbox",) if sys.platform == "darwin" else ("cuda", "vaapi")
    reasons = {device: why_not(device) for device in candidates}
    device = next((name for name, reason in reasons.items() if not reason), "software")
    if device == "software":
        logger.warning("no hardware decodes here, software does: %s", "; ".join(reasons.values()))
    else:
        logger.info("%s decodes", device)
    return device


def say_what_decodes(context: av.VideoCodecContext, wanted: HWAccel | None, name: str) -> None:
    """Say where the device does not decode this stream, ``name``."""
    if wanted is not None and not context.is_hwaccel:
        logger.warning("%s: the hardware does not decode %s, software does", name, context.name)
