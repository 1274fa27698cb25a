"""Frames to input tensors, and output tensors to images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kserve_wire.encoded import EncodedFrame, jpeg_frame, to_elements
from kserve_wire.pictures import MAX_PIXELS, ROW_ALIGNMENT
from kserve_wire.pictures.jpeg import decode_image, encode_jpeg, image_size
from kserve_wire.pictures.rgb import BT601, aligned
from stream_client.errors import BadInputError, ConfigurationError, ProtocolError
from stream_client.frames import Frame, Image, PlaneFormat, Planes, Tensor
from stream_client.transport.datatypes import DATATYPES, dtype_of
from stream_client.transport.options import Layout
from stream_client.transport.servable import Servable, TensorSpec
from stream_client.util.planes import PlaneImages, planes_of

_CHANNELS = (1, 3, 4)
_JPEG_START = b"\xff\xd8"
_IMAGE_DATATYPES = DATATYPES - {"BOOL", "INT8", "BF16"}
"""Datatypes that hold 0…255 and that NumPy knows."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """How a servable takes frames: the input's name, layout, datatype and alignment of the width.

    ``height`` and ``width`` are the model's fixed size, or ``None``. Frames for ``BYTES`` are JPEGs of ``quality``, 1
    to 95; the server aligns the width of what it decodes. With ``planes`` the tensor is uint8 [1, height * 3 / 2,
    width, 1], for a graph (``hwc``) without the first dimension; ``height`` is still that of the frame.
    """

    name: str
    layout: Layout = "hwc"
    datatype: str = "UINT8"
    alignment: int = 1
    height: int | None = None
    width: int | None = None
    quality: int = 90
    planes: PlaneFormat | None = None

    def to_tensor(self, image: Image) -> Tensor:
        """The input tensor for an RGB image: a view where nothing has to change, else one copy.

        Floating point values keep the range 0…255. Raises :class:`.BadInputError` for a size that the model
        does not take.
        """
        height, width = image.shape[:2]
        self._check_size(width, height)
        if self.planes is not None:
            if width % 2 or height % 2:
                raise BadInputError(
                    f"frames of {width}x{height} have no planes of YUV 4:2:0: sizes have to be even",
                    option="wire",
                    value="raw",
                )
            return self._of_planes(planes_of(image, self.planes))
        if self.datatype == "BYTES":
            return encoded_tensor(self.name, jpeg_frame(encode_jpeg(image, self.quality)))
        array: npt.NDArray[Any] = aligned(image, self.alignment)
        if self.layout == "nchw":
            array = array.transpose(2, 0, 1)
        if self.layout != "hwc":
            array = array[None]
        return Tensor(self.name, self.datatype, np.ascontiguousarray(array, dtype=dtype_of(self.datatype)))

    def planes_tensor(self, planes: Planes) -> Tensor:
        """The input tensor of a frame's planes: a view. Raises :class:`.BadInputError` as :meth:`to_tensor` does."""
        rows, width = planes.array.shape
        self._check_size(width, rows * 2 // 3)
        return self._of_planes(planes.array)

    def _of_planes(self, array: npt.NDArray[np.uint8]) -> Tensor:
        if array.shape[1] % self.alignment:
            raise BadInputError(
                f"a graph takes planes whose width can be divided by {self.alignment}, the source's is "
                f"{array.shape[1]}: send raw frames",
                option="wire",
                value="raw",
            )
        return Tensor(self.name, "UINT8", array[:, :, None] if self.layout == "hwc" else array[None, :, :, None])

    def returned_planes(self, answer: Tensor, frame: Frame, sent: Tensor) -> Planes | None:
        """The planes in an output tensor, a view; ``None`` where it has none, or those of a smaller frame."""
        height, width = frame.image.shape[:2]
        if self.planes is None or not self._has_planes(answer, height, width):
            return None
        own = frame.planes is not None and np.may_share_memory(sent.array, frame.planes.array)
        matrix = frame.planes.matrix if frame.planes is not None and own else BT601
        return Planes(self.planes, answer.array.reshape(height * 3 // 2, width), matrix)

    def _has_planes(self, tensor: Tensor, height: int, width: int) -> bool:
        shape = tensor.array.shape[1:] if tensor.array.ndim == 4 else tensor.array.shape
        return tensor.datatype == "UINT8" and shape == (height * 3 // 2, width, 1)

    def _check_size(self, width: int, height: int) -> None:
        if (self.height or height) != height or (self.width or width) != width:
            raise BadInputError(
                f"the model's input {self.name!r} takes images of {self.width or 'any'}x{self.height or 'any'}, "
                f"the source gives {width}x{height}: convert the source, or take a model with free dimensions"
            )

    def to_image(self, tensor: Tensor, frame: Frame) -> Image:
        """The RGB image in an output tensor, without the columns that were added as padding.

        Takes [h, w, c], [1, h, w, c] and [1, c, h, w] with 1, 3 or 4 channels, and a JPEG. Integers other than UINT8
        are clipped to 0…255; floating point is taken as 0…1 where no value is above 1, else as 0…255. A view where
        nothing has to change. Raises :class:`.ProtocolError`.
        """
        height, width = frame.image.shape[:2]
        if self.planes is not None and self._has_planes(tensor, height, width):
            planes = tensor.array.reshape(height * 3 // 2, width)
            return PlaneImages()(Planes(self.planes, planes, BT601))  # such frames were made of RGB
        array = _decoded(tensor) if is_jpeg(tensor) else tensor.array
        if array.ndim == 4 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != 3 or 0 in array.shape or array.dtype == object:
            raise ProtocolError(f"output {tensor.name!r} of shape {list(tensor.array.shape)} is not an image")
        if array.shape[2] not in _CHANNELS and array.shape[0] in _CHANNELS:
            array = array.transpose(1, 2, 0)
        if array.shape[2] not in _CHANNELS:
            raise ProtocolError(f"output {tensor.name!r} of shape {list(tensor.array.shape)} is not an image")
        if array.shape[0] * array.shape[1] > MAX_PIXELS:
            raise ProtocolError(
                f"output {tensor.name!r} is an image of {array.shape[1]}x{array.shape[0]} pixels: "
                f"{MAX_PIXELS} at most are shown"
            )
        surplus = -width % self.alignment
        if surplus and array.shape[:2] == (height, width + surplus):
            array = array[:, :width]
        if array.dtype != np.uint8:
            array = _as_uint8(array)
        if array.shape[2] == 1:
            array = np.repeat(array, 3, axis=2)
        return array[:, :, :3]

    def sent_size(self, tensor: Tensor, image: Image) -> tuple[int, int]:
        """Width and height of the frame in an input tensor, as the server sees it: with padding.

        ``image`` is the frame's own.
        """
        if tensor.datatype == "BYTES":
            width, height = image_size(tensor.array[0]) if len(tensor.array) == 1 else image.shape[1::-1]
            return width + -width % self.alignment, height
        shape = tensor.array.shape[-3:]
        height, width = shape[1:] if self.layout == "nchw" else shape[:2]
        return width, height if self.planes is None else height * 2 // 3


def encoded_tensor(name: str, frame: EncodedFrame) -> Tensor:
    """The input tensor of an encoded frame."""
    elements = to_elements(frame)
    array = np.empty(len(elements), object)
    array[:] = elements
    return Tensor(name, "BYTES", array)


def is_jpeg(tensor: Tensor) -> bool:
    """Whether a tensor of BYTES is one JPEG."""
    return tensor.datatype == "BYTES" and tensor.array.size == 1 and tensor.array.item()[:2] == _JPEG_START


def _decoded(tensor: Tensor) -> Image:
    try:
        return decode_image(tensor.array.item())
    except ValueError as error:
        raise ProtocolError(f"output {tensor.name!r}: {error}") from error


def _as_uint8(array: npt.NDArray[Any]) -> Image:
    if array.dtype.kind == "f":
        array = np.clip(np.nan_to_num(array, nan=0.0), 0, 255)
        array = array * 255 if array.max() <= 1 else array
        return np.asarray(np.rint(array), dtype=np.uint8)
    return np.asarray(np.clip(array, 0, 255), dtype=np.uint8)


def is_image(tensor: Tensor) -> bool:
    """Whether a tensor looks like an image: [h, w, c] or with a batch of one, 1, 3 or 4 channels, not tiny; or JPEG."""
    if is_jpeg(tensor):
        return True
    shape = tensor.array.shape
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 3 or tensor.datatype == "BYTES":
        return False
    return (shape[2] in _CHANNELS and min(shape[:2]) >= 8) or (shape[0] in _CHANNELS and min(shape[1:]) >= 8)


def is_scores(tensor: Tensor) -> bool:
    """Whether a tensor looks like the scores of labels: floating point, [n] or [1, n]."""
    shape = tensor.array.shape
    return tensor.datatype in ("FP32", "FP16", "FP64") and (len(shape) == 1 or (len(shape) == 2 and shape[0] == 1))


def image_format(
    servable: Servable, *, input_name: str | None, layout: Layout | None, datatype: str | None
) -> ImageFormat:
    """How ``servable`` takes frames. Its metadata decides what the arguments leave open.

    Raises :class:`.BadInputError` for an input it does not have, :class:`.ConfigurationError` where the input
    has to be named.
    """
    spec = _input(servable, input_name)
    if datatype is not None and datatype not in _IMAGE_DATATYPES:
        raise ConfigurationError(
            f"{datatype!r} is not a datatype for images: {', '.join(sorted(_IMAGE_DATATYPES))}",
            option="input_dtype",
        )
    if datatype is None and spec.datatype in ("BOOL", "INT8", "BF16", "BYTES"):
        raise BadInputError(
            f"the input {spec.name!r} of {servable.name!r} takes {spec.datatype}, which holds no image of 0…255: "
            "serve a model with a UINT8 or floating-point input"
        )
    if servable.is_graph:
        return ImageFormat(spec.name, layout or "hwc", datatype or "UINT8", alignment=ROW_ALIGNMENT)
    if spec.datatype == "UINT8" and len(spec.shape) == 4 and spec.shape[3] == 1:
        raise BadInputError(
            f"the input {spec.name!r} of {servable.name!r} takes one channel: planes, where the server's color_format "
            "says NV12 or I420, and else no frames",
            option="wire",
            value="nv12",
        )
    known = spec.datatype if spec.datatype in DATATYPES else "UINT8"
    chosen = layout or _layout(spec)
    height, width = _fixed_size(spec, chosen)
    return ImageFormat(spec.name, chosen, datatype or known, height=height, width=width)


def plane_format(servable: Servable, planes: PlaneFormat, *, input_name: str | None) -> ImageFormat:
    """How a model or graph takes planes. A model's metadata says whether it takes any, but not in which order.

    A graph's says neither. Those that are known to take RGB are refused.

    Raises :class:`.BadInputError` for one that takes none, and what :func:`image_format` raises.
    """
    spec = _input(servable, input_name)
    if servable.is_graph and not servable.takes_rgb:
        return ImageFormat(spec.name, alignment=ROW_ALIGNMENT, planes=planes)
    free = not spec.shape and not servable.is_graph
    if not free and (spec.datatype != "UINT8" or len(spec.shape) != 4 or spec.shape[3] != 1):
        form = "images of RGB" if servable.is_graph else f"{spec.datatype} {list(spec.shape)}"
        raise BadInputError(
            f"the input {spec.name!r} of {servable.name!r} takes {form} and no planes: serve a model with color_format "
            f"RGB:{planes.upper()}, layout NHWC:NCHW and precision uint8:fp32, or send raw frames",
            option="wire",
            value="raw",
        )
    rows, width = spec.shape[1:3] if spec.shape else (-1, -1)
    return ImageFormat(
        spec.name,
        "nhwc",
        height=rows * 2 // 3 if rows > 0 else None,
        width=width if width > 0 else None,
        planes=planes,
    )


def _input(servable: Servable, name: str | None) -> TensorSpec:
    inputs = servable.frame_inputs
    names = [spec.name for spec in inputs]
    if name is None:
        if len(names) == 1:
            return inputs[0]
        if not names:
            raise ConfigurationError(f"{servable.name!r} does not describe its inputs: name it", option="input_name")
        raise ConfigurationError(
            f"{servable.name!r} has several inputs, {', '.join(names)}: name one", option="input_name"
        )
    for spec in inputs:
        if spec.name == name:
            return spec
    if names:
        raise BadInputError(f"{servable.name!r} has no input {name!r}, only {', '.join(names)}", option="input_name")
    return TensorSpec(name, "", ())


def _layout(spec: TensorSpec) -> Layout:
    if len(spec.shape) != 4:
        return "hwc"
    return "nchw" if spec.shape[1] in _CHANNELS and spec.shape[3] not in _CHANNELS else "nhwc"


def _fixed_size(spec: TensorSpec, layout: Layout) -> tuple[int | None, int | None]:
    rank = {"hwc": 3, "nhwc": 4, "nchw": 4}[layout]
    if len(spec.shape) != rank:
        return None, None
    first = {"hwc": 0, "nhwc": 1, "nchw": 2}[layout]
    height, width = spec.shape[first : first + 2]
    return (height if height > 0 else None), (width if width > 0 else None)
