"""Debian's ffmpeg as publisher and as viewer."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

ENCODING = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15", "-pix_fmt", "yuv420p"]
PUBLISHING = ["-f", "rtsp", "-rtsp_transport", "tcp"]


class Publisher:
    """Publishes what ffmpeg reads from ``source`` to ``url`` in real time, until it is left."""

    def __init__(self, url: str, source: Sequence[str | Path]) -> None:
        self._command = ["ffmpeg", "-v", "error", "-re", *source, *ENCODING, *PUBLISHING, url]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Publisher":
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def watch(url: str, frames: int, size: tuple[int, int], transport: str = "tcp") -> list[npt.NDArray[np.uint8]]:
    """The pictures that a viewer sees, ``size`` being width and height; it tries until there is a stream."""
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", transport, "-i", url, "-frames:v", str(frames)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    for _ in range(60):
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
        if done.returncode == 0 and done.stdout:
            return list(np.frombuffer(done.stdout, np.uint8).reshape(-1, size[1], size[0], 3))
        time.sleep(0.2)
    raise AssertionError(done.stderr.decode())
