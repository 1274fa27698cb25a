"""A photo as a source of one frame."""

import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from stream_client.errors import SourceCodecError, SourceNotFoundError
from stream_client.frames import Frame, Image, StreamInfo

_LONGEST_SIDE = 1280
"""Pixels. The landmark networks see at most 256, and a larger frame only takes time."""


class PhotoSource:
    """One frame: the photo at ``path``, upright as its EXIF orientation says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._image: Image | None = None

    def open(self) -> StreamInfo:
        """Read the photo."""
        self._image = read_photo(self._path)
        height, width = self._image.shape[:2]
        return StreamInfo(self._path.name, width, height, frame_count=1)

    def read(self) -> Frame | None:
        """The frame, once."""
        image, self._image = self._image, None
        return None if image is None else Frame(0, 0, image, time.monotonic())

    def interrupt(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Let go of the photo."""
        self._image = None


def read_photo(path: Path) -> Image:
    """RGB uint8 [height, width, 3], at most 1280 pixels a side. Raises :class:`.SourceError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            with PillowImage.open(path) as photo:
                photo.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
                upright = _eight_bits(ImageOps.exif_transpose(photo)).convert("RGB")
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{path} does not exist") from error
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        PillowImage.DecompressionBombError,
        PillowImage.DecompressionBombWarning,
    ) as error:
        raise SourceCodecError(f"{path} is not a photo that can be read: {type(error).__name__}") from error
    upright.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return np.asarray(upright)


def _eight_bits(photo: PillowImage.Image) -> PillowImage.Image:
    """Photos of 16 bits or of floating-point numbers, which Pillow would cut off at 255, over their own range."""
    if not photo.mode.startswith(("I", "F")):
        return photo
    values = np.nan_to_num(np.asarray(photo, np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    return PillowImage.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
