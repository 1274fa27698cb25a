"""A transport whose server answers nothing."""

import math
from collections.abc import Sized
from typing import Any

from stream_client.transport.base import Listener, Request


class SilentTransport:
    """Keeps its listener, and takes everything."""

    upload_rate: float | None = None

    def __init__(self) -> None:
        self.listener: Listener | None = None

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        self.listener = listener

    def encode(self, request: Request) -> Sized:
        return b""

    def send(self, timestamp: int, data: Any) -> None:
        pass

    def finish(self) -> None:
        pass

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass
