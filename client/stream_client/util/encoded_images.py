"""Images as JPEG or PNG bytes."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

MAX_PIXELS = 64 * 1024 * 1024
"""The largest image that is decoded: 8K has half as many. A few bytes can claim to be far more."""


def decode_image(data: bytes | bytearray | memoryview) -> npt.NDArray[np.uint8]:
    """RGB uint8 [height, width, 3] of a JPEG or PNG; raises ``ValueError`` for anything else, or a huge one."""
    try:
        with PillowImage.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"an image of {image.width}x{image.height} pixels is too large to decode")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"not a JPEG or PNG that can be decoded ({len(data)} bytes)") from error
