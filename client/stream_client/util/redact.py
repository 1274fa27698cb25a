"""Credentials kept out of logs, messages and metrics."""

import re

_WORD = re.compile(r"\S+")
_SECRET = re.compile(
    r"(?P<name>[?&](?:access_?token|token|api_?key|key|password|passwd|pwd|pass|secret|signature|sig|auth)=)[^&\s]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """``text`` with the credentials of every URL in it replaced: ``rtsp://***@host/path?token=***``.

    Takes time in proportion to the text's length, since a server may have written the text.
    """
    return _SECRET.sub(r"\g<name>***", _WORD.sub(_without_userinfo, text) if "@" in text else text)


def _without_userinfo(word: re.Match[str]) -> str:
    """A password may contain any character, also a slash or an @. So everything up to the last @ is removed."""
    text = word[0]
    start, end = text.find("://"), text.rfind("@")
    return text if start < 0 or end < start else f"{text[: start + 3]}***{text[end:]}"
