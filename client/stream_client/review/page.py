"""A page that plays a video with its landmarks, in one file without requests to anywhere."""

import base64
import html
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np

from stream_client.errors import ConfigurationError
from stream_client.frames import Image
from stream_client.processing.small_frames import shrink
from stream_client.review.recording import Recording
from stream_client.review.skeleton import BONES, HAND_BONES
from stream_client.sources.file import FileSource

LONGEST_SIDE = 640
"""Of the video in the page, in pixels."""
_TIME_BASE = Fraction(1, 90_000)


def write_page(recording: Recording, target: Path, *, video: Path | None = None, title: str = "") -> None:
    """Write the page; without a ``video`` it shows landmarks alone. Raises :class:`.ConfigurationError`."""
    content = {
        "rows": recording.rows,
        "labels": recording.labels,
        "bones": BONES,
        "hand_bones": HAND_BONES,
        "video": None if video is None else base64.b64encode(_small_video(video, len(recording.rows))).decode(),
    }
    # "</" would end the script.
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    page = template().replace("{{title}}", html.escape(title or target.stem, quote=False)).replace("{{data}}", data)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}", option="html") from error


def template() -> str:
    """The page without its data: its script and style are the same in each."""
    return files("stream_client.review").joinpath("page.html").read_text(encoding="utf-8")


def _small_video(path: Path, frames: int) -> bytes:
    """H.264 in MP4 that every browser plays, with the source's own times."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", options={"crf": "26", "preset": "veryfast", "bf": "0"})
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        for number, (image, seconds) in enumerate(_frames(path, frames)):
            small = np.ascontiguousarray(shrink(image, LONGEST_SIDE))
            if number == 0:
                stream.height, stream.width = small.shape[0] // 2 * 2, small.shape[1] // 2 * 2
            whole = av.VideoFrame.from_ndarray(small, format="rgb24")
            frame = whole.reformat(stream.width, stream.height, "yuv420p")  # also where the source changes its size
            frame.pts, frame.time_base = round(seconds / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _frames(path: Path, limit: int) -> Iterator[tuple[Image, float]]:
    source = FileSource(str(path))
    info = source.open()
    try:
        while limit and (frame := source.read()) is not None:
            limit -= 1
            yield frame.image, (frame.timestamp - info.start) / 1e6
    finally:
        source.close()
