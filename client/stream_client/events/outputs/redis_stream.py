"""Events as entries of a Redis stream."""

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from stream_client.errors import ConfigurationError, MessageRefusedError
from stream_client.events.event import Message
from stream_client.events.rules import Rule
from stream_client.util.extras import install_command
from stream_client.util.redact import redact
from stream_client.util.urls import check_url, credentials_for

if TYPE_CHECKING:
    from redis import Redis

DEFAULT_KEY = "stream_client:events"
_MOST_ENTRIES = 10_000
"""Of the stream: Redis drops older ones."""


class RedisOutput:
    """Adds each message to a stream, at least once: ``redis://host:6379/DATABASE?stream=KEY``.

    An entry has the fields ``message``, the message's id, and ``event``, the message as JSON.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        check_url(url, "events_output")
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigurationError(
                f"{redact(url)} needs redis: {install_command('events')}", option="events_output"
            ) from error
        self.name = redact(url)
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        database = parts.path.strip("/") or "0"
        if set(query) - {"stream"} or not database.isdecimal():
            raise ConfigurationError(
                f"{redact(url)}: redis://host:6379/DATABASE?stream=KEY is expected", option="events_output"
            )
        self._key = query.get("stream", [DEFAULT_KEY])[0]
        credentials = credentials_for(url)
        self._errors = redis.exceptions
        self._client: Redis = redis.Redis(
            host=str(parts.hostname),
            port=parts.port or 6379,
            db=int(database),
            username=credentials.user or None if credentials else None,
            password=credentials.password if credentials else None,
            ssl=parts.scheme.lower() == "rediss",
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Nothing to announce."""

    def expect(self, message: Message) -> None:
        """Nothing to do."""

    def send(self, message: Message) -> None:
        """Add an entry."""
        text, errors = json.dumps(message, ensure_ascii=False), self._errors
        try:
            self._client.xadd(
                self._key,
                {"message": str(message["message"]), "event": text},
                maxlen=_MOST_ENTRIES,
                approximate=True,
            )
        except (errors.ConnectionError, errors.TimeoutError, errors.OutOfMemoryError, errors.ReadOnlyError) as error:
            raise OSError(redact(str(error))) from error
        except errors.RedisError as error:
            raise MessageRefusedError(str(error)) from error

    def abort(self) -> None:
        """A call ends at its timeout."""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
