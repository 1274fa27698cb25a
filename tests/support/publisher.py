"""Debian's ffmpeg as publisher and as viewer."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.support.killable import KillableProcess

ENCODING = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15", "-pix_fmt", "yuv420p"]
PUBLISHING = ["-f", "rtsp", "-rtsp_transport", "tcp"]


class Publisher(KillableProcess):
    """Publishes what ffmpeg reads from ``source`` to ``url`` in real time, until it is left."""

    def __init__(self, url: str, source: Sequence[str | Path]) -> None:
        words = ["ffmpeg", "-v", "error", "-re", *map(str, source), *ENCODING, *PUBLISHING, url]
        super().__init__(words, stdout=None, stderr=None)


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
