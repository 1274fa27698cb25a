"""The clips that were shown: landmarks alone, a file each, in a folder for each class."""

import re
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Result, StreamInfo
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sinks.output_file import sink_errors

_LABEL = re.compile(r"[\w][\w .-]{0,39}")
_ID = re.compile(r"[0-9a-f]{12}")
MOST_CLIPS, MOST_FRAMES = 300, 3000


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that is kept. ``frames`` are those in which a person was seen, of ``total``."""

    id: str
    label: str
    frames: int
    total: int


class Clips:
    """The folder ``root``: ``LABEL/ID.jsonl``, as :class:`.LandmarksSink` writes them. Safe across threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._kept: dict[str, Clip] = {}
        for path in sorted(root.glob("*/*.jsonl")):
            lines = path.read_text(encoding="utf-8").splitlines()
            seen = sum('"pose": null' not in line for line in lines)
            self._kept[path.stem] = Clip(path.stem, path.parent.name, seen, len(lines))

    def all(self) -> list[Clip]:
        """The clips, by class."""
        with self._lock:
            return sorted(self._kept.values(), key=lambda clip: clip.label)

    def record(self, label: str) -> "Recorder":
        """Begin a clip. Raises :class:`.ConfigurationError` for a name that is none, or where there are too many."""
        if not _LABEL.fullmatch(label):
            raise ConfigurationError("the name of a class has up to 40 letters, digits, spaces, dots and dashes")
        with self._lock:
            if len(self._kept) >= MOST_CLIPS:
                raise ConfigurationError(f"{MOST_CLIPS} clips are kept: delete some")
        return Recorder(self, label)

    def delete(self, id: str) -> bool:
        """Remove a clip; whether it was there."""
        with self._lock:
            clip = self._kept.pop(id, None) if _ID.fullmatch(id) else None
        if clip is None:
            return False
        self.discard(clip.label, id)
        return True

    def discard(self, label: str, id: str) -> None:
        """Remove the file of a clip, and the folder of a class that has no other."""
        path = self.root / label / f"{id}.jsonl"
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        with suppress(OSError):  # another clip is in it, or has taken it away
            path.parent.rmdir()

    def keep(self, clip: Clip) -> None:
        """Add a clip whose file is complete."""
        with self._lock:
            self._kept[clip.id] = clip


class Recorder:
    """Writes one clip. Results may come from any thread."""

    def __init__(self, clips: Clips, label: str) -> None:
        self._clips = clips
        self._label = label
        self.id = secrets.token_hex(6)
        """That of the clip which it becomes."""
        self._sink = LandmarksSink(clips.root / label / f"{self.id}.jsonl")
        self._lock = threading.Lock()
        self._open = False
        self._ended = False
        self._seen = self._total = 0
        self._problem: SinkError | None = None

    def add(self, result: Result) -> None:
        """Append a frame, up to :data:`MOST_FRAMES`. What cannot be written, :meth:`finish` says."""
        with self._lock:
            if self._ended or self._problem is not None or self._total >= MOST_FRAMES:
                return
            try:
                self._append(result)
            except SinkError as error:
                self._problem = error

    def finish(self) -> Clip | None:
        """The clip; ``None`` where nobody was seen. Raises :class:`.SinkError` where it could not be written."""
        with self._lock:
            self._ended = True
            try:
                self._sink.close()
            except SinkError as error:
                self._problem = error
        if self._problem is not None or not self._seen:
            self._clips.discard(self._label, self.id)
        if self._problem is not None:
            reason = self._problem.message
            raise SinkError(f"the clip is not kept: {reason}: make room, or choose another data_dir", option="data_dir")
        if not self._seen:
            return None
        clip = Clip(self.id, self._label, self._seen, self._total)
        self._clips.keep(clip)
        return clip

    def _append(self, result: Result) -> None:
        if not self._open:
            folder = self._clips.root / self._label
            with sink_errors(f"cannot make {folder}", "data_dir"):
                folder.mkdir(parents=True, exist_ok=True)
            height, width = result.image.shape[:2]
            self._sink.open(StreamInfo(self._label, width, height))
            self._open = True
        self._sink.write(result)
        self._total += 1
        self._seen += result.landmarks is not None
