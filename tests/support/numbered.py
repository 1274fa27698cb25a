"""A video whose frames are numbered, and ffmpeg that sends it in real time, over and over."""

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import av

from stream_client.frames import Frame
from stream_client.monitoring.observer import ConnectionState
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.test_source.code import FrameCode, read_code
from stream_client.test_source.pattern import TestPattern
from tests.support.killable import KillableProcess

RATE = 30


def numbered_video(path: Path, *, frames: int = 90, audio: str | None = None) -> Path:
    """H.264 of 320x240 with a key frame every half second, and a hum in the codec ``audio`` if it is named."""
    pattern = TestPattern(320, 240)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"tune": "zerolatency", "g": "15"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(frames):
            image = pattern.paint(FrameCode(index, 1_000_000 * index // RATE))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if audio is None:
        return path
    with_sound = path.with_stem(f"{path.stem}-{audio}")
    hum = ["-f", "lavfi", "-i", "sine=f=440:r=48000", "-c:v", "copy", "-c:a", audio, "-shortest"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, *hum, with_sound], check=True)
    return with_sound


class Sender(KillableProcess):
    """ffmpeg, which sends ``video`` from its start, with these last words of its command line."""

    def __init__(self, video: Path, *output: str) -> None:
        super().__init__(
            ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(video), "-c", "copy", *output]
        )


def open_reconnecting(name: str, *, timeout: float = 20, reconnect_timeout: float | None = None) -> ReconnectingSource:
    """The source of an address; one that comes back."""
    made = open_source(name, SourceOptions(source_timeout=timeout), reconnect_timeout=reconnect_timeout)
    assert isinstance(made, ReconnectingSource)
    return made


class Watched:
    """Reads a source by number. ``states`` has those that it went through."""

    def __init__(self, source: ReconnectingSource) -> None:
        self.states: list[ConnectionState] = []
        self.frames: list[Frame] = []
        self._source = source
        self._last = -1
        source.watch(self.states.append)
        source.keep_all()
        self.info = source.open()

    def read(self, count: int) -> list[int]:
        """The numbers of the next ``count`` frames that are whole; every one of those has a number."""
        numbers: list[int] = []
        while len(numbers) < count:
            frame = self._source.read()
            assert frame is not None
            self.frames.append(frame)
            if not frame.damaged:
                code = read_code(frame.image)
                assert code is not None
                numbers.append(code.index)
                self._last = code.index
        return numbers

    def read_anew(self, count: int) -> list[int]:
        """As :meth:`read`, once the video has been begun again from its start."""
        before = self._last
        while (number := self.read(1)[0]) > before:
            before = number
        return [number, *self.read(count - 1)]

    def __enter__(self) -> "Watched":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()


def follows(numbers: list[int], length: int = 90) -> bool:
    """Whether none is missing or twice, in a video of ``length`` frames that is repeated."""
    return all(after == (before + 1) % length for before, after in pairwise(numbers))
