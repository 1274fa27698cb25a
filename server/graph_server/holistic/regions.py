"""Regions of interest: rotated rectangles, and the functions that make, change and compare them.

Sources: calculators/util/{rect_transformation,detections_to_rects,alignment_points_to_rects}_calculator.cc,
modules/hand_landmark/calculators/hand_landmarks_to_rect_calculator.cc,
modules/holistic_landmark/calculators/{hand_detections_from_pose_to_rects,roi_tracking}_calculator.cc.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Landmarks = npt.NDArray[np.float32]
ImageSize = tuple[int, int]
"""Width and height in pixels."""

_PALM = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])  # wrist, base of the thumb, palm joints of the fingers


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated rectangle. Center and size are relative to the image, the rotation is in radians, clockwise."""

    x_center: float
    y_center: float
    width: float
    height: float
    rotation: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return all(map(math.isfinite, (self.x_center, self.y_center, self.width, self.height, self.rotation)))

    @property
    def empty(self) -> bool:
        """Whether a side is not above zero or a value is not finite. Such a region is skipped.

        MediaPipe's ImageToTensorCalculator skips width and height 0, and fails for the other cases.
        """
        return not (self.finite and self.width > 0 and self.height > 0)

    def transformed(self, size: ImageSize, *, scale: float, shift_y: float = 0.0) -> "Region":
        """The region shifted along its y axis by ``shift_y`` of its height, made square (longer side) and scaled."""
        image_width, image_height = size
        down = image_height * self.height * shift_y
        x_center = self.x_center - down * math.sin(self.rotation) / image_width
        y_center = self.y_center + down * math.cos(self.rotation) / image_height
        side = max(self.width * image_width, self.height * image_height) * scale
        return Region(x_center, y_center, side / image_width, side / image_height, self.rotation)


def normalize_radians(angle: float) -> float:
    """The same angle in -π…π, or NaN if it is not finite."""
    if not math.isfinite(angle):
        return math.nan
    return angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi))


def rotation_of(start: tuple[float, float], end: tuple[float, float], target: float) -> float:
    """The rotation that turns the vector from ``start`` to ``end`` (in pixels) to the angle ``target``."""
    return normalize_radians(target - math.atan2(-(end[1] - start[1]), end[0] - start[0]))


def region_from_alignment_points(
    center: tuple[float, float], edge: tuple[float, float], size: ImageSize, target_degrees: float
) -> Region:
    """A square region around ``center``. Its side is twice the distance to ``edge``, which also gives the rotation."""
    width, height = size
    start = (center[0] * width, center[1] * height)
    end = (edge[0] * width, edge[1] * height)
    side = 2.0 * math.hypot(end[0] - start[0], end[1] - start[1])
    rotation = rotation_of(start, end, math.radians(target_degrees))
    return Region(center[0], center[1], side / width, side / height, rotation)


def region_from_box(points: Landmarks, size: ImageSize, start: int, end: int) -> Region:
    """The upright box of ``points``, with the rotation that makes ``start`` → ``end`` horizontal."""
    width, height = size
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    rotation = rotation_of(
        (float(points[start, 0]) * width, float(points[start, 1]) * height),
        (float(points[end, 0]) * width, float(points[end, 1]) * height),
        0.0,
    )
    center, extent = (low + high) / 2, high - low
    return Region(float(center[0]), float(center[1]), float(extent[0]), float(extent[1]), rotation)


def hand_region_from_pose(wrist: Landmarks, pinky: Landmarks, index: Landmarks, size: ImageSize) -> Region:
    """The hand's region around the estimated base of the middle finger. The fingers point up in it."""
    scale = np.array(size, dtype=np.float32)
    middle = (2 * index[:2] + pinky[:2]) / 3 * scale
    start = wrist[:2] * scale
    dx, dy = (float(value) for value in middle - start)
    side = 2.0 * math.hypot(dx, dy)
    rotation = normalize_radians(math.pi / 2 - math.atan2(-dy, dx))
    return Region(float(middle[0]) / size[0], float(middle[1]) / size[1], side / size[0], side / size[1], rotation)


def hand_region_from_landmarks(landmarks: Landmarks, size: ImageSize) -> Region:
    """The box of the palm, along the line from the wrist to the fingers."""
    width, height = size
    points = landmarks[_PALM, :2].astype(np.float64)
    # Indices within the palm: 0 wrist, 4 index finger, 6 middle finger, 8 ring finger.
    tip = ((points[4] + points[8]) / 2 + points[6]) / 2
    rotation = rotation_of(
        (points[0, 0] * width, points[0, 1] * height), (tip[0] * width, tip[1] * height), math.pi / 2
    )
    center = (points.max(axis=0) + points.min(axis=0)) / 2
    pixels = (points - center) * (width, height)
    cosine, sine = math.cos(rotation), math.sin(rotation)
    across = pixels[:, 0] * cosine + pixels[:, 1] * sine
    along = -pixels[:, 0] * sine + pixels[:, 1] * cosine
    x, y = (across.max() + across.min()) / 2, (along.max() + along.min()) / 2
    return Region(
        float((x * cosine - y * sine) / width + center[0]),
        float((x * sine + y * cosine) / height + center[1]),
        float(across.max() - across.min()) / width,
        float(along.max() - along.min()) / height,
        rotation,
    )


@dataclass(frozen=True, slots=True)
class TrackingRule:
    """Limits for a region that is tracked from one frame to the next: degrees, and fractions of the region's sides.

    The last landmarks must be inside the current region after ``margin`` has enlarged it, or shrunk it if negative.
    """

    rotation_degrees: float
    translation: float
    scale: float
    margin: float


HAND_TRACKING = TrackingRule(rotation_degrees=40, translation=0.2, scale=0.4, margin=-0.1)
FACE_TRACKING = TrackingRule(rotation_degrees=15, translation=0.1, scale=0.3, margin=-0.2)


def may_keep(previous: Region, landmarks: Landmarks, current: Region, size: ImageSize, rule: TrackingRule) -> bool:
    """Whether ``previous``, the region of the last frame's ``landmarks``, may be used instead of ``current``."""
    if not (previous.finite and current.finite):
        return False
    width, height = size
    turned = math.degrees(previous.rotation) - math.degrees(current.rotation)
    if turned > 180:
        turned -= 360
    if turned < -180:
        turned += 360
    if abs(turned) > rule.rotation_degrees:
        return False
    side_x, side_y = current.width * width, current.height * height
    if abs(previous.width * width - side_x) > side_x * rule.scale:
        return False
    if abs(previous.height * height - side_y) > side_y * rule.scale:
        return False
    cosine, sine = math.cos(current.rotation), math.sin(current.rotation)
    dx = (previous.x_center - current.x_center) * width
    dy = (previous.y_center - current.y_center) * height
    if abs(dx * cosine + dy * sine) > side_x * rule.translation:
        return False
    if abs(-dx * sine + dy * cosine) > side_y * rule.translation:
        return False
    x = (landmarks[:, 0] - current.x_center) * width
    y = (landmarks[:, 1] - current.y_center) * height
    inside_x = np.abs(x * cosine + y * sine) < side_x * (1 + rule.margin) / 2
    inside_y = np.abs(-x * sine + y * cosine) < side_y * (1 + rule.margin) / 2
    return bool(inside_x.all() and inside_y.all())
