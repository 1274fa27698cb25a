"""From what a user types to an output of events."""

from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.events.outputs.base import EventOutput
from stream_client.events.outputs.file import FileOutput
from stream_client.util.redact import redact


def open_event_output(name: str) -> EventOutput:
    """The output of that name: a URL, a path, or ``-``. Raises :class:`.ConfigurationError`."""
    scheme, separator, _ = name.partition("://")
    if not name:
        raise ConfigurationError("no output named", option="events_output")
    if not separator:
        return FileOutput(Path(name))
    match scheme.lower():
        case "mqtt" | "mqtts":
            from stream_client.events.outputs.mqtt import MqttOutput

            return MqttOutput(name)
        case "http" | "https":
            from stream_client.events.outputs.webhook import WebhookOutput

            return WebhookOutput(name)
        case "redis" | "rediss":
            from stream_client.events.outputs.redis_stream import RedisOutput

            return RedisOutput(name)
        case "udp":
            from stream_client.events.outputs.udp import UdpOutput

            return UdpOutput(name)
    raise ConfigurationError(
        f"{redact(name)}: events go to a file, -, mqtt://, mqtts://, http://, https://, redis://, rediss://, udp://",
        option="events_output",
    )
