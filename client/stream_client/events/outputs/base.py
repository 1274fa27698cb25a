"""The seam for outputs of events."""

from typing import Protocol

from stream_client.events.event import Message
from stream_client.events.rules import Rule


class EventOutput(Protocol):
    """Sends messages, one at a time, in one thread. Only :meth:`abort` is for other threads."""

    name: str
    """In messages and logs, without secrets."""

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Learn what there is to announce. Nothing is awaited here: a server may be away."""

    def expect(self, message: Message) -> None:
        """A message has come that will be sent, or dropped. Called from another thread; does not wait."""

    def send(self, message: Message) -> None:
        """Returns once the message has arrived.

        Raises :class:`OSError` where another try may help, and :class:`.MessageRefusedError` where none can.
        """

    def abort(self) -> None:
        """Make a waiting :meth:`send` fail soon; called from another thread."""

    def close(self) -> None:
        """Take leave."""
