"""Small real videos, made on the spot."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt


def picture(index: int, width: int = 64, height: int = 48) -> npt.NDArray[np.uint8]:
    """A picture whose brightness tells its index: 4 levels a frame, uint8 [height, width, 3]."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = 4 * (index % 60)
    image[:, :, 1] = 120
    image[: height // 2, :, 2] = 200
    return image


def write_video(
    path: Path,
    *,
    frames: int = 30,
    width: int = 64,
    height: int = 48,
    rate: int = 30,
    times: Sequence[float] | None = None,
    audio: str | None = None,
    audio_start: float = 0.0,
    key_frames: int | None = None,
) -> Path:
    """H.264 in the container of ``path``'s extension; ``times`` (seconds) makes the frame rate variable.

    ``audio`` names a codec for a hum that begins at ``audio_start`` seconds. Every n-th frame is a key frame where
    ``key_frames`` says so.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        if key_frames is not None:
            stream.codec_context.gop_size = key_frames
        sound = container.add_stream(audio, rate=48_000, layout="mono") if audio else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            seconds = times[index] if times is not None else index / rate
            frame.pts, frame.time_base = round(seconds * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if isinstance(sound, av.AudioStream):
            for position in range(round(48_000 * audio_start), 48_000 * frames // rate, 1024):
                samples = np.full((1, 1024), 0.1, np.float32)
                samples[:, ::100] = -0.1
                chunk = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                chunk.sample_rate, chunk.pts = 48_000, position
                container.mux(sound.encode(chunk))
            container.mux(sound.encode(None))
    return path


def rgb(frame: av.VideoFrame, width: int | None = None, height: int | None = None) -> npt.NDArray[np.uint8]:
    """A decoded frame as RGB [height, width, 3], by default in its own size."""
    return np.asarray(frame.to_ndarray(width=width, height=height, format="rgb24"), np.uint8)


def read_back(path: Path) -> list[tuple[float, npt.NDArray[np.uint8]]]:
    """Every frame of a file: time in seconds and RGB."""
    with av.open(str(path)) as container:
        return [(frame.time, rgb(frame)) for frame in container.decode(video=0)]
