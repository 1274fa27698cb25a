"""Credentials kept out of logs, messages and metrics."""

import re

_WORD = re.compile(r"\S+")
_TEST_PATTERN = re.compile(r"\W*testsrc:\d+x\d+@(?:max|[\d.]+)\W*")
"""A size and a rate, not a user and a host."""
_HIDDEN = "***"
_AFTER_A_URL = ".,;:!?)]}>'\""
"""Signs that may follow a URL in a sentence."""


def redact(text: str) -> str:
    """``text`` without the secrets of every URL in it: ``rtsp://***@host/path?token=***``, ``rtmp://host/app/***``.

    That is the user and the password, also where a URL is misspelt, all values of the query, the last part of the
    path of an RTMP address, which is the key of a stream, and the whole path of WHIP and WHEP, where services have
    theirs in the middle. Takes time in proportion to the text's length, since a server
    may have written the text.
    """
    return _WORD.sub(_redacted, text) if "@" in text or "://" in text else text


def _redacted(word: re.Match[str]) -> str:
    """A password may contain any character, also a slash or an @. So everything up to the last @ is removed."""
    text, start = word[0], 0
    if _TEST_PATTERN.fullmatch(text):
        return text
    slashes = text.find(":/")
    if slashes >= 0:
        start = slashes + (3 if text.startswith("://", slashes) else 2)
    at = text.rfind("@")
    if at >= start and (start or ":" in text[:at]):
        text = f"{text[:start]}{_HIDDEN}{text[at:]}"
    return _without_secrets(text) if "://" in text else text


def _without_secrets(text: str) -> str:
    url = text.rstrip(_AFTER_A_URL)
    address, question, query = url.partition("?")
    scheme, _, rest = address.partition("://")
    if "rtmp" in scheme.lower():
        folder, slash, _ = address.rstrip("/").rpartition("/")
        address = f"{folder}/{_HIDDEN}" if slash and not folder.endswith("/") else address
    elif scheme.lower().rstrip("s").endswith(("whip", "whep")):
        place, _, path = rest.partition("/")
        address = f"{scheme}://{place}/{_HIDDEN}" if path else address
    values = "&".join(_without_value(part) for part in query.split("&")) if question else ""
    return f"{address}{question}{values}{text[len(url) :]}"


def _without_value(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    return f"{name}={_HIDDEN}" if equals else _HIDDEN
