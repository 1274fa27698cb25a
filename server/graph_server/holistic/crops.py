"""Crops of regions, and landmarks from a crop back to the image.

Source: calculators/tensor/image_to_tensor_{utils,converter_opencv}.cc. MediaPipe first warps the bytes and then
converts them to floating point, so a crop of bytes loses nothing. MediaPipe's OpenCV 3.4 samples at positions rounded
to 1/32 pixel. The warps of OpenCV 5 do not round, and differences of one gray level move hands and small faces over
their thresholds. So this module computes the sampling positions itself and gives them to :func:`cv2.remap` in
fixed-point form. This form has not changed.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from graph_server.errors import GraphError
from graph_server.holistic.regions import ImageSize, Landmarks, Region

Bytes = npt.NDArray[np.uint8]

# Positions have 11 bits more than the 5 of OpenCV, so that a sum of two is rounded like the exact value.
_ONE = 1 << 16
_HALF = _ONE >> 6  # of 1/32 pixel
_FAR = 16_000
_MOST = 2 * _FAR  # Positions reach no farther, and cv2.remap takes at most 32,766 pixels a side.


@dataclass(frozen=True, slots=True)
class Padding:
    """Letterbox bars at the sides of a crop, as fractions of the crop."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


# Several workers make crops in parallel. OpenCV's own threads would only disturb them.
cv2.setNumThreads(1)

WHOLE = Region(0.5, 0.5, 1.0, 1.0)


def padded(region: Region, size: ImageSize, crop: ImageSize) -> tuple[Region, Padding]:
    """``region``, which is not empty, enlarged to the aspect ratio of the crop, and the bars that this adds."""
    width, height = region.width * size[0], region.height * size[1]
    crop_aspect, aspect = crop[1] / crop[0], height / width
    if crop_aspect > aspect:
        bar = (1.0 - aspect / crop_aspect) / 2
        return replace(region, height=width * crop_aspect / size[1]), Padding(top=bar, bottom=bar)
    bar = (1.0 - crop_aspect / aspect) / 2
    return replace(region, width=height / crop_aspect / size[0]), Padding(left=bar, right=bar)


def crop(image: Bytes, region: Region, out: Bytes, *, border: int = cv2.BORDER_REPLICATE) -> None:
    """Warp ``region`` of ``image`` into ``out`` (uint8 [height, width, 3]) with bilinear sampling.

    ``region`` is not empty. ``image`` is uint8 [h, w, 1, 3 or 4]: gray becomes RGB, alpha is left out. Raises
    :class:`GraphError` for other datatypes, as MediaPipe does.
    """
    if image.dtype != np.uint8:
        raise GraphError(f"Unsupported format: {image.dtype} with {image.shape[2]} channels", "INVALID_ARGUMENT")
    height, width = out.shape[:2]
    image_height, image_width = image.shape[:2]
    cosine, sine = math.cos(region.rotation), math.sin(region.rotation)
    side_x, side_y = region.width * image_width, region.height * image_height
    left = region.x_center * image_width - (cosine * side_x - sine * side_y) / 2
    top = region.y_center * image_height - (sine * side_x + cosine * side_y) / 2
    columns, rows = np.arange(width) * (side_x / width), np.arange(height) * (side_y / height)
    x = (_fixed(cosine * columns) + _fixed(left - sine * rows, _HALF)[:, None]).view(np.uint32)
    y = (_fixed(sine * columns) + _fixed(top + cosine * rows, _HALF)[:, None]).view(np.uint32)
    # The highest 5 of 16 bits of fraction are an index into OpenCV's 32x32 table of weights.
    weights, of_y = x.astype(np.uint16), y.astype(np.uint16)
    weights >>= 11
    of_y >>= 6
    of_y &= 31 << 5
    weights |= of_y
    # Whole pixels are pairs of 16 bits, x before y.
    x >>= 16
    y &= np.uint32(0xFFFF0000)
    x |= y
    pairs = x.astype("<u4", copy=False).view(np.int16).reshape(height, width, 2)
    reached = image[:_MOST, :_MOST]
    if image.shape[2] == out.shape[2]:
        cv2.remap(reached, pairs, weights, cv2.INTER_LINEAR, out, border, 0)
    else:
        sampled = cv2.remap(reached, pairs, weights, cv2.INTER_LINEAR, None, border, 0)
        out[:] = sampled.reshape(height, width, -1)[..., :3]


def _fixed(positions: npt.NDArray[np.float64], offset: int = 0) -> npt.NDArray[np.int32]:
    """Positions in pixels as fixed-point numbers. They are clipped far outside of images, so that a sum of two fits."""
    return np.rint(np.clip(positions, -_FAR, _FAR) * _ONE).astype(np.int32) + np.int32(offset)


def unpadded(landmarks: Landmarks, padding: Padding) -> Landmarks:
    """Landmarks relative to the crop without its bars. z is scaled like x."""
    if padding == Padding():
        return landmarks
    result = landmarks.copy()
    inner_x = 1.0 - padding.left - padding.right
    result[:, 0] = (landmarks[:, 0] - padding.left) / inner_x
    result[:, 1] = (landmarks[:, 1] - padding.top) / (1.0 - padding.top - padding.bottom)
    result[:, 2] = landmarks[:, 2] / inner_x
    return result


def turned(points: Landmarks, rotation: float) -> Landmarks:
    """Points [n, 2…] with x and y rotated about the origin by ``rotation`` radians."""
    cosine, sine = np.float32(np.cos(rotation)), np.float32(np.sin(rotation))
    result = points.copy()
    result[:, 0] = cosine * points[:, 0] - sine * points[:, 1]
    result[:, 1] = sine * points[:, 0] + cosine * points[:, 1]
    return result


def projected(landmarks: Landmarks, region: Region) -> Landmarks:
    """Landmarks relative to the image, from landmarks relative to the crop (0…1). z is scaled by the region's width."""
    centered = landmarks.copy()
    centered[:, :2] -= 0.5
    result = turned(centered, region.rotation)
    result[:, 0] = result[:, 0] * region.width + region.x_center
    result[:, 1] = result[:, 1] * region.height + region.y_center
    result[:, 2] = landmarks[:, 2] * region.width
    return result
