"""Pictures of encoded frames: those that FFmpeg decodes of the whole stream, in requests of their own."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import numpy.typing as npt
import pytest

from kserve_wire.encoded import AccessUnit, EncodedFrame, jpeg_frame
from kserve_wire.pictures.decoder import PictureDecoder
from kserve_wire.pictures.jpeg import decode_image, encode_jpeg
from kserve_wire.pictures.rgb import RgbConverter, aligned
from tests.support.video import picture

Image = npt.NDArray[np.uint8]
FRAMES, KEY_EVERY = 24, 8


def stream_of(b_frames: int) -> tuple[list[AccessUnit], dict[int, Image]]:
    """Access units in decoding order, and the picture of each by its number."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.options = {"bf": str(b_frames), "g": str(KEY_EVERY), "b_strategy": "0", "x264-params": "scenecut=0"}
    frames = []
    for index in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
        frame.pts = index
        frames.append(frame)
    packets = [packet for frame in [*frames, None] for packet in encoder.encode(frame)]
    units = [AccessUnit(number, bytes(packet)) for number, packet in enumerate(packets)]
    shown = {packet.pts: number for number, packet in enumerate(packets)}
    decoder, to_rgb = av.CodecContext.create("h264", "r"), RgbConverter()
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return units, {shown[frame.pts]: to_rgb(frame).copy() for frame in decoded}


def requests(units: list[AccessUnit], numbers: list[int]) -> list[EncodedFrame]:
    """A request for each picture, as they are shown: with three more access units than pictures, none at the end."""
    ahead = 3
    units = [*units, AccessUnit(len(units), b"")]
    cuts = [0, *(min(place + ahead + 1, len(units)) for place in range(len(numbers)))]
    parts = [tuple(units[start:end]) for start, end in pairwise(cuts)]
    return [EncodedFrame("h264", part, number) for part, number in zip(parts, numbers, strict=True)]


@pytest.mark.parametrize("b_frames", [0, 3])
def test_each_picture_is_found_by_its_number(b_frames: int) -> None:
    units, pictures = stream_of(b_frames)
    assert len(pictures) == FRAMES
    decoder = PictureDecoder()
    asked = requests(units, list(pictures))
    assert not asked[-1].units
    for request, expected in zip(asked, pictures.values(), strict=True):
        np.testing.assert_array_equal(decoder.picture(request), expected)


def test_what_comes_before_a_key_frame_is_left_out() -> None:
    units, pictures = stream_of(0)
    decoder = PictureDecoder()
    found = [decoder.picture(EncodedFrame("h264", (unit,), unit.number)) for unit in units[3:]]
    assert [image is None for image in found] == [unit.number < KEY_EVERY for unit in units[3:]]
    np.testing.assert_array_equal(found[-1], pictures[FRAMES - 1])


def test_a_stream_goes_on_after_its_end_and_after_damage() -> None:
    units, pictures = stream_of(0)
    decoder = PictureDecoder()
    assert decoder.picture(EncodedFrame("h264", tuple(units[:3]), 2)) is not None
    assert decoder.picture(EncodedFrame("h264", (AccessUnit(3, b""),), 5)) is None
    assert decoder.picture(EncodedFrame("h264", (units[5],), 5)) is None
    damaged = AccessUnit(7, b"\x00\x00\x01\x41" + bytes(range(200)))
    found = decoder.picture(EncodedFrame("h264", (units[8], units[9], damaged, units[16]), 16))
    np.testing.assert_array_equal(found, pictures[16])


def test_pictures_that_nobody_wants_are_not_kept() -> None:
    units, _ = stream_of(0)
    decoder = PictureDecoder()
    decoder.take(EncodedFrame("h264", tuple(units[:-1]), 0))
    assert decoder.picture(EncodedFrame("h264", (units[-1],), FRAMES - 1)) is not None
    assert decoder.picture(EncodedFrame("h264", (units[8],), 2)) is None


def test_too_many_pixels_are_refused() -> None:
    units, _ = stream_of(0)
    with pytest.raises(ValueError, match="64x48 are too large"):
        PictureDecoder(64 * 48 - 1).picture(EncodedFrame("h264", (units[0],), 0))
    with pytest.raises(ValueError, match="too large"):
        PictureDecoder(64 * 48 - 1).picture(jpeg_frame(encode_jpeg(picture(0))))


def test_a_jpeg_is_a_picture() -> None:
    data = encode_jpeg(picture(5), 95)
    np.testing.assert_array_equal(PictureDecoder().picture(jpeg_frame(data)), decode_image(data))


@pytest.mark.parametrize(("width", "padded"), [(64, 64), (65, 80), (1, 16)])
def test_widths_become_multiples_of_16(width: int, padded: int) -> None:
    image = picture(1, width, 4)
    found = aligned(image)
    assert found.shape == (4, padded, 3)
    np.testing.assert_array_equal(found[:, :width], image)
    assert (found[:, width:] == image[:, -1:]).all()
