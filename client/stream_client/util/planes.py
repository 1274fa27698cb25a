"""Brightness and color apart, as video codes them: YUV 4:2:0 of 8 bits, which has half the bytes of RGB."""

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from kserve_wire.pictures.rgb import BT601, CONVERTER_MATRICES, RgbConverter, matrix_of, threads_for
from stream_client.frames import Image, PlaneFormat, Planes

_PIXEL_FORMATS: dict[PlaneFormat, str] = {"nv12": "nv12", "i420": "yuv420p"}


class PlaneConverter:
    """Takes the planes of decoded frames. For one thread: it keeps the scaler, which is used where they are others."""

    def __init__(self, wanted: PlaneFormat) -> None:
        self._wanted = wanted
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Planes | None:
        """The frame's planes in limited range, with its own matrix; ``None`` for one of RGB or of an odd size.

        Raises :class:`OSError`, :class:`ValueError` or :class:`MemoryError` where FFmpeg cannot convert it.
        """
        if frame.format.is_rgb or frame.width % 2 or frame.height % 2:
            return None
        name = _PIXEL_FORMATS[self._wanted]
        if frame.format.name != name or frame.color_range == ColorRange.JPEG:
            threads = threads_for(frame.width, frame.height)
            frame = self._reformatter.reformat(frame, format=name, dst_color_range=ColorRange.MPEG, threads=threads)
        return Planes(self._wanted, _array(frame), matrix_of(frame))


def planes_of(image: Image, wanted: PlaneFormat) -> npt.NDArray[np.uint8]:
    """The planes of an RGB image of an even size, with the matrix of BT.601, as OpenVINO takes them."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    converted = VideoReformatter().reformat(
        frame,
        format=_PIXEL_FORMATS[wanted],
        dst_colorspace=CONVERTER_MATRICES[BT601],
        dst_color_range=ColorRange.MPEG,
        threads=threads_for(frame.width, frame.height),
    )
    return _array(converted)


def _array(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """The planes of a frame of 8 bits, one below the other."""
    return np.asarray(frame.to_ndarray(), np.uint8)


class PlaneImages:
    """Makes RGB images of planes. For one thread: it keeps the scaler."""

    def __init__(self) -> None:
        self._convert = RgbConverter()

    def __call__(self, planes: Planes) -> Image:
        """The image that they show."""
        return self._convert(planes_frame(planes))


def planes_frame(planes: Planes) -> av.VideoFrame:
    """A PyAV frame that shows the planes: a view of them."""
    array = np.ascontiguousarray(planes.array)
    frame = av.VideoFrame.from_numpy_buffer(array, format=_PIXEL_FORMATS[planes.format])
    frame.colorspace, frame.color_range = planes.matrix, ColorRange.MPEG
    return frame
