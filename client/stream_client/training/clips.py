"""Landmarks of clips, taken by the graph server and cached, and the labels of their times."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError, SourceCodecError, SourceNotFoundError, StreamClientError

Array = npt.NDArray[np.float64]

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".ts"})


@dataclass(frozen=True, slots=True)
class Track:
    """The landmarks of a clip.

    ``landmarks`` is [frames, 75, 3] in pixels (``image``) or metres (``world``, without hands), NaN where
    absent; ``timestamps`` [frames] is in µs.
    """

    name: str
    timestamps: npt.NDArray[np.int64]
    landmarks: Array

    def person(self, frame: int) -> Array | None:
        """The landmarks of a frame, or ``None`` without a person."""
        points: Array = self.landmarks[frame]
        return None if np.isnan(points[0, 0]) else points


@dataclass(frozen=True, slots=True)
class Span:
    """A label from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip and its labels."""

    path: Path
    spans: tuple[Span, ...]
    whole: bool
    """The whole clip has one label; then the clip is what must not be split, else the span is."""


def find_clips(data: Path) -> list[LabelledClip]:
    """The clips in a folder of folders, one a class, or the one that an annotation file is about."""
    if data.is_file() and data.suffix == ".json":
        return [LabelledClip(_annotated_video(data), read_annotations(data), whole=False)]
    if not data.is_dir():
        raise ConfigurationError(f"{data} is neither a folder of clips nor an annotation file (--data)")
    clips = [
        LabelledClip(path, (Span(0.0, float("inf"), folder.name),), whole=True)
        for folder in sorted(data.iterdir())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES
    ]
    clips += [clip for path in sorted(data.glob("*.json")) for clip in find_clips(path)]
    if not clips:
        raise ConfigurationError(f"{data} holds no clips: one folder a class, with videos in them (--data)")
    return clips


def read_annotations(path: Path) -> tuple[Span, ...]:
    """Labelled spans, as StreamPoseML's annotation tool writes them; raises :class:`ConfigurationError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        spans = [
            Span(
                float(item["metadata"]["system"]["startTime"]),
                float(item["metadata"]["system"]["endTime"]),
                str(item["label"]),
            )
            for item in content["annotations"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"cannot read annotations from {path}: {type(error).__name__}: {error}") from error
    for span in spans:
        if not 0 <= span.start < span.end:
            raise ConfigurationError(f"{path}: {span.label!r} ends at {span.end:g} s, before it starts")
    return tuple(sorted(spans, key=lambda span: (span.start, span.label)))


def chosen(spans: Sequence[Span], labels: Sequence[str] | None, where: Path) -> tuple[Span, ...]:
    """The spans with one of ``labels``, all without; refuses spans that overlap with different labels."""
    kept = sorted((s for s in spans if labels is None or s.label in labels), key=lambda s: s.start)
    for first, second in pairwise(kept):
        if second.start < first.end and second.label != first.label:
            names = ", ".join(sorted({span.label for span in spans}))
            raise ConfigurationError(
                f"{where}: {first.label!r} and {second.label!r} overlap at {second.start:g} s: "
                f"choose labels that exclude each other out of {names} (--labels)"
            )
    return tuple(kept)


def _annotated_video(path: Path) -> Path:
    """The video that the file names, or the one beside it with the same stem."""
    stem = path.name.removesuffix(".json").removesuffix(".annotations")
    try:
        named = path.parent / Path(str(json.loads(path.read_text(encoding="utf-8"))["name"])).name
    except (OSError, ValueError, KeyError, TypeError):
        named = path.parent / stem
    if named.is_file() and named.suffix.lower() in VIDEO_SUFFIXES:
        return named
    for candidate in sorted(path.parent.glob(f"{stem}.*")):
        if candidate.suffix.lower() in VIDEO_SUFFIXES:
            return candidate
    raise SourceNotFoundError(f"{path} is about {named.name}, and neither that nor {stem}.* is beside it")


def graph_server_landmarks(
    path: Path, every: int = 1, *, space: str = "image", models_dir: Path | None = None
) -> Track:
    """The landmarks of a clip; the graph server finds them in a process of its own, once a clip's content.

    With ``every`` above 1 they are those of a stream that has every second, third… frame alone.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"{path} does not exist")
    width, height, timestamps = _measure(path)
    timestamps = timestamps[::every]
    arrays = _cached(path, every, models_dir)
    if len(arrays["pose"]) != len(timestamps):
        raise SourceCodecError(
            f"{path}: {len(timestamps)} frames, but landmarks of {len(arrays['pose'])}: is the file damaged?"
        )
    return Track(path.name, timestamps, join_parts(arrays, width, height, space=space))


def join_parts(arrays: dict[str, npt.NDArray[np.float32]], width: int, height: int, *, space: str) -> Array:
    """Body and hands in one array, in one unit. Depth is relative to the width, as MediaPipe defines it."""
    frames = len(arrays["pose"])
    points = np.full((frames, 75, 3), np.nan)
    if space == "world":
        points[:, :33] = arrays["pose_world"][..., :3]
        return points
    size = np.array([width, height, width], dtype=np.float64)
    points[:, :33] = arrays["pose"][..., :3] * size
    points[:, 33:54] = arrays["left_hand"][..., :3] * size
    points[:, 54:] = arrays["right_hand"][..., :3] * size
    return points


LandmarkFinder = Callable[[Path, int], Track]
"""A clip, and that every first, second… of its frames is seen, to landmarks of these frames."""


def _measure(path: Path) -> tuple[int, int, npt.NDArray[np.int64]]:
    """Width, height and each frame's time in µs, without decoding."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise SourceCodecError(f"{path} has no video")
            stream = container.streams.video[0]
            times = sorted(
                float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.pts is not None
            )
            return stream.width, stream.height, np.round(np.array(times) * 1e6).astype(np.int64)
    except av.error.FFmpegError as error:
        raise SourceCodecError(f"{path} is not a video that can be read: {error.strerror}") from error


def _cached(path: Path, every: int, models_dir: Path | None) -> dict[str, npt.NDArray[np.float32]]:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "ovms-stream-client" / "landmarks"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else _digest(path)
    # Another version of the graph server may find other landmarks.
    target = folder / f"{digest}-{version('ovms-stream-client')}-streamed-{every}.npz"
    if not target.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as scratch:
                found = Path(scratch) / "landmarks.npz"
                _find(path, every, found, models_dir)
                os.replace(found, target)
        except OSError as error:
            raise StreamClientError(f"cannot keep landmarks in {folder}: {error.strerror}") from error
    with np.load(target) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _find(path: Path, every: int, target: Path, models_dir: Path | None) -> None:
    command = [sys.executable, "-m", "graph_server", "landmarks", str(path), "--out", str(target), "--timing", "stream"]
    command += ["--every", str(every)]
    if models_dir is not None:
        command += ["--models_dir", str(models_dir)]
    # Its progress bar goes to the terminal while there is one.
    shown = sys.stderr.isatty()
    done = subprocess.run(command, stderr=None if shown else subprocess.PIPE, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or "").strip().splitlines()
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        if "No module named" in reason:
            reason = "the graph server is not installed: pip install 'ovms-stream-client[train]'"
        raise StreamClientError(f"no landmarks of {path}: {reason}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
