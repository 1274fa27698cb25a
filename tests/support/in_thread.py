"""A server of the standard library that serves in a thread of its own, as long as it is a context."""

import socketserver
import threading
from types import TracebackType

from typing_extensions import Self


class InThread(socketserver.BaseServer):
    """Put it before the server's own class. Its thread is joined at the end of the block."""

    POLL_SECONDS = 0.02

    def __enter__(self) -> Self:
        self._serving = threading.Thread(target=self.serve_forever, args=(self.POLL_SECONDS,))
        self._serving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._serving.join()
        self.server_close()
