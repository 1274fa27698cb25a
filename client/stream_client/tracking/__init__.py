"""Detections from tensors, and tracks from detections."""

from stream_client.tracking.bytetrack import ByteTrack
from stream_client.tracking.formats import to_coco, to_supervision
from stream_client.tracking.options import DetectionOptions
from stream_client.tracking.reader import DetectionReader
from stream_client.tracking.tracker import Tracker

__all__ = ["ByteTrack", "DetectionOptions", "DetectionReader", "Tracker", "to_coco", "to_supervision"]
