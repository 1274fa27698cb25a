"""Frames as JPEG or PNG bytes."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from kserve_wire.pictures import MAX_PIXELS


def decode_image(data: bytes | bytearray | memoryview, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """RGB uint8 [height, width, 3] of a JPEG or PNG; raises ``ValueError`` for anything else, or one of more pixels.

    A few bytes can claim to be gigabytes, so the size is looked at before anything is decoded.
    """
    try:
        with PillowImage.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(f"an image of {image.width}x{image.height} pixels is too large to decode")
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"not a JPEG or PNG that can be decoded ({len(data)} bytes)") from error


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG or PNG in pixels, from its header; raises ``ValueError`` for anything else."""
    try:
        with PillowImage.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            return image.size
    except (UnidentifiedImageError, OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"not a JPEG or PNG ({len(data)} bytes)") from error


def encode_jpeg(image: npt.NDArray[np.uint8], quality: int = 80) -> bytes:
    """RGB uint8 [height, width, 3] as a JPEG; ``quality`` is 1 to 95."""
    file = io.BytesIO()
    PillowImage.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()
