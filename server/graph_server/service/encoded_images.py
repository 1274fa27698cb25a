"""Encoded images as the input of a model, which OVMS decodes and makes as large as the model wants.

Source: src/tensor_conversion.hpp, src/tensor_conversion_common.cpp, src/kfs_frontend/validation.cpp.
"""

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from graph_server.models.description import TensorInfo
from graph_server.models.preparation import last_line
from graph_server.service.status import Refusal, UnmappedRefusal
from graph_server.service.texts import texts_of
from kserve_wire.datatypes import DTYPES
from kserve_wire.messages import ModelInferRequest

MOST_PIXELS = 1 << 24
"""More are not decoded for a request: a few kilobytes may hold an image of any size. OVMS has OpenCV's 2**30."""


def images_in(info: TensorInfo, item: ModelInferRequest.InferInputTensor, raw: memoryview | None) -> list[bytes]:
    """The encoded images of an input for ``info``, with OVMS's checks; raises :class:`Refusal`."""
    where = f"input name: input name: {info.name}"
    encoded = texts_of(item, raw)
    if len(info.shape) != 4:
        raise UnmappedRefusal("Functionality not implemented")
    if len(item.shape) != 1:
        details = f"Expected number of input shape dimensions: 1; Actual: {len(item.shape)}; {where}"
        raise Refusal("Invalid number of shape dimensions", details)
    if item.shape[0] != len(encoded):
        raise Refusal("Invalid input batch size")
    if info.shape[0] not in (-1, len(encoded)):
        # OVMS names the number of typed contents, also where there are none.
        details = f"Expected: {info.shape[0]}; Actual: {len(item.contents.bytes_contents)}; {where}"
        raise Refusal("Invalid input batch size", details)
    return encoded


def decoded(info: TensorInfo, encoded: Sequence[bytes]) -> npt.NDArray[Any]:
    """The tensor [n, height, width, channels] of images, BGR as OpenCV reads them; raises :class:`Refusal`.

    They are made as large as the model's input where the configuration says that its layout is NHWC.
    """
    layout = info.layout
    if layout not in ("", "NHWC"):
        raise Refusal("Received binary image input but resource not configured to accept NHWC layout")
    dtype, (_, height, width, channels) = DTYPES[info.datatype], info.shape
    resizable = layout == "NHWC" and -1 not in info.shape
    images: list[npt.NDArray[Any]] = []
    left = MOST_PIXELS
    for data in encoded:
        image = _pixels(data, left)
        left -= image.shape[0] * image.shape[1]
        if images and not resizable and image.shape[:2] != images[0].shape[:2]:
            raise Refusal("Binary input images for this endpoint are required to have the same resolution")
        if image.shape[2] not in ((channels,) if channels != -1 else (images or [image])[0].shape[2:]):
            raise Refusal("Invalid number of channels in binary input")
        size = tuple(own if wanted == -1 else wanted for wanted, own in zip((height, width), image.shape, strict=False))
        image = _cast(image, dtype)
        if image.shape[:2] != size:
            if not resizable:
                raise Refusal("Invalid input shape")
            try:
                image = cv2.resize(image, size[::-1]).reshape(*size, -1)
            except cv2.error as error:  # half floats and large integers
                raise UnmappedRefusal("Image parsing failed", last_line(error)) from error
        images.append(image)
    return np.stack(images)


def _pixels(data: bytes, most: int) -> npt.NDArray[Any]:
    """Pixels [height, width, channels]; raises :class:`Refusal`."""
    from PIL import Image  # which takes time to load, and few send encoded images

    try:
        with Image.open(io.BytesIO(data)) as image_file:
            width, height = image_file.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UnmappedRefusal("Image parsing failed") from error
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if width * height <= most else None
    if image is None:
        raise UnmappedRefusal("Image parsing failed")
    return image.reshape(*image.shape[:2], -1)


def _cast(image: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Other numbers for the same values; integers are cut to the range, as OpenCV cuts them."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        image = image.clip(max(0, limits.min), limits.max)
    return image.astype(dtype, copy=False)
