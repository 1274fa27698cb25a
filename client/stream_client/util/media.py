"""PyAV frames and RGB arrays, and the conversion between them."""

import logging
import mmap
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from kserve_wire.pictures.rgb import CONVERTER_MATRICES, RgbConverter, threads_for
from stream_client.frames import Color, Image, Planes, StreamInfo
from stream_client.util.color import SDR, color_of, written_color
from stream_client.util.decoder import Decoder
from stream_client.util.orientation import Orientation, orientation
from stream_client.util.planes import planes_frame
from stream_client.util.tone_mapper import ToneMapper

logger = logging.getLogger(__name__)

_WIDEST_PIXEL = Fraction(8)
"""A larger ratio is damage, and would take the memory of a frame that is no frame."""


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How video becomes images. ``square_pixels``: wide or narrow pixels are made square by changing the width.

    ``tone_map``: HDR becomes SDR. ``decoder``: what decodes, see :mod:`.hardware`.
    """

    square_pixels: bool = False
    tone_map: bool = False
    decoder: Decoder = "software"


@dataclass(frozen=True, slots=True)
class ImageShape:
    """What the images of a stream are like; as in :class:`~stream_client.frames.StreamInfo`."""

    width: int
    height: int
    sample_aspect_ratio: Fraction
    color: Color


class RgbImages:
    """Makes a stream's images: upright, RGB. For one thread.

    ``sample_aspect_ratio`` is that of the decoder, which PyAV does not give with the frame; ``None`` or 0 is unknown.
    """

    def __init__(self, options: ImageOptions | None = None) -> None:
        self._options = options or ImageOptions()
        self._convert = RgbConverter()
        self._tone_map = ToneMapper()
        self.skipped = 0
        """How many frames could not be converted."""
        self.last_error: str | None = None
        """Why not, of the last one."""

    def shape(self, frame: av.VideoFrame, sample_aspect_ratio: Fraction | None = None) -> ImageShape:
        """What the images of the frame's stream are like."""
        turn = orientation(frame)
        width, height = turn.size(self._width(frame, sample_aspect_ratio), frame.height)
        aspect = Fraction(1) if self._options.square_pixels else sample_aspect_ratio or Fraction(1)
        color = color_of(frame)
        mapped = self._options.tone_map and color.hdr
        return ImageShape(width, height, 1 / aspect if turn.transposed else aspect, SDR if mapped else color)

    def __call__(self, frame: av.VideoFrame, sample_aspect_ratio: Fraction | None = None) -> Image | None:
        """The frame's image: a view on FFmpeg's own buffer unless the frame is turned.

        FFmpeg converts straight into the buffer that the array shows, and the array keeps it alive. ``None``, counted
        and said once, for a frame that FFmpeg cannot convert: its matrix is unknown to it, or damage made it absurd.
        """
        try:
            image = self._rgb(frame, self._width(frame, sample_aspect_ratio))
        except (OSError, av.error.FFmpegError, ValueError, MemoryError) as error:
            self.skipped += 1
            self.last_error = str(getattr(error, "strerror", None) or error)
            if self.skipped == 1:
                logger.warning(
                    "a frame cannot be converted and is skipped, as will be those like it: %s (%s, matrix %d)",
                    *(self.last_error, frame.format.name, frame.colorspace),
                )
            return None
        return orientation(frame).upright(image)

    def changes(self, frame: av.VideoFrame, sample_aspect_ratio: Fraction | None = None) -> bool:
        """Whether the image is more than the frame in RGB: turned, of another width, or tone-mapped."""
        mapped = self._options.tone_map and bool(color_of(frame).hdr)
        return mapped or orientation(frame) != Orientation() or self._width(frame, sample_aspect_ratio) != frame.width

    def _rgb(self, frame: av.VideoFrame, width: int) -> Image:
        if self._options.tone_map and color_of(frame).hdr:
            frame = self._tone_map(frame)
        return self._convert(frame, width)

    def _width(self, frame: av.VideoFrame, sample_aspect_ratio: Fraction | None) -> int:
        if not self._options.square_pixels or not sample_aspect_ratio:
            return frame.width
        return max(1, round(frame.width * min(sample_aspect_ratio, _WIDEST_PIXEL)))


def written_shape(info: StreamInfo, image: Image) -> ImageShape:
    """How to write images like this one of a stream: in even sizes, with the stream's pixels and color.

    A server may answer with images of another size. Their pixels are taken for square.
    """
    height, width = image.shape[:2]
    aspect = info.sample_aspect_ratio if (width, height) == (info.width, info.height) else Fraction(1)
    return ImageShape(width + width % 2, height + height % 2, aspect, written_color(info.color, width, height))


def declare(context: av.VideoCodecContext, shape: ImageShape) -> None:
    """Let an encoder write what :func:`written_shape` says."""
    context.width, context.height, context.pix_fmt = shape.width, shape.height, "yuv420p"
    context.sample_aspect_ratio = shape.sample_aspect_ratio
    context.colorspace, context.color_range = shape.color.matrix, ColorRange.MPEG
    context.color_primaries, context.color_trc = shape.color.primaries, shape.color.transfer


_AREA_OF_ALL = Interpolation.AREA.value | 0x4000
"""Chroma is the mean of four pixels, and FFmpeg (SWS_FULL_CHR_H_INP) converts each of them by vector instructions.

RGB to yuv420p is 1 dB closer to frames with landmarks than by ``POINT``, in 0.8 of the time.
"""
_READ_BEYOND = 128
"""Bytes. FFmpeg's converters read on behind the last pixel of RGB: 44 bytes with AVX2."""


def rgb_frame(image: Image) -> av.VideoFrame:
    """A PyAV frame that shows the image: a view of it, if more memory follows in its last page."""
    image = np.ascontiguousarray(image)
    end = image.ctypes.data + image.nbytes
    if -end % mmap.PAGESIZE < _READ_BEYOND:
        return av.VideoFrame.from_ndarray(image, format="rgb24")
    return av.VideoFrame.from_numpy_buffer(image, format="rgb24")


class YuvFrames:
    """Makes PyAV frames in yuv420p, limited range, from images or planes. For one thread.

    It keeps the scaler, as :class:`~kserve_wire.pictures.rgb.RgbConverter` does.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: Image | Planes, matrix: int) -> av.VideoFrame:
        """A PyAV frame without a timestamp: a view of I420 with that matrix, which is as in :class:`.Color`.

        The size of an image must be even.
        """
        wanted = CONVERTER_MATRICES[matrix]
        if isinstance(picture, Planes):
            frame = planes_frame(picture)
            if picture.format == "i420" and CONVERTER_MATRICES.get(picture.matrix) == wanted:
                return frame
        else:
            frame = rgb_frame(picture)
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=wanted,
            dst_color_range=ColorRange.MPEG,
            interpolation=_AREA_OF_ALL,
            threads=threads_for(frame.width, frame.height),
        )


def even(image: Image) -> Image:
    """yuv420p needs even sizes: an odd last row or column is repeated."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
