"""Hides faces, persons or the background, before anything but this process sees a frame."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image as PillowImage

from stream_client.frames import Detections, Image, Landmarks, Points, Result, Tensor
from stream_client.processing.options import PrivacyOptions, Style
from stream_client.transport.image_format import is_image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
_REMEMBERED = 500_000
"""µs. A region stays hidden for this time after it was last seen: networks lose faces for a frame or two."""
_CELLS = {"faces": 1, "persons": 4, "background": 4}
"""Squares along the longer side of what is pixelated. With two or more squares in a face, a detector still finds it."""
_GREY = 114
_SURE = 0.5
_HEAD = slice(0, 5)
"""COCO's nose, eyes and ears."""
_POSE_HEAD = slice(0, 11)
"""MediaPipe's nose, eyes, ears and mouth."""
_HEAD_SURE = 0.9
"""Least visibility of all of them. The face network finds no small faces, the pose network their place."""


@dataclass(frozen=True, slots=True)
class _Seen:
    box: Box
    until: int


class Privacy:
    """Hides what ``options.blur`` names on the frames of one stream, in order.

    A person without a known face is hidden as a whole. A frame without an answer is hidden as a whole. For one thread.
    """

    def __init__(self, options: PrivacyOptions) -> None:
        self._options = options
        self._hide_part = partial(_coarse, style=options.blur_style, cells=_CELLS.get(options.blur or "", 1))
        self._seen: list[_Seen] = []

    def hide(self, result: Result, people: Sequence[Landmarks], found: Detections | None, *, answered: bool) -> Result:
        """``result`` with nothing in it that shows what is hidden: image, source frame and image outputs.

        ``people`` and ``found`` are where persons and faces are. ``answered``: the server has said who is in the frame.
        """
        height, width = result.image.shape[:2]
        size, timestamp = (width, height), result.frame.timestamp
        if self._options.blur == "background":
            kept = [_inside(box, width, height) for box in _persons(people, found, size)] if answered else []
            image = _without_all_but(result.image, kept, self._hide_part)
            source = _without_all_but(result.frame.image, _scaled(kept, result), self._hide_part)
        else:
            hidden = _faces if self._options.blur == "faces" else _persons
            seen = list(hidden(people, found, size)) if answered else [(0.0, 0.0, float(width), float(height))]
            boxes = [_inside(box, width, height) for box in self._remembered(seen, timestamp, answered)]
            image = _without(result.image, boxes, self._hide_part)
            source = _without(result.frame.image, _scaled(boxes, result), self._hide_part)
        return replace(
            result,
            image=image,
            frame=replace(result.frame, image=source),
            outputs={name: tensor for name, tensor in result.outputs.items() if not _shows(tensor)},
        )

    def _remembered(self, found: list[Box], timestamp: int, answered: bool) -> list[Box]:
        """What is seen now, and what was seen a moment ago."""
        before = [seen for seen in self._seen if timestamp <= seen.until]
        self._seen = before + [_Seen(box, timestamp + _REMEMBERED) for box in found] if answered else before
        return [seen.box for seen in before] + found


def _persons(people: Sequence[Landmarks], found: Detections | None, size: tuple[int, int]) -> Iterator[Box]:
    yield from (_person(landmarks, size) for landmarks in people)
    if found is not None:
        yield from _boxes(found, "person")


def _faces(people: Sequence[Landmarks], found: Detections | None, size: tuple[int, int]) -> Iterator[Box]:
    for landmarks in people:
        yield _head(landmarks, size) if landmarks.face is None else _face(landmarks.face, size)
    if found is not None:
        faces = list(_boxes(found, "face"))
        yield from faces
        for index in _indices(found, "person"):
            if not any(_holds(_box_of(found, index), face) for face in faces):
                yield _face_of(found, index)


def _shows(tensor: Tensor) -> bool:
    """Whether a tensor may be an image, encoded or not."""
    return is_image(tensor) or tensor.datatype in ("BYTES", "UINT8")


def _indices(found: Detections, kind: str) -> list[int]:
    """The detections of a class. Where classes have no names, all are persons: nobody is left out."""
    if not found.class_names:
        return list(range(len(found))) if kind == "person" else []
    return [index for index in range(len(found)) if found.name(index).lower() == kind]


def _boxes(found: Detections, kind: str) -> Iterator[Box]:
    for index in _indices(found, kind):
        yield _grown(_box_of(found, index), 0.1)


def _holds(person: Box, face: Box) -> bool:
    """Whether the middle of a face is on a person."""
    x, y = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2
    return person[0] <= x <= person[2] and person[1] <= y <= person[3]


def _face_of(found: Detections, index: int) -> Box:
    """The face of a detected person by key points, or else the whole person."""
    person = _box_of(found, index)
    if found.keypoints is not None and found.keypoints.shape[1] == 17:
        head = found.keypoints[index, _HEAD]
        if (head[:3, 2] > _SURE).all():  # nose and both eyes
            points = head[head[:, 2] > _SURE, :2]
            x, y = points.mean(axis=0).tolist()
            # A face is about three times as high as its eyes are apart, and turns away from the camera.
            half = 2.0 * max(float(np.ptp(points, axis=0).max()), 0.05 * (person[3] - person[1]))
            return (x - half, y - half, x + half, y + half)
    return _grown(person, 0.1)


def _person(landmarks: Landmarks, size: tuple[int, int]) -> Box:
    """Around all points: those that are not visible, too, since they are where the network takes the body to be."""
    parts = [landmarks.pose, landmarks.left_hand, landmarks.right_hand, landmarks.face]
    return _grown(_around(np.concatenate([part[:, :2] for part in parts if part is not None]), size), 0.2)


def _head(landmarks: Landmarks, size: tuple[int, int]) -> Box:
    """Around the head where the pose is sure of it, far enough for a head that turns; else the whole person."""
    head = landmarks.pose[_POSE_HEAD]
    if head[:, 3].min() < _HEAD_SURE:
        return _person(landmarks, size)
    return _grown(_around(head[:, :2], size), 1.0)


def _face(points: Points, size: tuple[int, int]) -> Box:
    return _grown(_around(points[:, :2], size), 0.5)


def _around(points: Points, size: tuple[int, int]) -> Box:
    (left, top), (right, bottom) = (np.array([points.min(axis=0), points.max(axis=0)]) * size).tolist()
    return left, top, right, bottom


def _box_of(found: Detections, index: int) -> Box:
    left, top, right, bottom = found.boxes[index].tolist()
    return left, top, right, bottom


def _grown(box: Box, share: float) -> Box:
    """Larger on each side, by a share of the longer side: networks are wrong by some pixels."""
    margin = share * max(box[2] - box[0], box[3] - box[1])
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def _inside(box: Box, width: int, height: int) -> Box:
    left, right = np.clip([box[0], box[2]], 0, width).tolist()
    top, bottom = np.clip([box[1], box[3]], 0, height).tolist()
    return left, top, right, bottom


def _scaled(boxes: list[Box], result: Result) -> list[Box]:
    """From pixels of the result's image to those of the source's frame."""
    (height, width), (rows, columns) = result.image.shape[:2], result.frame.image.shape[:2]
    x, y = columns / width, rows / height
    return [(left * x, top * y, right * x, bottom * y) for left, top, right, bottom in boxes]


def _slices(box: Box) -> tuple[slice, slice]:
    """Rows and columns of every pixel that the box touches."""
    return slice(int(box[1]), int(np.ceil(box[3]))), slice(int(box[0]), int(np.ceil(box[2])))


def _without(image: Image, boxes: list[Box], hide: Callable[[Image], Image]) -> Image:
    """A copy of ``image`` with the boxes hidden."""
    hidden = image.copy()
    for rows, columns in map(_slices, boxes):
        if hidden[rows, columns].size:
            hidden[rows, columns] = hide(image[rows, columns])
    return hidden


def _without_all_but(image: Image, boxes: list[Box], hide: Callable[[Image], Image]) -> Image:
    """A copy of ``image`` with all but the boxes hidden."""
    hidden = hide(image)
    for rows, columns in map(_slices, boxes):
        hidden[rows, columns] = image[rows, columns]
    return hidden


def _coarse(image: Image, *, style: Style, cells: int) -> Image:
    height, width = image.shape[:2]
    if style == "solid":
        return np.full_like(image, _GREY)
    side = max(height, width) / cells
    size = (max(1, round(width / side)), max(1, round(height / side)))
    small = PillowImage.fromarray(np.ascontiguousarray(image)).resize(size, PillowImage.Resampling.BOX)
    return np.array(small.resize((width, height), PillowImage.Resampling.NEAREST))
