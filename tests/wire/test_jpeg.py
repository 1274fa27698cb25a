import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from kserve_wire.pictures.jpeg import decode_image
from tests.support.video import picture


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    PillowImage.fromarray(picture(3)).save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


def test_png_and_jpeg_are_decoded() -> None:
    np.testing.assert_array_equal(decode_image(encoded("PNG")), picture(3))
    assert abs(decode_image(encoded("JPEG")).astype(int) - picture(3)).mean() < 12


@pytest.mark.parametrize("data", [b"", b"nothing", encoded("BMP"), encoded("JPEG")[:50], encoded("PNG")[:60]])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a JPEG or PNG"):
        decode_image(data)


def test_a_huge_image_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ValueError, match="64x48 pixels is too large"):
        decode_image(encoded("PNG"), 64 * 48 - 1)
