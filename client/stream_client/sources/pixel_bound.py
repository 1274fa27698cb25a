"""Frames of too many pixels are refused before they are decoded: a few kilobytes may become gigabytes."""

import logging

import av

from kserve_wire.pictures import MAX_PIXELS
from stream_client.errors import SourceCodecError

logger = logging.getLogger(__name__)

DECODER_OPTIONS = {"max_pixels": str(MAX_PIXELS)}
"""For FFmpeg's decoders, also for those that look into a stream while it is opened."""


def too_large(decoder: av.VideoCodecContext) -> str:
    """What is wrong with the size that the stream declares; empty where nothing is."""
    width, height = decoder.width, decoder.height
    return f"frames of {width}x{height} have more than {MAX_PIXELS} pixels" if width * height > MAX_PIXELS else ""


def bound(decoder: av.VideoCodecContext, name: str) -> None:
    """Set the bound; raises :class:`.SourceCodecError` where the stream ``name`` declares a size above it."""
    if problem := too_large(decoder):
        raise SourceCodecError(f"{name}: {problem}, the most that are decoded: scale it down", option="source")
    decoder.options = decoder.options | DECODER_OPTIONS


class Refusals:
    """Says once that frames of a live stream are refused for their size. ``name`` is for the message."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said = False

    def damaged(self, decoder: av.VideoCodecContext) -> None:
        """A packet could not be decoded."""
        if not self._said and (problem := too_large(decoder)):
            self._said = True
            logger.warning("%s: %s: they are skipped", self._name, problem)
