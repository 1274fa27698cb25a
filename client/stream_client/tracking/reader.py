"""From a model's outputs to detections with their tracks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from stream_client.frames import Detections, Image, Masks, Tensor
from stream_client.tracking.bytetrack import ByteTrack
from stream_client.tracking.candidates import Array, BoxMasks, Candidates, suppress
from stream_client.tracking.layouts import BODY_POINTS, arrays_of, find_layout, read_layout
from stream_client.tracking.masks import shape_within
from stream_client.tracking.options import DetectionOptions, LayoutName
from stream_client.tracking.tracker import Tracker

Size = tuple[int, int]
"""Width and height in pixels."""
_GREY = 114
"""Around a frame with its own aspect, as YOLO's models are trained."""
_NO_OVERLAPS = ("yolov10", "detr", "rtmo", "movenet")
"""Layouts whose models suppress overlaps themselves."""


class DetectionReader:
    """Reads detections from outputs. For the frames of one stream, in order.

    ``options`` may be set anew while the stream runs: the next frame obeys.
    """

    def __init__(
        self,
        options: DetectionOptions | None = None,
        *,
        class_names: Sequence[str] = (),
        tracker: Tracker | None = None,
    ) -> None:
        self.options = options or DetectionOptions()
        self._names = tuple(class_names)
        self._tracker = tracker
        self._layout: LayoutName | None = None
        self._fits = False
        """Whether frames are brought to the one size of the model."""

    def fit(self, image: Image, width: int, height: int) -> Image:
        """``image``, RGB uint8, in the size that a model takes: with its aspect on gray, or stretched."""
        self._fits = True
        if image.shape[:2] == (height, width):
            return image
        whole = PillowImage.fromarray(image)
        if self.options.fit == "stretch":
            return np.asarray(whole.resize((width, height), PillowImage.Resampling.BILINEAR))
        scale, left, top = _letterbox((image.shape[1], image.shape[0]), (width, height))
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        canvas = np.full((height, width, 3), _GREY, np.uint8)
        place = (slice(round(top), round(top) + size[1]), slice(round(left), round(left) + size[0]))
        canvas[place] = np.asarray(whole.resize(size, PillowImage.Resampling.BILINEAR))
        return canvas

    def read(self, outputs: Mapping[str, Tensor], sent: Size, shown: Size, timestamp: int) -> Detections:
        """The detections of a frame: ``sent`` is the size of the image that the model saw, ``shown`` of the result's.

        An image that went through :meth:`fit` is where that has put it, another at the left top, perhaps smaller.
        ``timestamp`` is in µs. Raises :class:`.ConfigurationError` for outputs that are no detections.
        """
        options = self.options
        arrays = arrays_of(outputs)
        layout = options.detections or "auto"
        if layout == "auto":
            layout = self._layout = self._layout or find_layout(arrays)
        found = read_layout(layout, arrays, len(self._names))
        found = _strongest(found, options)
        whole, keypoints = self._on_frame(found, sent, shown)
        boxes = np.clip(whole, 0, np.array([*shown, *shown])).astype(np.float32)
        if layout not in _NO_OVERLAPS:
            groups = None if options.class_agnostic_nms else found.class_ids
            kept = suppress(boxes, found.scores, options.iou_threshold, groups)[: options.max_detections]
        else:
            kept = np.argsort(-found.scores, kind="stable")[: options.max_detections]
        detections = Detections(
            boxes[kept],
            found.scores[kept],
            found.class_ids[kept],
            self._names or _names_of(found),
            keypoints=None if keypoints is None else keypoints[kept],
            masks=self._masks(found, kept, whole, boxes, sent, shown),
        )
        if self._tracker is None:
            return detections
        return replace(detections, track_ids=self._tracker.update(detections, timestamp))

    def _on_frame(self, found: Candidates, sent: Size, shown: Size) -> tuple[Array, Array | None]:
        """Boxes, which may reach beyond the frame, and key points in pixels of the frame."""
        unit = np.array(sent if found.relative else (1, 1), dtype=np.float32)
        scale, offset = self._placement(sent, shown)
        boxes = (found.boxes * np.tile(unit, 2) - np.tile(offset, 2)) * np.tile(scale, 2)
        if found.keypoints is None:
            return boxes, None
        keypoints = found.keypoints.copy()
        keypoints[..., :2] = (keypoints[..., :2] * unit - offset) * scale
        return boxes, keypoints

    def _masks(
        self,
        found: Candidates,
        kept: npt.NDArray[np.intp],
        whole: Array,
        boxes: Array,
        sent: Size,
        shown: Size,
    ) -> Masks | None:
        """The shapes of those that are kept, cut to their ``boxes`` inside of the frame; ``whole``: these uncut."""
        if found.masks is None:
            return None
        if isinstance(found.masks, BoxMasks):
            covered = whole
        else:  # every plane is the model's whole input
            scale, offset = self._placement(sent, shown)
            edges = np.array([[0, 0], sent], np.float32)
            covered = np.tile(((edges - offset) * scale).reshape(1, 4), (len(whole), 1))
        shapes = [
            shape_within(found.masks, index, tuple(covered[index].tolist()), tuple(boxes[index].tolist()))
            for index in kept.tolist()
        ]
        return Masks(tuple(shapes), shown)

    def _placement(self, sent: Size, shown: Size) -> tuple[Array, Array]:
        """How much larger the frame is than what the model saw of it, and where that began, in the model's pixels."""
        if not self._fits:  # columns may have been added on the right
            return np.full(2, shown[1] / sent[1], np.float32), np.zeros(2, np.float32)
        if self.options.fit == "stretch":
            return np.array([shown[0] / sent[0], shown[1] / sent[1]], np.float32), np.zeros(2, np.float32)
        shrunk, left, top = _letterbox(shown, sent)
        return np.full(2, 1 / shrunk, np.float32), np.array([round(left), round(top)], np.float32)


def _names_of(found: Candidates) -> tuple[str, ...]:
    """Whoever has COCO's key points is a person, where nobody names the classes."""
    points = found.keypoints
    return ("person",) if points is not None and points.shape[1] == BODY_POINTS else ()


def open_tracker(options: DetectionOptions) -> Tracker | None:
    """The tracker of ``options``; raises :class:`.ConfigurationError` where its package is missing.

    Where weak detections are asked for, since the model is never surer, tracks begin with them, too.
    """
    if options.tracker == "none":
        return None
    return ByteTrack(strong=min(0.5, options.confidence + 0.1), begin=min(0.6, options.confidence + 0.2))


def _letterbox(image: Size, canvas: Size) -> tuple[float, float, float]:
    """The scale of ``image`` on ``canvas`` with its own aspect, and its left and top there, in pixels."""
    scale = min(canvas[0] / image[0], canvas[1] / image[1])
    return scale, (canvas[0] - image[0] * scale) / 2, (canvas[1] - image[1] * scale) / 2


def _strongest(found: Candidates, options: DetectionOptions) -> Candidates:
    """Those above the confidence; scores and boxes that are no numbers are none."""
    with np.errstate(invalid="ignore"):
        good = (found.scores >= options.confidence) & np.isfinite(found.boxes).all(axis=1)
    index = np.flatnonzero(good)
    if len(index) > options.max_candidates:
        index = index[np.argsort(-found.scores[index], kind="stable")[: options.max_candidates]]
    return found.take(index)
