"""A folder of photos, or those that a pattern names, as one video."""

import glob
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from stream_client.errors import SourceError, SourceNotFoundError
from stream_client.frames import Frame, StreamInfo
from stream_client.sources.file import FileSource
from stream_client.util.file_kinds import is_photo
from stream_client.util.media import ImageOptions

logger = logging.getLogger(__name__)

FRAME_RATE = Fraction(25)
"""Photos a second, as in FFmpeg: photos have no times."""
_NUMBER = re.compile(r"%0?\d*d")


def names_photos(spec: str) -> bool:
    """Whether it is a folder, or a pattern such as ``shots/*.jpg`` or ``shots/img%03d.png``, and no file."""
    if os.path.isdir(spec):  # unlike Path, it takes a name that is too long
        return True
    return (glob.has_magic(spec) or _NUMBER.search(spec) is not None) and not os.path.exists(spec)


class PhotosSource:
    """The photos of a folder, or those that a pattern names, in the order of their names: 2 comes before 10.

    Frame ``n`` is at ``n`` / 25 seconds. A photo that cannot be decoded is left out, which leaves a gap.
    """

    def __init__(self, spec: str, images: ImageOptions | None = None) -> None:
        self._spec = spec
        self._images = images
        self._left: Iterator[tuple[int, Path]] = iter(())
        self._first: Frame | None = None
        self._interrupted = threading.Event()
        self.unreadable = 0

    def open(self) -> StreamInfo:
        """Decode the first photo that can be; raises :class:`.SourceError` where there is none."""
        photos = _photos(self._spec)
        self._left = iter(enumerate(photos))
        found = self._next()
        if found is None:
            raise SourceError(f"none of the {len(photos)} photos of {self._spec} can be decoded", option="source")
        info, self._first = found
        return replace(info, name=self._spec, frame_rate=FRAME_RATE, frame_count=len(photos))

    def read(self) -> Frame | None:
        """The next photo that can be decoded."""
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        found = self._next()
        return None if found is None else found[1]

    def interrupt(self) -> None:
        """Open no further photo."""
        self._interrupted.set()

    def close(self) -> None:
        """Let go of what was read."""
        self._first = None

    def _next(self) -> tuple[StreamInfo, Frame] | None:
        for index, path in self._left:
            if self._interrupted.is_set():
                return None
            try:
                return self._read(index, path)
            except SourceError as error:
                logger.warning("a photo is left out: %s", error)
                self.unreadable += 1
        return None

    def _read(self, index: int, path: Path) -> tuple[StreamInfo, Frame]:
        if not path.is_file():  # nobody may ever write into a pipe
            raise SourceError(f"{path} is no file")
        photo = FileSource(path, images=self._images)
        try:
            info = photo.open()
            frame = photo.read()
        finally:
            photo.close()
        if frame is None:
            raise SourceError(f"{path} has no frame")
        timestamp = round(index * 1_000_000 / FRAME_RATE)
        return info, replace(frame, index=index, timestamp=timestamp, captured=time.monotonic())


def _photos(spec: str) -> Sequence[Path]:
    if Path(spec).is_dir():
        found, text = list(Path(spec).iterdir()), f"{spec} is a folder without photos: name a video file in it"
    else:
        found, text = _matching(spec), f"{spec}: there are no such photos"
    photos = sorted((path for path in found if is_photo(path)), key=_by_number)
    if not photos:
        raise SourceNotFoundError(text, option="source")
    return photos


def _matching(pattern: str) -> list[Path]:
    parts = _NUMBER.split(pattern)
    if len(parts) == 1:
        return [Path(name) for name in glob.glob(pattern)]
    numbered = re.compile(r"\d+".join(map(re.escape, parts)))
    names = glob.glob("*".join(map(glob.escape, parts)))
    return [Path(name) for name in names if numbered.fullmatch(name)]


def _by_number(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
