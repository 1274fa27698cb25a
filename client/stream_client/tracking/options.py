"""How detections are read, as a value."""

from dataclasses import dataclass, field
from typing import Literal

from stream_client.util.settings import check, setting

LayoutName = Literal[
    "auto", "ssd", "anchors", "boxes", "scores", "yolov5", "yolov8", "yolov10", "detr", "rtmo", "movenet"
]
Fit = Literal["letterbox", "stretch"]
TrackerName = Literal["bytetrack", "none"]


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Thresholds of detections, and how a model's tensors are read.

    ``max_candidates`` bounds what enters the suppression of overlapping boxes, ``max_detections`` what leaves it.
    ``fit`` is how a frame gets the size of a model that takes one size only: with its aspect, on gray, or stretched.
    """

    detections: LayoutName | None = field(
        default=None,
        metadata=setting(
            "read detections from the model's tensors: auto, or their layout (see docs)", otherwise="no detections"
        ),
    )
    confidence: float = field(default=0.4, metadata=setting("least score of a detection", minimum=0, maximum=1))
    iou_threshold: float = field(
        default=0.3, metadata=setting("overlap above which the weaker of two boxes goes", minimum=0, maximum=1)
    )
    class_agnostic_nms: bool = field(default=False, metadata=setting("let boxes of other classes count, too"))
    max_candidates: int = field(default=3000, metadata=setting("boxes that are compared at most", minimum=1))
    max_detections: int = field(default=300, metadata=setting("detections in a frame at most", minimum=1))
    fit: Fit = field(default="letterbox", metadata=setting("how a frame gets the size of a model of one size"))
    tracker: TrackerName = field(default="none", metadata=setting("follow detections from frame to frame"))

    def __post_init__(self) -> None:
        check(self)
