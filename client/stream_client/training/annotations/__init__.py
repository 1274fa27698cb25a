"""Annotations with times, as the common tools write them: one reader a format, found by content."""

from stream_client.training.annotations.read import read_annotation_file
from stream_client.training.annotations.values import Annotation, FrameSpan

__all__ = ["Annotation", "FrameSpan", "read_annotation_file"]
