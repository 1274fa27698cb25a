"""Detections in the forms of other packages."""

from typing import TYPE_CHECKING, Any

import numpy as np

from stream_client.errors import ConfigurationError
from stream_client.frames import Detections

if TYPE_CHECKING:
    import supervision


def to_coco(detections: Detections, image_id: int) -> list[dict[str, Any]]:
    """COCO's results: ``image_id``, ``category_id``, ``bbox`` (left, top, width, height in pixels), ``score``.

    Key points are ``keypoints``: x, y and 2 for each. A track is ``track_id``.
    """
    rows = []
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
        rows.append(row)
    return rows


def to_supervision(detections: Detections) -> "supervision.Detections":
    """The ``supervision.Detections``, with ``class_name`` in its data.

    Raises :class:`.ConfigurationError` where supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise ConfigurationError("to_supervision needs the package supervision: pip install supervision") from error
    return supervision.Detections(
        xyxy=detections.boxes,
        confidence=detections.scores,
        class_id=detections.class_ids,
        tracker_id=detections.track_ids,
        data={"class_name": np.array([detections.name(index) for index in range(len(detections))])},
    )
