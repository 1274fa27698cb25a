"""Progress on the terminal: a bar with frames a second and latency, or a plain line now and then."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from tqdm import tqdm

from stream_client.frames import Result, StreamInfo

if TYPE_CHECKING:
    from typing_extensions import Never


class Progress:
    """Follows a run by its callbacks; a context manager that leaves the terminal clean.

    ``name`` tells the lines of several runs apart.
    """

    LINE_SECONDS = 5.0

    def __init__(self, name: str = "") -> None:
        self._prefix = f"{name}: " if name else ""
        self._bar: tqdm[Never] | None = None
        self._count = 0
        self._started = time.monotonic()
        self._next_line = self._started + self.LINE_SECONDS
        self._total: int | None = None

    def start(self, info: StreamInfo) -> None:
        """The run begins."""
        self._started = time.monotonic()
        self._next_line = self._started + self.LINE_SECONDS
        self._total = info.frame_count
        if sys.stderr.isatty():
            self._bar = tqdm(total=info.frame_count, unit="frame", desc=info.name, dynamic_ncols=True)

    def result(self, result: Result) -> None:
        """A result was delivered."""
        self._count += 1
        if self._bar is not None:
            self._bar.set_postfix_str(f"latency {1000 * result.latency:.0f} ms", refresh=False)
            self._bar.update()
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + self.LINE_SECONDS
            rate = self._count / (time.monotonic() - self._started)
            of = f" of {self._total}" if self._total else ""
            line = (
                f"{self._prefix}{self._count}{of} frames, {rate:.1f} frames/s, latency {1000 * result.latency:.0f} ms"
            )
            print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
