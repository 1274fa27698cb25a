"""Crops of regions and the way back.

Source: calculators/tensor/image_to_tensor_{utils,converter_opencv}.cc. MediaPipe warps the bytes first and
converts them to floating point afterwards, so a crop of bytes loses nothing.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from graph_server.holistic.regions import ImageSize, Landmarks, Region

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Padding:
    """Letterbox bars, as fractions of the crop: left, top, right, bottom."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


WHOLE = Region(0.5, 0.5, 1.0, 1.0)


def padded(region: Region, size: ImageSize, crop: ImageSize) -> tuple[Region, Padding]:
    """``region`` enlarged to the crop's aspect, and the bars that this adds."""
    width, height = region.width * size[0], region.height * size[1]
    crop_aspect, aspect = crop[1] / crop[0], height / width
    if crop_aspect > aspect:
        bar = (1.0 - aspect / crop_aspect) / 2
        return replace(region, height=width * crop_aspect / size[1]), Padding(top=bar, bottom=bar)
    bar = (1.0 - crop_aspect / aspect) / 2
    return replace(region, width=height / crop_aspect / size[0]), Padding(left=bar, right=bar)


def crop(image: Bytes, region: Region, out: Bytes, *, border: int = cv2.BORDER_REPLICATE) -> None:
    """Warp ``region`` of ``image`` (uint8 [h, w, 3]) into ``out`` (uint8 [height, width, 3]), bilinear."""
    height, width = out.shape[:2]
    image_height, image_width = image.shape[:2]
    box = cv2.boxPoints(
        (
            (region.x_center * image_width, region.y_center * image_height),
            (region.width * image_width, region.height * image_height),
            float(np.degrees(region.rotation)),
        )
    )
    corners = np.array([[0, height], [0, 0], [width, 0]], dtype=np.float32)
    # A rotated rectangle needs no perspective: three corners give the same map as MediaPipe's four.
    matrix = cv2.getAffineTransform(corners, np.asarray(box[:3], dtype=np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(image, matrix, (width, height), out, flags, border, 0)


def unpadded(landmarks: Landmarks, padding: Padding) -> Landmarks:
    """Landmarks of the crop without its bars; z is scaled as x is."""
    if padding == Padding():
        return landmarks
    result = landmarks.copy()
    inner_x = 1.0 - padding.left - padding.right
    result[:, 0] = (landmarks[:, 0] - padding.left) / inner_x
    result[:, 1] = (landmarks[:, 1] - padding.top) / (1.0 - padding.top - padding.bottom)
    result[:, 2] = landmarks[:, 2] / inner_x
    return result


def projected(landmarks: Landmarks, region: Region) -> Landmarks:
    """Landmarks of the crop (0…1) on the image; z on the scale of the region's width."""
    cosine, sine = np.float32(np.cos(region.rotation)), np.float32(np.sin(region.rotation))
    x, y = landmarks[:, 0] - 0.5, landmarks[:, 1] - 0.5
    result = landmarks.copy()
    result[:, 0] = (cosine * x - sine * y) * region.width + region.x_center
    result[:, 1] = (sine * x + cosine * y) * region.height + region.y_center
    result[:, 2] = landmarks[:, 2] * region.width
    return result
