"""Detections from tensors, and tracks from detections."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream_client.tracking.bytetrack import ByteTrack
    from stream_client.tracking.formats import to_coco, to_supervision
    from stream_client.tracking.masks import full_masks
    from stream_client.tracking.options import DetectionOptions
    from stream_client.tracking.reader import DetectionReader
    from stream_client.tracking.tracker import Tracker

__all__ = ["ByteTrack", "DetectionOptions", "DetectionReader", "Tracker", "full_masks", "to_coco", "to_supervision"]

_PLACES = {
    "ByteTrack": "bytetrack",
    "DetectionOptions": "options",
    "DetectionReader": "reader",
    "Tracker": "tracker",
    "full_masks": "masks",
    "to_coco": "formats",
    "to_supervision": "formats",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of this module

    def __getattr__(name):
        """Import at first use (PEP 562): the command line's flags need the options only."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
        return value
