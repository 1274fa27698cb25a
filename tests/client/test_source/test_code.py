"""The code in a picture."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from stream_client.test_source.code import MIN_HEIGHT, MIN_WIDTH, CodePainter, FrameCode, read_code
from stream_client.test_source.pattern import TestPattern
from tests.support.video import rgb

SIZES = [(MIN_WIDTH, MIN_HEIGHT), (640, 360), (641, 361), (1080, 1920)]


@given(
    index=st.integers(0, 2**32 - 1),
    time=st.integers(0, 2**64 - 1),
    width=st.integers(MIN_WIDTH, 400),
    height=st.integers(MIN_HEIGHT, 400),
)
def test_what_is_painted_is_read(index: int, time: int, width: int, height: int) -> None:
    image = np.full((height, width, 3), 90, np.uint8)
    CodePainter(width, height).paint(image, FrameCode(index, time))
    assert read_code(image) == FrameCode(index, time)
    assert read_code(image[:, :, 0]) == FrameCode(index, time)


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_picture_without_a_code_has_none(value: int) -> None:
    assert read_code(np.full((360, 640, 3), value, np.uint8)) is None


def test_a_damaged_code_is_not_read() -> None:
    image = TestPattern(640, 360).paint(FrameCode(7, 1_700_000_000_000_000))
    image[180:200, 64:96] = 255 - image[180:200, 64:96]
    assert read_code(image) is None


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_codes_survive_h264_at_its_worst_usual_quality(width: int, height: int) -> None:
    pattern = TestPattern(width, height)
    codes = [FrameCode(index, 1_700_000_000_000_000 + 33_333 * index) for index in range(12)]
    buffer = BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "40", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        for index, code in enumerate(codes):
            image = np.pad(pattern.paint(code), ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        assert [read_code(rgb(frame)) for frame in container.decode(video=0)] == codes


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (500, 500)])
def test_codes_survive_scaling(size: tuple[int, int]) -> None:
    code = FrameCode(123, 1_700_000_000_000_000)
    scaled = PillowImage.fromarray(TestPattern(640, 360).paint(code)).resize(size)
    assert read_code(np.asarray(scaled)) == code
