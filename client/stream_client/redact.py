"""Credentials kept out of logs, messages and metrics."""

import re

_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s]*@", re.IGNORECASE)


def redact(text: str) -> str:
    """``text`` with the credentials of every URL in it replaced: ``rtsp://***@host/path``."""
    return _USERINFO.sub(r"\g<scheme>***@", text)
