"""Encoded frames to pictures, on the server and on the client alike."""

from collections import deque
from contextlib import suppress
from typing import Any

import av
import av.error

from kserve_wire.encoded import JPEG, MOST_HELD, EncodedFrame
from kserve_wire.pictures import MAX_PIXELS
from kserve_wire.pictures.jpeg import decode_image
from kserve_wire.pictures.rgb import Image, RgbConverter


class PictureDecoder:
    """Decodes the encoded frames of one stream, in order. For one thread.

    A stream of H.264 begins at a key frame: what comes before it is left out. Pictures of more than ``max_pixels`` are
    refused before they are decoded.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._h264 = H264Decoder(max_pixels)
        self._to_rgb = RgbConverter()

    def picture(self, frame: EncodedFrame) -> Image | None:
        """RGB, uint8 [height, width, 3]. ``None`` where the wanted picture of H.264 cannot be decoded.

        Raises :class:`ValueError` for what is no JPEG, or a picture of too many pixels.
        """
        if frame.codec == JPEG:
            return decode_image(frame.units[0].data, self._max_pixels)
        self._h264.take(frame)
        decoded = self._h264.give(frame.wanted)
        try:
            return None if decoded is None else self._to_rgb(decoded)
        except (OSError, MemoryError):  # damage made it absurd
            return None

    def take(self, frame: EncodedFrame) -> None:
        """Decode a frame whose picture nobody wants, for those that are made from it."""
        if frame.codec != JPEG:
            self._h264.take(frame)


class H264Decoder:
    """Decodes access units, and finds pictures by the number of their access unit."""

    WAITING = MOST_HELD + 1
    """Pictures that may wait for their request."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._context: av.VideoCodecContext | None = None
        self._pictures: deque[av.VideoFrame] = deque(maxlen=self.WAITING)
        self._last = -1

    def take(self, frame: EncodedFrame) -> None:
        """Decode a frame's access units. Raises :class:`ValueError` for pictures of too many pixels."""
        for unit in frame.units:
            if unit.is_key and unit.number <= self._last:  # the numbers begin anew: another stream
                self._context = None
                self._pictures.clear()
            if self._context is None:
                if not unit.is_key:
                    continue
                self._context = new_decoder(self._max_pixels, frame.held)
            self._last = unit.number
            if not unit.data:
                self._decode(None)
                self._context = None
                continue
            packet = av.Packet(unit.data)
            packet.pts = unit.number
            self._decode(packet)

    def give(self, number: int) -> av.VideoFrame | None:
        """The picture of that access unit; those before it are forgotten. ``None`` where it has not come out."""
        if all(picture.pts != number for picture in self._pictures):
            return None
        while (picture := self._pictures.popleft()).pts != number:
            pass
        return picture

    def _decode(self, packet: "av.Packet[Any] | None") -> None:
        context = self._context
        if context is None:
            return
        with suppress(av.error.FFmpegError):  # damaged: the stream goes on
            self._pictures.extend(context.decode(packet))
        if context.width * context.height > self._max_pixels:
            raise ValueError(f"pictures of {context.width}x{context.height} are too large to decode")


def new_decoder(max_pixels: int, held: int = 0) -> av.VideoCodecContext:
    """A decoder of H.264 in Annex B's form that holds back ``held`` pictures, or more where the stream says so.

    A thread a frame would hold back as many more, so it has none.
    """
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_type = "SLICE"
    if held and hasattr(context, "reorder_depth"):  # PyAV 18; others learn it from the stream
        context.reorder_depth = held
    context.options = {"max_pixels": str(max_pixels)}
    return context
