"""Detections in the forms of other packages."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stream_client.errors import ConfigurationError
from stream_client.frames import Detections
from stream_client.tracking.masks import full_masks

if TYPE_CHECKING:
    import supervision


def to_coco(detections: Detections, image_id: int) -> list[dict[str, Any]]:
    """COCO's results: ``image_id``, ``category_id``, ``bbox`` (left, top, width, height in pixels), ``score``.

    Key points are ``keypoints``: x, y and 2 for each. A track is ``track_id``. A mask is ``segmentation``: compressed
    RLE, ``{"size": [height, width], "counts": "…"}``, which pycocotools reads.
    """
    rows = []
    masks = full_masks(detections)
    for index, (left, top, right, bottom) in enumerate(detections.boxes.tolist()):
        row: dict[str, Any] = {
            "image_id": image_id,
            "category_id": int(detections.class_ids[index]),
            "bbox": [left, top, right - left, bottom - top],
            "score": float(detections.scores[index]),
        }
        if detections.keypoints is not None:
            points = detections.keypoints[index].copy()
            points[:, 2] = 2
            row["keypoints"] = points.reshape(-1).tolist()
        if detections.track_ids is not None and detections.track_ids[index] >= 0:
            row["track_id"] = int(detections.track_ids[index])
        if masks is not None:
            row["segmentation"] = _rle(masks[index])
        rows.append(row)
    return rows


def to_supervision(detections: Detections) -> "supervision.Detections":
    """The ``supervision.Detections``, with ``class_name`` in its data; its ``mask`` is bool [n, height, width].

    Raises :class:`.ConfigurationError` where supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise ConfigurationError("to_supervision needs the package supervision: pip install supervision") from error
    return supervision.Detections(
        xyxy=detections.boxes,
        confidence=detections.scores,
        mask=full_masks(detections),
        class_id=detections.class_ids,
        tracker_id=detections.track_ids,
        data={"class_name": np.array([detections.name(index) for index in range(len(detections))])},
    )


def _rle(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Lengths of runs of nothing and of the thing by turns, column by column, in COCO's text of them."""
    pixels = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    runs = np.diff(changes, prepend=0, append=len(pixels)).tolist()
    counts = "".join(_text(run - runs[index - 2] if index > 2 else run) for index, run in enumerate(runs))
    return {"size": list(mask.shape), "counts": counts}


def _text(number: int) -> str:
    """Five bits a sign, the lowest first; the sixth: more follow. The highest of the last sign's five is minus."""
    signs: list[str] = []
    while True:
        low, number = number & 31, number >> 5
        if number == (-1 if low & 16 else 0):
            return "".join([*signs, chr(48 + low)])
        signs.append(chr(48 + 32 + low))
