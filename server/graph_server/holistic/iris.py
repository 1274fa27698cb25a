"""Iris and eye landmarks in the regions that the corners of the eyes give.

Sources: modules/iris_landmark/{iris_landmark_cpu,iris_landmark_landmarks_to_roi}.pbtxt,
calculators/image/image_cropping_calculator.cc, calculators/tflite/tflite_tensors_to_landmarks_calculator.cc,
graphs/iris_tracking/calculators/update_face_landmarks_calculator.cc.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from graph_server.errors import GraphError
from graph_server.holistic.crops import Bytes, projected
from graph_server.holistic.networks import Network
from graph_server.holistic.regions import ImageSize, Landmarks, Region, region_from_box
from graph_server.models.model import Model

_SIDE = 64
_LARGEST_CROP = 4096
"""Pixels a side. MediaPipe allocates what a region asks for."""

# fmt: off
FACE_POINTS_OF_EYES = np.array([
    # Left: eyelids, then the rings around them, then the brow.
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173,
    130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190,
    226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65,
    143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193,
    # Right, in the same order.
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398,
    359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414,
    446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
    265, 353, 276, 283, 282, 295,
    372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336, 285, 417,
])
"""The face's landmarks that the 71 points of the left eye and the 71 of the right eye replace."""
# fmt: on


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """An eye: ``contour`` float32 [71, 5] (eyelids first), ``iris`` float32 [5, 5] (center first), and its region."""

    contour: Landmarks
    iris: Landmarks
    region: Region


class IrisEstimator:
    """The network that finds an eye and its iris. Not thread-safe."""

    def __init__(self, model: Model) -> None:
        self._network = Network(model, ("output_eyes_contours_and_brows", "output_iris"))

    def process(self, image: Bytes, corners: Landmarks, *, right: bool) -> Eye | None:
        """The eye between two ``corners`` [2, 2 or more] of ``image``, uint8 [h, w, 1, 3 or 4].

        The network knows left eyes: a ``right`` one is mirrored for it.
        """
        region = eye_region(corners, (image.shape[1], image.shape[0]))
        if region.empty:
            return None
        pixels = _cropped(image, region)
        self._network.pixels[:] = pixels[:, ::-1] if right else pixels
        contour, iris = (_landmarks(values, mirrored=right) for values in self._network.run())
        if not (np.isfinite(contour).all() and np.isfinite(iris).all()):
            return None
        return Eye(projected(contour, region), projected(iris, region), region)


def eye_region(corners: Landmarks, size: ImageSize) -> Region:
    """The square region around an eye, from its two corners."""
    return region_from_box(corners, size, start=0, end=1).transformed(size, scale=2.3)


def refined(face: Landmarks, eyes: Landmarks) -> Landmarks:
    """``face`` [468, 5] with its eyes replaced by ``eyes`` [142, 5]. Raises :class:`GraphError` for other shapes."""
    if len(face) != 468 or len(eyes) != len(FACE_POINTS_OF_EYES):
        raise GraphError("Wrong number of face landmarks")
    updated = face.copy()
    updated[FACE_POINTS_OF_EYES, :4] = eyes[:, :4]
    return updated


def _landmarks(values: npt.NDArray[np.float32], *, mirrored: bool) -> Landmarks:
    points = values.reshape(-1, 3) / np.float32(_SIDE)
    landmarks = np.zeros((len(points), 5), np.float32)
    landmarks[:, :3] = points
    if mirrored:
        landmarks[:, 0] = 1 - landmarks[:, 0]
    return landmarks


def _cropped(image: Bytes, region: Region) -> Bytes:
    """The region, uint8 [64, 64, 3]: its nearest pixels in full size, as in MediaPipe, then scaled."""
    if image.dtype != np.uint8:
        raise GraphError(f"Unsupported format: {image.dtype} with {image.shape[2]} channels", "INVALID_ARGUMENT")
    height, width = image.shape[:2]
    length = max(1, math.floor(region.width * width + 0.5))
    side = min(_LARGEST_CROP, length)
    center_x, center_y = region.x_center * width, region.y_center * height
    if not region.rotation:
        center_x, center_y = (_on_grid(center, length) for center in (center_x, center_y))
    steps = ((np.arange(side) + 0.5) / side - 0.5) * length
    cosine, sine = math.cos(region.rotation), math.sin(region.rotation)
    x = center_x + cosine * steps - sine * steps[:, None] - 0.5
    y = center_y + sine * steps + cosine * steps[:, None] - 0.5
    columns = np.rint(np.clip(x, 0, width - 1)).astype(np.intp)
    rows = np.rint(np.clip(y, 0, height - 1)).astype(np.intp)
    found = np.broadcast_to(image, (height, width, 3)) if image.shape[2] == 1 else image[..., :3]
    pixels: Bytes = found[rows, columns]
    if side == _SIDE:
        return pixels
    interpolation = cv2.INTER_AREA if side > _SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=interpolation), np.uint8)


def _on_grid(center: float, length: int) -> float:
    """An upright crop begins at a pixel's edge."""
    return math.floor(center + 0.5) if length % 2 == 0 else math.floor(center + 1.0) - 0.5
