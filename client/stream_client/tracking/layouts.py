"""The layouts of tensors that detectors give.

| layout | tensors |
|---|---|
| ssd | [1, 1, n, 7]: image, class, score, left, top, right, bottom over the sides (OpenVINO's DetectionOutput) |
| anchors | encodings [1, n, 4]: center y, x, height, width at anchors; scores [1, n, classes], the first: nothing |
| boxes | boxes [n, 5]: left, top, right, bottom in pixels, score; labels [n] (OpenVINO's ATSS, Geti) |
| scores | boxes [1, n, 4] and scores [1, n, classes], 0…1 |
| detr | boxes [1, n, 4]: center and size over the sides; logits [1, n, classes + 1], the last: nothing |
| yolov5 | [1, n, 5 + classes]: center and size in pixels, objectness, scores (v5, v7) |
| yolov8 | [1, 4 + classes (+ 3 a key point), n]: center and size in pixels, scores (v8, v9, v11) |
| yolov10 | [1, n, 6]: left, top, right, bottom in pixels, score, class; no overlaps (v10) |
| rtmo | dets [1, n, 5], keypoints [1, n, k, 3], in pixels |
| movenet | [1, n, 56]: 17 key points (y, x, score), top, left, bottom, right, score, over the sides (MultiPose) |

Three may have masks. Those of ``boxes`` are [n, h, w] over each box (Mask R-CNN; all may have a batch of one).
In ``yolov5`` and ``yolov8`` the last columns are weights of prototypes [1, 32, h, w] (v5-seg, v8-seg, v11-seg).
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kserve_wire.anchors import SsdAnchorOptions, ssd_anchors
from stream_client.errors import ConfigurationError
from stream_client.frames import Tensor
from stream_client.tracking.candidates import Array, BoxMasks, Candidates, Prototypes, from_centres
from stream_client.tracking.options import LayoutName

Arrays = Mapping[str, Array]
"""A model's outputs by name, as float32."""
_MOVENET_WIDTH = 17 * 3 + 5
BODY_POINTS = 17
"""Of COCO, which models of poses have."""
_ANCHORED: Mapping[int, int] = {1917: 300, 2034: 320}
"""How many anchors an SSD MobileNet has, and the side of its input in pixels."""
_ENCODED = np.array([10, 10, 5, 5], np.float32)
"""What its encodings are multiplied by: center y, x, height, width (mediapipe/graphs/object_detection)."""


def arrays_of(outputs: Mapping[str, Tensor]) -> dict[str, Array]:
    """The numbers of the outputs, as float32; strings and images are left out."""
    return {
        name: np.asarray(tensor.array, dtype=np.float32)
        for name, tensor in outputs.items()
        if tensor.datatype not in ("BYTES", "UINT8", "BOOL")
    }


def find_layout(arrays: Arrays) -> LayoutName:
    """The layout that names and shapes show; raises :class:`.ConfigurationError` where they show none."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) == 4 and shape[3] == 7 and shape[0] == 1 for shape in shapes.values()):
        return "ssd"
    if any(len(shape) == 4 and shape[3] == 3 for shape in shapes.values()) and _one(arrays, 3, last=5) is not None:
        return "rtmo"
    if any(len(shape) == 2 and shape[1] == 5 and shape[:1] in shapes.values() for shape in shapes.values()):
        return "boxes"
    if any(len(shape) == 3 and shape[2] == 5 and shape[:2] in shapes.values() for shape in shapes.values()):
        return "boxes"
    boxes = _one(arrays, 3, last=4)
    if boxes is not None and len(arrays) > 1:
        scores = _beside(arrays, boxes)
        if boxes.shape[1] in _ANCHORED and (boxes[..., 2:] < boxes[..., :2]).any():  # so they are no corners
            return "anchors"
        return "scores" if scores.min(initial=0) >= 0 and scores.max(initial=0) <= 1 else "detr"
    tables = [shape for shape in shapes.values() if len(shape) == 3 and shape[0] == 1]
    if len(tables) == 1 and len(arrays) == 1:
        return _of_one_tensor(*tables[0][1:])
    if len(tables) == 1 and len(arrays) == 2 and _prototypes(arrays) is not None:
        return "yolov8" if tables[0][1] < tables[0][2] else "yolov5"
    text = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) or "none"
    raise ConfigurationError(f"no layout of detections is known for the outputs {text}: name it", option="detections")


def _of_one_tensor(rows: int, columns: int) -> LayoutName:
    if columns == _MOVENET_WIDTH and rows <= 16:
        return "movenet"
    if columns == 6 and rows > 6:
        return "yolov10"
    return "yolov8" if rows < columns else "yolov5"


def read_layout(layout: LayoutName, arrays: Arrays, classes: int) -> Candidates:
    """What the tensors propose. ``classes`` is how many names are known, 0: none.

    Raises :class:`.ConfigurationError` for tensors of another layout.
    """
    try:
        return _READERS[layout](arrays, classes)
    except (IndexError, KeyError, ValueError, StopIteration) as error:
        text = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items()) or "none"
        raise ConfigurationError(
            f"the outputs {text} are not of the layout {layout}: name another, or auto", option="detections"
        ) from error


def _ssd(arrays: Arrays, classes: int) -> Candidates:
    table = next(array for array in arrays.values() if array.ndim == 4 and array.shape[3] == 7).reshape(-1, 7)
    # A row of a negative image number ends the list.
    ends = np.flatnonzero(table[:, 0] < 0)
    table = table[: ends[0]] if len(ends) else table
    return Candidates(table[:, 3:7], table[:, 2], table[:, 1].astype(np.int64), relative=True)


def _anchors(arrays: Arrays, classes: int) -> Candidates:
    encodings = _needed(_one(arrays, 3, last=4))
    if encodings.shape[1] not in _ANCHORED:
        raise ValueError("1917 or 2034 boxes are needed")
    y, x, height, width = (encodings[0] / _ENCODED).T
    anchors = _anchors_of(_ANCHORED[encodings.shape[1]])
    with np.errstate(over="ignore"):
        sides = np.exp(np.stack([width, height], axis=1)) * anchors[:, 2:]
    centers = np.stack([x, y], axis=1) * anchors[:, 2:] + anchors[:, :2]
    scores = _beside(arrays, encodings)[0]
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1:
        scores = 1 / (1 + np.exp(-np.clip(scores, -80, 80)))
    best, ids = _best(scores[:, 1:])
    return Candidates(from_centres(np.concatenate([centers, sides], axis=1)), best, ids + 1, relative=True)


@lru_cache(maxsize=len(_ANCHORED))
def _anchors_of(side: int) -> Array:
    return ssd_anchors(SsdAnchorOptions(side, side))


def _boxes(arrays: Arrays, classes: int) -> Candidates:
    if not any(array.ndim == 1 for array in arrays.values()):
        arrays = {name: array[0] for name, array in arrays.items() if array.shape[:1] == (1,) and array.ndim > 1}
    table = _needed(_one(arrays, 2, last=5))
    labels = next(array for array in arrays.values() if array.ndim == 1)
    if len(labels) != len(table):
        raise ValueError("as many labels as boxes are needed")
    planes = next((array for array in arrays.values() if array.ndim == 3 and len(array) == len(table)), None)
    masks = None if planes is None or not planes.size else BoxMasks(planes)
    return Candidates(table[:, :4], table[:, 4], labels.astype(np.int64), masks=masks)


def _scores(arrays: Arrays, classes: int) -> Candidates:
    boxes = _needed(_one(arrays, 3, last=4))
    best, ids = _best(_beside(arrays, boxes)[0])
    return Candidates(boxes[0], best, ids, relative=bool(boxes.max(initial=0) <= 2))


def _detr(arrays: Arrays, classes: int) -> Candidates:
    boxes = _needed(_one(arrays, 3, last=4))
    logits = _beside(arrays, boxes)[0]
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    best, ids = _best((power / power.sum(axis=1, keepdims=True))[:, :-1])
    return Candidates(from_centres(boxes[0]), best, ids, relative=True)


def _yolov5(arrays: Arrays, classes: int) -> Candidates:
    table, masks = _with_prototypes(_table(arrays), arrays)
    if table.shape[1] < 6:
        raise ValueError("four numbers of a box, objectness and scores are needed")
    best, ids = _best(table[:, 5:] * table[:, 4:5])
    return Candidates(from_centres(table[:, :4]), best, ids, masks=masks)


def _yolov8(arrays: Arrays, classes: int) -> Candidates:
    table, masks = _with_prototypes(_table(arrays).T, arrays)
    if table.shape[1] < 5:
        raise ValueError("four numbers of a box and scores are needed")
    points = 0
    if classes and classes < table.shape[1] - 4:
        points = (table.shape[1] - 4 - classes) // 3
    elif not classes and table.shape[1] == 4 + 1 + 3 * BODY_POINTS:
        points = BODY_POINTS
    end = table.shape[1] - 3 * points
    best, ids = _best(table[:, 4 : 4 + classes] if classes else table[:, 4:end])
    keypoints = table[:, end:].reshape(-1, points, 3) if points else None
    return Candidates(from_centres(table[:, :4]), best, ids, keypoints, masks=masks)


def _yolov10(arrays: Arrays, classes: int) -> Candidates:
    table = _table(arrays)
    if table.shape[1] != 6:
        raise ValueError("six columns are needed")
    return Candidates(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def _rtmo(arrays: Arrays, classes: int) -> Candidates:
    table = _needed(_one(arrays, 3, last=5))[0]
    keypoints = next(array for array in arrays.values() if array.ndim == 4 and array.shape[3] == 3)[0]
    return Candidates(table[:, :4], table[:, 4], np.zeros(len(table), np.int64), keypoints)


def _movenet(arrays: Arrays, classes: int) -> Candidates:
    table = _table(arrays)
    if table.shape[1] != _MOVENET_WIDTH:
        raise ValueError("56 columns are needed")
    keypoints = table[:, :51].reshape(-1, 17, 3)[:, :, [1, 0, 2]]
    return Candidates(
        table[:, [52, 51, 54, 53]], table[:, 55], np.zeros(len(table), np.int64), keypoints, relative=True
    )


_READERS: Mapping[LayoutName, Callable[[Arrays, int], Candidates]] = {
    "ssd": _ssd,
    "anchors": _anchors,
    "boxes": _boxes,
    "scores": _scores,
    "detr": _detr,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "yolov10": _yolov10,
    "rtmo": _rtmo,
    "movenet": _movenet,
}


def _table(arrays: Arrays) -> Array:
    """The rows of the one tensor [1, rows, columns]."""
    table: Array = next(array for array in arrays.values() if array.ndim == 3 and array.shape[0] == 1)[0]
    return table


def _prototypes(arrays: Arrays) -> Array | None:
    """The planes [m, h, w] of a model with shapes."""
    return next((array[0] for array in arrays.values() if array.ndim == 4 and len(array) == 1 and array.size), None)


def _with_prototypes(table: Array, arrays: Arrays) -> tuple[Array, Prototypes | None]:
    """A table without the columns that weigh prototypes, and these."""
    planes = _prototypes(arrays)
    if planes is None:
        return table, None
    return table[:, : -len(planes)], Prototypes(planes, table[:, -len(planes) :])


def _best(scores: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """The highest score of each row, and its column."""
    if not scores.shape[1]:
        raise ValueError("scores of at least one class are needed")
    ids = scores.argmax(axis=1)
    return scores[np.arange(len(scores)), ids], ids.astype(np.int64)


def _one(arrays: Arrays, dimensions: int, *, last: int) -> Array | None:
    return next((array for array in arrays.values() if array.ndim == dimensions and array.shape[-1] == last), None)


def _beside(arrays: Arrays, boxes: Array) -> Array:
    """The tensor of scores for ``boxes`` [1, n, 4]."""
    alike = (array for array in arrays.values() if array.ndim == 3 and array.shape[:2] == boxes.shape[:2])
    return next(array for array in alike if array is not boxes)


def _needed(array: Array | None) -> Array:
    if array is None:
        raise ValueError("no boxes")
    return array
