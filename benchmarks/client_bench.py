"""What the client's benchmarks share: a moving clip, a server that sends it back, a report."""

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from stream_client.benchmark.environment import environment
from stream_client.embedded import EmbeddedOptions, EmbeddedServer

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""For clients. Without bytecode a start compiles what it imports, also what it imports while it is measured."""
GRAPH = Path(__file__).resolve().parents[1] / "graphs" / "pass_through"


def make_clip(path: Path, width: int, height: int, frames: int) -> None:
    """A moving clip with some detail, H.264, 30 frames a second; sizes in pixels."""
    background = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "28"}
        for index in range(frames):
            image = np.roll(background, 4 * index, axis=1)
            image[height // 4 : height // 2, 10 + index : width // 5 + index] = (200, 120, index % 255)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def echo_server(*flags: str) -> EmbeddedServer:
    """A graph server of its own that sends each frame back as ``passThrough``; to be entered."""
    return EmbeddedServer(
        EmbeddedOptions(arguments=("--model_name", "passThrough", "--model_path", str(GRAPH), *flags))
    )


class HostPause:
    """While entered, how long the machine let an idle process lie at most: ``longest``, in seconds.

    A guest whose processors are taken away delays everything that it measures by this much.
    """

    TICK = 0.005

    def __init__(self) -> None:
        self.longest = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(self.TICK):
            now = time.monotonic()
            self.longest = max(self.longest, now - before - self.TICK)
            before = now

    def __enter__(self) -> "HostPause":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def report_ratios(
    ratios: Mapping[str, float], path: Path | None, *, ours: Mapping[str, float] | None = None, **details: Any
) -> None:
    """Print ours over the peer's by name, and write them with ``details`` as JSON where there is a ``path``.

    ``ours`` are our own figures, for compare.py: in a name that ends in ``per_second`` more is better, else less.
    """
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.3f}")
    if path is not None:
        report = {"ratios": ratios, "ours": ours or {}, "environment": environment(), **details}
        path.write_text(json.dumps(report, indent=2, default=asdict))
