"""Images as programs for OpenCV give them."""

import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError


def to_rgb(image: object) -> npt.NDArray[np.uint8]:
    """A view in RGB of an image in BGR, uint8 [height, width, 3]. Raises :class:`.ConfigurationError` for others."""
    if not isinstance(image, np.ndarray):
        what = type(image).__name__
    elif image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
        return image[:, :, ::-1]
    else:
        what = f"{image.dtype} {list(image.shape)}"
    raise ConfigurationError(f"an image is BGR uint8 [height, width, 3], as cv2.imread gives it, not {what}")
