"""From what a user types to an output of events."""

from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.events.outputs.base import EventOutput
from stream_client.events.outputs.file import FileOutput
from stream_client.util.redact import redact


def open_event_output(name: str) -> EventOutput:
    """The output of that name: a URL, a path, or ``-``. Raises :class:`.ConfigurationError`."""
    if "://" in name:
        raise ConfigurationError(f"{redact(name)}: events cannot be sent there", option="events_output")
    if not name:
        raise ConfigurationError("no output named", option="events_output")
    return FileOutput(Path(name))
