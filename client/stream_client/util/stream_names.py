"""Names of streams, where a name must be plain."""

import re

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def stream_name(name: str) -> str:
    """A name for topics, files and folders, of the name of a source or stream."""
    return _NOT_IN_NAMES.sub("-", name).strip("-.")[-64:] or "stream"
