"""Where streams come to that are sent here: ``udp://`` and ``rtp://`` addresses, and ``.sdp`` files."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError, SourceCodecError, SourceError, SourceNotFoundError
from stream_client.rtsp.listener import Place
from stream_client.util.datagrams import is_address, is_multicast, is_own, parameters

_BUFFER_BYTES = 4 << 20
"""Asked of the system, which may give less."""
_MOST_SDP_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Description:
    """The text of an ``.sdp`` file at ``path``, and where its video and its sound come to."""

    path: str
    text: str
    place: Place
    sound: Place | None = None


def is_sdp(name: str) -> bool:
    """Whether ``name`` is that of a file that describes a stream, ``camera.sdp?interface=ADDRESS`` for instance."""
    return "://" not in name and name.partition("?")[0].lower().endswith(".sdp")


def place_of(url: str) -> Place:
    """Where the stream of ``url`` comes to; raises :class:`.ConfigurationError` for an address that cannot work.

    The host is an address of this machine, the only one that is listened at, or a multicast group.
    """
    parts = urlsplit(url)
    example = f"{parts.scheme.lower()}://ADDRESS:PORT"
    given = _parameters(parts.query, {"interface", "source"}, example)
    if parts.port is None:
        raise ConfigurationError(
            f"no port: {example}, an address of this machine or a multicast group", option="source"
        )
    return _place(parts.hostname or "", parts.port, given)


def ffmpeg_url(place: Place) -> str:
    """How FFmpeg names it, for MPEG-TS."""
    host = place.group or place.address
    at = f"[{host}]" if ":" in host else host
    sources = f"&sources={place.sender}" if place.sender else ""
    return f"udp://{at}:{place.port}?localaddr={place.address}&buffer_size={_BUFFER_BYTES}&overrun_nonfatal=1{sources}"


def description(name: str) -> Description:
    """What an ``.sdp`` file says; raises :class:`.SourceError`, and :class:`.ConfigurationError` for its address."""
    path, _, query = name.partition("?")
    given = _parameters(query, {"interface", "source"}, f"{path}?interface=ADDRESS")
    text = _read(path)
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != "v=0":
        raise SourceCodecError(f"{path} is no description of a stream (SDP), which begins with v=0", option="source")
    try:
        video = _media_place(lines, "video", given)
    except ValueError:
        raise SourceCodecError(f"{path} names no port for its video", option="source") from None
    if video is None:
        raise SourceCodecError(f"{path} describes no video: no line of it begins with m=video", option="source")
    try:
        sound = _media_place(lines, "audio", given)
    except (ValueError, ConfigurationError):  # the video does without
        sound = None
    return Description(path, text, video, sound)


def listening_error(name: str, error: OSError) -> SourceError | None:
    """What it means that nothing can be received at an address; ``None`` for other errors."""
    match error.errno:
        case errno.EADDRINUSE:
            return SourceError(f"{name}: another program of this machine listens there: choose another port")
        case errno.EADDRNOTAVAIL | errno.ENODEV:
            return SourceError(f"{name}: this machine has lost that address; is the network up?")
    return None


def _media_place(lines: Sequence[str], kind: str, given: dict[str, str]) -> Place | None:
    """Where the first media of a kind come to, ``None``: there are none. :class:`ValueError`: they have no port."""
    start = next((index for index, line in enumerate(lines) if line.startswith(f"m={kind} ")), None)
    if start is None:
        return None
    session = list(takewhile(lambda line: not line.startswith("m="), lines))
    media = list(takewhile(lambda line: not line.startswith("m="), lines[start + 1 :]))
    port = lines[start].split()[1].partition("/")[0]
    if not port.isdecimal() or not 0 < int(port) < 65_535:
        raise ValueError(port)
    return _place(_host(media) or _host(session), int(port), given)


def _place(host: str, port: int, given: dict[str, str]) -> Place:
    if not is_address(host):
        raise ConfigurationError(
            f"{host or 'no host'} is no IP address: streams are sent to an address of this machine, to 0.0.0.0 for all "
            "of its own, or to a multicast group",
            option="source",
        )
    group, interface = is_multicast(host), given.get("interface")
    if group and ":" in host:
        raise ConfigurationError("groups of IPv6 cannot be joined: take a multicast group of IPv4", option="source")
    if group and interface is None:
        raise ConfigurationError(
            "a multicast group needs the address of this machine in its network: ?interface=ADDRESS", option="source"
        )
    address = interface if group and interface is not None else host
    if not is_own(address):
        remedy = "join the group at one of its own: ?interface=ADDRESS" if group else "name one of its own, or 0.0.0.0"
        raise ConfigurationError(f"{address} is no address of this machine: {remedy}", option="source")
    return Place(address, port, host if group else "", given.get("source", ""))


def _parameters(query: str, known: set[str], example: str) -> dict[str, str]:
    given = parameters(query)
    if unknown := sorted(given.keys() - known):
        names = " and ".join(f"{name}=ADDRESS" for name in sorted(known))
        raise ConfigurationError(f"unknown {', '.join(unknown)}: {example} takes {names}", option="source")
    for name, value in given.items():
        if not is_address(value):
            raise ConfigurationError(f"{name} is an IP address", option="source")
    return given


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_MOST_SDP_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise SourceNotFoundError(f"{path}: {error.strerror}", option="source") from None


def _host(lines: Sequence[str]) -> str:
    """The address in ``c=IN IP4 239.1.2.3/32``; empty where there is none."""
    words = next((line.split() for line in lines if line.startswith("c=")), [])
    return words[2].partition("/")[0] if len(words) == 3 else ""
