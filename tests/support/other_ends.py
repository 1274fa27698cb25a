"""The other ends of protocols, which can be killed, and what reads the numbers of the frames that arrive."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import av.error
import numpy as np

from stream_client.errors import StreamClientError
from stream_client.test_source.code import read_code
from tests.conftest import ROOT
from tests.support.numbered import open_reconnecting


class End(Protocol):
    """The other end of a line."""

    def start(self) -> None:
        """Serve, send or listen; also after :meth:`kill`."""

    def kill(self) -> None:
        """End it as a power failure does."""


@dataclass(frozen=True, slots=True)
class Together:
    """Ends that come and go with each other, in this order."""

    ends: tuple[End, ...]

    def start(self) -> None:
        """All of them."""
        for end in self.ends:
            end.start()

    def kill(self) -> None:
        """All of them."""
        for end in reversed(self.ends):
            end.kill()


class Arrivals:
    """Numbers of whole frames, and when they came; ``None`` for a damaged one. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._all: list[tuple[float, int | None]] = []

    def add(self, number: int | None) -> None:
        """A frame came."""
        with self._changed:
            self._all.append((time.monotonic(), number))
            self._changed.notify_all()

    def between(self, begin: float, end: float) -> list[int | None]:
        """What came in that time."""
        with self._changed:
            return [number for at, number in self._all if begin <= at < end]

    def first_after(self, moment: float, within: float) -> float:
        """Seconds until the first whole frame; infinite if none comes ``within`` seconds."""

        def found() -> float | None:
            return next((at - moment for at, number in self._all if at >= moment and number is not None), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None, within)
            seconds = found()
            return float("inf") if seconds is None else seconds


@contextmanager
def source_of(url: str, add: Callable[[int | None], None]) -> Iterator[None]:
    """Reads a source of ours, from a thread."""
    source = open_reconnecting(url, timeout=10)
    source.keep_all()

    def read() -> None:
        with suppress(StreamClientError):
            source.open()
            while (frame := source.read()) is not None:
                code = None if frame.damaged else read_code(frame.image)
                add(None if code is None else code.index)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        source.interrupt()
        thread.join()
        source.close()


class Listener:
    """Another process that takes what we publish: it prints a line once it listens, then a line for each frame."""

    def __init__(self, arrivals: Arrivals, command: Sequence[str]) -> None:
        self._arrivals = arrivals
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread()

    def start(self) -> None:
        """Until it listens."""
        process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._process = process
        assert process.stdout is not None
        process.stdout.readline()
        self._thread = threading.Thread(target=self._read, args=(process.stdout,))
        self._thread.start()

    def _read(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._arrivals.add(int(line) if line.strip().isdigit() else None)

    def kill(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self._thread.join()
            assert process.stdout is not None
            process.stdout.close()


class Folder:
    """Reads the segments of an HLS playlist as they come."""

    def __init__(self, playlist: Path, arrivals: Arrivals) -> None:
        self._playlist = playlist
        self._arrivals = arrivals
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "Folder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _read(self) -> None:
        seen: set[str] = set()
        while not self._over.wait(0.2):
            text = self._playlist.read_text() if self._playlist.exists() else ""
            for name in (line for line in text.splitlines() if line.endswith(".ts") and line not in seen):
                seen.add(name)
                with suppress(av.error.FFmpegError), av.open(str(self._playlist.parent / name)) as container:
                    for frame in container.decode(video=0):
                        code = read_code(frame.to_ndarray(format="rgb24").astype(np.uint8))
                        self._arrivals.add(None if code is None else code.index)
