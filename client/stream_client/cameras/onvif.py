"""ONVIF cameras: found by WS-Discovery, asked for their profiles and the addresses of their streams."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from stream_client.errors import ConfigurationError, SourceAuthenticationError, SourceError, SourceNotFoundError
from stream_client.plain_text import one_line
from stream_client.util.extras import install_command
from stream_client.util.redact import redact
from stream_client.util.urls import CREDENTIALS_VARIABLE, Credentials, credentials_for, split_credentials

if TYPE_CHECKING:
    from onvif import ONVIFCamera

_TYPE = ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")
_MOST_CAMERAS, _MOST_PROFILES = 256, 32
_EXTRA = f"ONVIF needs more packages: {install_command('cameras')}"


@dataclass(frozen=True, slots=True)
class Device:
    """A device on the network: ``address`` is ``onvif://host:port``, ``name`` what it calls itself."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A stream of a device. Width and height are in pixels, the rate in frames a second; 0 where it does not say."""

    name: str
    url: str
    encoding: str
    width: int
    height: int
    rate: float


def discover(seconds: float) -> list[Device]:
    """The devices that answer a WS-Discovery probe within that time, by their addresses.

    Raises :class:`.ConfigurationError` without the extra ``cameras``.
    """
    try:
        from wsdiscovery import QName
        from wsdiscovery.discovery import ThreadedWSDiscovery
    except ImportError as error:
        raise ConfigurationError(_EXTRA) from error
    with _quiet("threading", "daemon"):
        search = ThreadedWSDiscovery()
        search.start()
        try:
            services = search.searchServices(types=[QName(*_TYPE)], timeout=seconds)
        finally:
            search.stop()
    devices = {}
    for service in services[:_MOST_CAMERAS]:
        for address in service.getXAddrs():
            parts = urlsplit(address)
            if parts.scheme in ("http", "https") and parts.hostname:
                port = f":{parts.port}" if parts.port else ""
                host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
                devices[f"onvif://{host}{port}"] = Device(f"onvif://{host}{port}", _name(service))
                break
    return [devices[address] for address in sorted(devices)]


async def profiles(url: str, *, timeout: float) -> list[Profile]:
    """The streams of the device at ``onvif://host``; raises :class:`.SourceError`.

    Credentials are those of the URL, or of the environment. ``timeout`` is for the whole conversation, in seconds.
    """
    try:
        from onvif import ONVIFCamera
    except ImportError as error:
        raise ConfigurationError(_EXTRA) from error
    bare, _ = split_credentials(url)
    parts = urlsplit(bare)
    if not parts.hostname:
        raise ConfigurationError(f"{redact(url)} names no camera: onvif://host", option="input_stream")
    credentials = credentials_for(url) or Credentials("", "")
    camera = ONVIFCamera(parts.hostname, parts.port or 80, credentials.user, credentials.password, nat_override=True)
    where = redact(bare.partition("?")[0])
    try:
        return await asyncio.wait_for(_profiles(camera), timeout)
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise SourceError(f"{where} did not answer as an ONVIF camera within {timeout:g} s") from error
    except SourceError:
        raise
    except Exception as error:  # zeep and aiohttp have many of their own
        raise _meaning(where, error) from error
    finally:
        await camera.close()


async def _profiles(camera: "ONVIFCamera") -> list[Profile]:
    await camera.update_xaddrs()
    media = await camera.create_media_service()
    found = []
    for profile in (await media.GetProfiles() or [])[:_MOST_PROFILES]:
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        answer = await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profile.token})
        found.append(_profile(profile, str(answer.Uri)))
    return found


def _profile(profile: Any, url: str) -> Profile:
    encoder = getattr(profile, "VideoEncoderConfiguration", None)
    size = getattr(encoder, "Resolution", None)
    rate = getattr(getattr(encoder, "RateControl", None), "FrameRateLimit", None)
    return Profile(
        name=one_line(str(profile.Name)),
        url=url,
        encoding=one_line(str(getattr(encoder, "Encoding", None) or "?")),
        width=int(getattr(size, "Width", None) or 0),
        height=int(getattr(size, "Height", None) or 0),
        rate=float(rate or 0),
    )


def chosen(url: str, found: list[Profile]) -> Profile:
    """The profile that the query of ``url`` names (``?profile=``), or the first, which is the main one."""
    where = redact(split_credentials(url)[0].partition("?")[0])
    if not found:
        raise SourceNotFoundError(f"{where} has no profile with a stream")
    wanted = parse_qs(urlsplit(url).query).get("profile", [""])[0]
    if not wanted:
        return found[0]
    for profile in found:
        if profile.name == wanted:
            return profile
    names = ", ".join(profile.name for profile in found)
    raise SourceNotFoundError(f"{where} has no profile {one_line(wanted)!r}, only {names}", option="input_stream")


def _meaning(where: str, error: Exception) -> SourceError:
    text = one_line(str(error) or type(error).__name__)
    if any(word in text.lower() for word in ("not authorized", "notauthorized", "unauthorized", "401", "sender not")):
        return SourceAuthenticationError(
            f"{where} refuses the credentials: put them in the URL, or in {CREDENTIALS_VARIABLE}"
        )
    return SourceError(f"{where} does not answer as an ONVIF camera: {redact(text)}")


def _name(service: Any) -> str:
    scopes = [str(scope) for scope in service.getScopes()]
    names = [scope.rpartition("/")[2] for scope in scopes if "/name/" in scope]
    return one_line(unquote(names[0])) if names else "ONVIF camera"


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """WSDiscovery logs each interface that has no multicast as an error."""
    named = [logging.getLogger(name) for name in loggers]
    before = [logger.level for logger in named]
    for logger in named:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(named, before, strict=True):
            logger.setLevel(level)
