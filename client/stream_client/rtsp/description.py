"""The video track in a server's description (SDP, RFC 8866; RFC 2326, appendix C). No I/O."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from stream_client.rtsp.formats import H264, H265, PayloadFormat

_START_CODE = b"\x00\x00\x00\x01"
_PAYLOAD_TYPE = re.compile(r"[0-9]{1,3}")
_CLOCK_RATE = re.compile(r"[1-9][0-9]{0,8}")
_FRAME_RATE = re.compile(r"([0-9]{1,6})(\.[0-9]{1,6})?(/[0-9]{1,6})?")
"""RFC 8866 has a decimal number, and some servers write a fraction. An exponent would make a number without end."""
_PARAMETER_SETS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_NPT_END = re.compile(r"npt\s*=\s*[^-]*-\s*[\d:.]+")


@dataclass(frozen=True, slots=True)
class PlayedTrack:
    """A track to set up at ``control`` and to play at ``presentation`` (URLs).

    ``clock_rate``: ticks a second of its timestamps. ``parameter_sets``: in Annex B's form, empty where they
    come within the stream only. ``frame_rate``: declared frames a second. ``finite``: a length is declared.
    """

    presentation: str
    control: str
    payload_type: int
    clock_rate: int
    parameter_sets: bytes
    frame_rate: Fraction | None
    finite: bool
    format: PayloadFormat = H264


def video_track(description: str, base: str) -> PlayedTrack | None:
    """The first video track of the presentation at ``base``; ``None`` unless it is in a format that we read."""
    lines = [line.strip() for line in description.splitlines()]
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    session = lines[: starts[0]]
    for start, end in pairwise(starts):
        if lines[start].startswith("m=video"):
            return _track(session, lines[start:end], base)
    return None


def _track(session: Sequence[str], media: Sequence[str], base: str) -> PlayedTrack | None:
    words = media[0].split()
    if len(words) < 4 or not _PAYLOAD_TYPE.fullmatch(words[3]):
        return None
    payload_type = words[3]
    encoding, _, clock_rate = _attribute(media, "rtpmap", payload_type).partition("/")
    pairs = (pair.partition("=") for pair in _attribute(media, "fmtp", payload_type).split(";"))
    parameters = {name.strip().lower(): value.strip() for name, _, value in pairs}
    payload_format = _format(encoding.upper(), parameters)
    if payload_format is None or not _CLOCK_RATE.fullmatch(clock_rate):
        return None
    presentation = _url(base, _attribute(session, "control"))
    return PlayedTrack(
        presentation=presentation,
        control=_url(presentation, _attribute(media, "control")),
        payload_type=int(payload_type),
        clock_rate=int(clock_rate),
        parameter_sets=_decoded(",".join(parameters.get(name, "") for name in _PARAMETER_SETS)),
        frame_rate=_rate(_attribute(media, "framerate")),
        finite=any(_NPT_END.match(_attribute(part, "range")) for part in (session, media)),
        format=payload_format,
    )


def _format(encoding: str, parameters: Mapping[str, str]) -> PayloadFormat | None:
    if encoding == "H264" and parameters.get("packetization-mode", "0") in ("0", "1"):
        return H264
    if encoding == "H265" and parameters.get("sprop-max-don-diff", "0") == "0":  # else units have numbers of their own
        return H265
    return None


def _attribute(lines: Sequence[str], name: str, payload_type: str = "") -> str:
    """The value of ``a=NAME:VALUE`` or ``a=NAME:PAYLOAD_TYPE VALUE``; empty where there is none."""
    prefix = f"a={name}:{payload_type}{payload_type and ' '}"
    return next((line[len(prefix) :].strip() for line in lines if line.startswith(prefix)), "")


def _url(base: str, control: str) -> str:
    """As FFmpeg does it: what is no URL is appended, whatever ``base`` ends with."""
    if control in ("", "*"):
        return base
    return control if "://" in control else f"{base.rstrip('/')}/{control}"


def _decoded(sets: str) -> bytes:
    try:
        return b"".join(_START_CODE + base64.b64decode(text, validate=True) for text in sets.split(",") if text)
    except binascii.Error:
        return b""


def _rate(text: str) -> Fraction | None:
    try:
        rate = Fraction(text) if _FRAME_RATE.fullmatch(text) else Fraction(0)
    except (ValueError, ZeroDivisionError):
        return None
    return rate if rate > 0 else None
