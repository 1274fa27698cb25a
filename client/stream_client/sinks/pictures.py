"""Pictures as encoders want them."""

import numpy as np

from stream_client.frames import Image


def even(image: Image) -> Image:
    """yuv420p needs even sizes: an odd last row or column is repeated."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
