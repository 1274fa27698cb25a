"""Credentials kept out of logs, messages and metrics."""

import re

# A password may contain any character, also a slash or an @. So everything up to the last @ of the word is removed.
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)\S*@", re.IGNORECASE)
_SECRET = re.compile(
    r"(?P<name>[?&](?:access_?token|token|api_?key|key|password|passwd|pwd|pass|secret|signature|sig|auth)=)[^&\s]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """``text`` with the credentials of every URL in it replaced: ``rtsp://***@host/path?token=***``."""
    return _SECRET.sub(r"\g<name>***", _USERINFO.sub(r"\g<scheme>***@", text))
