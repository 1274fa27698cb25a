"""What goes to a socket: from any thread, and the answers to the other side's questions from the one that reads."""

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from socket import socket

import grpc

from stream_client.transport.http2.stream import CallEnded
from stream_client.transport.message import Part


class Outbox:
    """For any thread. What is written together stays together."""

    MOST_PARTS = 1000
    """Of one call of ``sendmsg``; Linux takes 1024."""
    MOST_REPLIES = 1024
    """Questions of the other side that wait for room to be answered."""

    def __init__(self, connection: socket) -> None:
        self._connection = connection
        self._writing = threading.Lock()
        self._replies: deque[bytes] = deque()

    def write(self, parts: Iterable[Part]) -> None:
        """Send ``parts``, which may wait for the network. Raises :class:`OSError`."""
        with self._writing:
            self._send(parts)
        self._send_replies()

    def reply(self, reply: bytes) -> None:
        """Send, or leave it to a thread that waits for the network meanwhile.

        Raises :class:`CallEnded` where too much is left already.
        """
        if len(self._replies) >= self.MOST_REPLIES:
            raise CallEnded(grpc.StatusCode.UNAVAILABLE, "the server asks, and takes no answers")
        self._replies.append(reply)
        self._send_replies()

    def _send_replies(self) -> None:
        while self._replies and self._writing.acquire(blocking=False):
            try:
                # Whoever reads hears that the other side has left, after all that it said before.
                with suppress(IndexError, OSError):
                    self._send([self._replies.popleft()])
            finally:
                self._writing.release()

    def _send(self, parts: Iterable[Part]) -> None:
        left = iter(parts)
        while chunk := list(islice(left, self.MOST_PARTS)):
            sent = self._connection.sendmsg(chunk)
            for part in chunk:  # what did not go at once
                if sent < len(part):
                    self._connection.sendall(part if not sent else memoryview(part)[sent:])
                sent = max(0, sent - len(part))
