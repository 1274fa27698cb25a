"""What encoders of live video declare, and whether it is true."""

from fractions import Fraction

import av
import numpy as np
import pytest

from stream_client.frames import Color, PlaneFormat, Planes
from stream_client.publishing.encoder import Encoder, PyavEncoder
from stream_client.publishing.ffmpeg_encoder import FfmpegEncoder
from stream_client.publishing.wire import VideoTrack
from stream_client.util.media import ImageShape, RgbImages, YuvFrames

RED = (192, 32, 64)


@pytest.mark.parametrize("make", [PyavEncoder, FfmpegEncoder])
@pytest.mark.parametrize("color", [Color(1, 1, 1), Color(6, 2, 2), Color(5, 5, 6), Color(9, 9, 14)])
def test_live_video_declares_its_color_and_pixels(make: type[PyavEncoder | FfmpegEncoder], color: Color) -> None:
    shape = ImageShape(64, 48, Fraction(16, 11), color)
    encoder: Encoder = make(VideoTrack(shape, Fraction(30)))
    image = np.full((48, 64, 3), RED, np.uint8)
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    try:
        units = [unit for index in range(20) for unit in encoder.encode(image, 3000 * index, key=index == 0)]
    finally:
        encoder.close()
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    assert decoder.sample_aspect_ratio == Fraction(16, 11)
    assert (frames[0].colorspace, frames[0].color_range) == (color.matrix, 1)
    assert (frames[0].color_primaries, frames[0].color_trc) == (color.primaries, color.transfer)
    decoded = RgbImages()(frames[-1])
    assert decoded is not None
    assert np.abs(decoded.reshape(-1, 3).mean(axis=0) - RED).max() < 6


@pytest.mark.parametrize("make", [PyavEncoder, FfmpegEncoder])
@pytest.mark.parametrize("pixels", ["nv12", "i420"])
@pytest.mark.parametrize("matrix", [1, 6])
def test_planes_keep_their_color(make: type[PyavEncoder | FfmpegEncoder], pixels: PlaneFormat, matrix: int) -> None:
    encoder: Encoder = make(VideoTrack(ImageShape(64, 48, Fraction(1), Color(1, 1, 1)), Fraction(30)))
    frame = YuvFrames()(np.full((48, 64, 3), RED, np.uint8), matrix)
    array = np.asarray(frame.reformat(format={"i420": "yuv420p"}.get(pixels, pixels)).to_ndarray(), np.uint8)
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    try:
        given = [encoder.encode(Planes(pixels, array, matrix), 3000 * index, key=not index) for index in range(20)]
    finally:
        encoder.close()
    decoded = RgbImages()([frame for units in given for unit in units for frame in decoder.decode(av.Packet(unit))][-1])
    assert decoded is not None
    assert np.abs(decoded.reshape(-1, 3).mean(axis=0) - RED).max() < 6
