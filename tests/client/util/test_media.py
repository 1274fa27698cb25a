"""Decoded frames as they were meant: upright, in their colors, with their pixels' shape."""

import itertools
import mmap
import subprocess
import threading
import time
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from stream_client import StreamClient
from stream_client.errors import SourceCodecError
from stream_client.frames import Color, Frame, Image, Planes, Result, StreamInfo
from stream_client.sinks.video_file import FileSink
from stream_client.sources.feed import FeedFrame, FeedProperties, LiveInput
from stream_client.sources.file import FileSource
from stream_client.sources.live import LiveSource
from stream_client.sources.reconnecting import ReconnectingSource
from stream_client.util.color import WRITTEN_MATRICES
from stream_client.util.media import ImageOptions, RgbImages, YuvFrames, rgb_frame
from stream_client.util.tone_mapper import HLG, PQ, to_sdr
from tests.support.video import picture, write_video

RED = (192, 32, 64)


bt2020 = pytest.mark.skipif(9 not in WRITTEN_MATRICES, reason="PyAV 17 cannot convert to BT.2020")


def first_frame(path: Path, images: ImageOptions | None = None) -> tuple[StreamInfo, Frame]:
    source = FileSource(path, images=images)
    info = source.open()
    frame = source.read()
    source.close()
    assert frame is not None
    assert frame.image.shape == (info.height, info.width, 3)
    return info, frame


def write_frames(path: Path, frames: Sequence[av.VideoFrame], **declared: object) -> Path:
    """A video of YUV frames whose codec context has the attributes of ``declared``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        for name, value in declared.items():
            setattr(stream.codec_context, name, value)
        stream.options = {"crf": "1", "preset": "ultrafast"}
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def plain(width: int, height: int, matrix: int, format: str = "yuv420p") -> av.VideoFrame:
    """A red frame, made with a matrix that it does not declare."""
    image = np.full((height, width, 3), RED, np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    made = frame.reformat(format=format, dst_colorspace=matrix, dst_color_range=1)
    made.colorspace = 2
    return made


def rewrite(path: Path, name: str, **options: object) -> Path:
    """A copy of a video with other values in its H.264 headers, by FFmpeg's filter h264_metadata."""
    changed = path.with_name(name)
    values = ":".join(f"{key}={value}" for key, value in options.items())
    copy = ("-c", "copy", "-bsf:v", f"h264_metadata={values}")
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, *copy, changed], check=True)
    return changed


def color_difference(image: Image, color: Sequence[float]) -> float:
    return float(np.abs(image.reshape(-1, 3).mean(axis=0) - color).max())


@pytest.mark.parametrize("matrix", list(itertools.product((1, -1), (1, -1), (False, True))))
def test_frames_that_are_turned_or_mirrored_stand_as_in_ffmpeg(matrix: tuple[int, int, bool], tmp_path: Path) -> None:
    x, y, transposed = matrix
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_matrix(
            (0, y << 16, 0, x << 16, 0, 0, 0, 0, 1 << 30)
            if transposed
            else (x << 16, 0, 0, 0, y << 16, 0, 0, 0, 1 << 30)
        )
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    expected = tmp_path / "expected.png"
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", expected], check=True)
    with av.open(str(expected)) as container:
        upright = next(container.decode(video=0)).to_ndarray(format="rgb24")
    _, frame = first_frame(path)
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(("width", "height", "matrix"), [(1280, 720, 1), (720, 1280, 1), (720, 576, 5), (640, 480, 5)])
def test_undeclared_colors_are_bt709_for_hd_and_bt601_for_smaller_frames(
    width: int, height: int, matrix: int, tmp_path: Path
) -> None:
    path = write_frames(tmp_path / "red.mp4", [plain(width, height, matrix)])
    _, frame = first_frame(path)
    assert color_difference(frame.image, RED) < 5


@pytest.mark.parametrize(
    ("width", "height", "space"), [(1280, 720, 5), (320, 240, 1), pytest.param(320, 240, 9, marks=bt2020)]
)
def test_declared_matrices_go_before_the_size(width: int, height: int, space: int, tmp_path: Path) -> None:
    path = write_frames(tmp_path / "red.mp4", [plain(width, height, space)], colorspace=space)
    info, frame = first_frame(path)
    assert info.color.matrix == space
    assert color_difference(frame.image, RED) < 5


def test_full_range_is_read(tmp_path: Path) -> None:
    gray = av.VideoFrame.from_ndarray(np.full((72, 64), 250, np.uint8), format="gray").reformat(format="yuv420p")
    for plane in gray.planes:
        level = 250 if plane.width == 64 else 128
        plane.update(bytes([level]) * plane.buffer_size)
    _, limited = first_frame(write_frames(tmp_path / "limited.mp4", [gray], color_range=1))
    _, full = first_frame(write_frames(tmp_path / "full.mp4", [gray], color_range=2))
    assert color_difference(limited.image, (255, 255, 255)) < 2
    assert color_difference(full.image, (250, 250, 250)) < 2


def declared(path: Path) -> tuple[int, int, int, int, Fraction | None]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        matrix, extent = int(context.colorspace), int(context.color_range)
        return matrix, extent, int(context.color_primaries), int(context.color_trc), stream.sample_aspect_ratio


def write_images(path: Path, info: StreamInfo, *images: Image) -> Path:
    sink = FileSink(path)
    sink.open(info)
    for index, image in enumerate(images):
        sink.write(Result(Frame(index, index * 40_000, image, 0.0), image, time=index / 25))
    sink.close()
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("size", "color", "expected"),
    [
        ((1280, 720), Color(), (1, 1, 1, 1)),
        ((720, 576), Color(), (6, 1, 2, 2)),
        ((64, 48), Color(5, 5, 6), (5, 1, 5, 6)),
        pytest.param((1280, 720), Color(9, 9, 16, bits=10), (9, 1, 9, 16), marks=bt2020),
        ((1280, 720), Color(matrix=8), (1, 1, 1, 1)),
    ],
)
def test_written_files_declare_their_colors_and_keep_them(
    size: tuple[int, int], color: Color, expected: tuple[int, int, int, int], suffix: str, tmp_path: Path
) -> None:
    width, height = size
    red = np.full((height, width, 3), RED, np.uint8)
    path = write_images(tmp_path / f"out.{suffix}", StreamInfo("in", width, height, color=color), red)
    assert declared(path)[:4] == expected
    _, frame = first_frame(path)
    assert color_difference(frame.image, RED) < 6


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_wide_pixels_stay_wide_in_the_output(suffix: str, tmp_path: Path) -> None:
    path = write_frames(tmp_path / "pal.mp4", [plain(72, 58, 5)], sample_aspect_ratio=Fraction(16, 11))
    info, frame = first_frame(path)
    assert (info.width, info.height, info.sample_aspect_ratio) == (72, 58, Fraction(16, 11))
    assert declared(write_images(tmp_path / f"out.{suffix}", info, frame.image))[4] == Fraction(16, 11)


def test_an_answer_of_another_size_has_square_pixels(tmp_path: Path) -> None:
    info = StreamInfo("in", 72, 58, sample_aspect_ratio=Fraction(16, 11))
    assert declared(write_images(tmp_path / "out.mp4", info, picture(0, 64, 64)))[4] in (Fraction(1), None)


def test_square_pixels_are_made_on_request(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "pal.mp4", [plain(72, 58, 5)], sample_aspect_ratio=Fraction(4, 3))
    info, frame = first_frame(path, ImageOptions(square_pixels=True))
    assert (info.width, info.height, info.sample_aspect_ratio) == (96, 58, 1)
    assert color_difference(frame.image, RED) < 5


def test_an_absurd_pixel_shape_takes_no_absurd_memory(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "odd.mkv", [plain(64, 48, 5)], sample_aspect_ratio=Fraction(30_000, 1))
    info, _ = first_frame(path, ImageOptions(square_pixels=True))
    assert info.width <= 8 * 64


def damaged_in_the_middle(tmp_path: Path, matrix: int) -> Path:
    """30 frames. FFmpeg's converter refuses the middle 10 for their matrix."""
    whole = write_video(tmp_path / "whole.mkv", frames=10)
    parts = [rewrite(whole, f"{index}.mkv", matrix_coefficients=value) for index, value in enumerate((1, matrix, 1))]
    (tmp_path / "list").write_text("".join(f"file {part}\n" for part in parts))
    path = tmp_path / "damaged.mkv"
    joined = ("-f", "concat", "-safe", "0", "-i", tmp_path / "list", "-c", "copy", "-bsf:v", "dump_extra=freq=keyframe")
    subprocess.run(["ffmpeg", "-v", "error", *joined, path], check=True)
    return path


@pytest.mark.parametrize("matrix", [8, 10, 11, 14])
def test_frames_that_cannot_be_converted_are_left_out_and_counted(
    matrix: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = FileSource(damaged_in_the_middle(tmp_path, matrix))
    source.open()
    indices = []
    while (frame := source.read()) is not None:
        indices.append(frame.index)
    source.close()
    assert indices == [*range(10), *range(20, 30)]
    assert source.unreadable == 10
    assert caplog.text.count("cannot be converted") == 1


def test_a_file_without_any_frame_that_can_be_converted_is_refused(tmp_path: Path) -> None:
    path = rewrite(write_video(tmp_path / "in.mp4", frames=3), "odd.mp4", matrix_coefficients=11)
    source = FileSource(path)
    source.open()
    with pytest.raises(SourceCodecError, match="none of the 3 frames"):
        source.read()
    source.close()


def test_the_ledger_counts_frames_that_cannot_be_converted(tmp_path: Path) -> None:
    ledger = StreamClient(damaged_in_the_middle(tmp_path, 11), (), lambda request: {}).run().ledger
    assert (ledger.entered, ledger.delivered, ledger.dropped) == (30, 20, {"unreadable": 10})


def test_the_ledger_counts_them_where_no_frame_can_be_converted(tmp_path: Path) -> None:
    path = rewrite(write_video(tmp_path / "in.mp4", frames=3), "odd.mp4", matrix_coefficients=11)
    client = StreamClient(path, (), lambda request: {})
    with pytest.raises(SourceCodecError, match="none of the 3 frames"):
        client.run()
    assert client.summary is not None
    assert client.summary.ledger.dropped == {"unreadable": 3}


class PacedFeed:
    """Frames of a file, one each time that ``wanted`` is released: a connection that odd frames come from."""

    def __init__(self, path: Path) -> None:
        self.live = LiveInput("paced", str(path))
        self.properties = FeedProperties()
        self.wanted = threading.Semaphore(0)

    def frames(self) -> Generator[FeedFrame, None, None]:
        with av.open(self.live.url) as container:
            for frame in container.decode(video=0):
                self.wanted.acquire()
                yield FeedFrame(frame)

    def abort(self) -> None:
        self.wanted.release()


def test_a_live_source_goes_on_after_frames_that_cannot_be_converted(tmp_path: Path) -> None:
    feed = PacedFeed(damaged_in_the_middle(tmp_path, 11))
    source = ReconnectingSource(lambda: LiveSource(feed), "paced", reconnect_timeout=0)
    feed.wanted.release()
    source.open()
    gaps = 0
    for _ in range(20):
        frame = source.read()
        assert frame is not None
        gaps += frame.index >= 20
        for _ in range(11 if frame.index == 9 else 1):
            feed.wanted.release()
            time.sleep(0.02)  # the source keeps the newest two frames
    source.close()
    assert gaps == 10
    assert 0 < source.unreadable <= 10
    assert source.reconnections == 0


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_becomes_sdr_on_request(transfer: int, tmp_path: Path) -> None:
    frame = av.VideoFrame(64, 48, "yuv420p10le")
    for plane, level in zip(frame.planes, (600, 512, 512), strict=True):
        plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
    hdr = write_frames(tmp_path / "hdr.mkv", [frame], colorspace=9, color_primaries=9, color_trc=transfer)
    info, dull = first_frame(hdr)
    assert info.color.hdr
    info, bright = first_frame(hdr, ImageOptions(tone_map=True))
    assert info.color == Color(1, 1, 1)
    value = (600 - 64) / 876
    expected = 255 * to_sdr(np.full((1, 3), value), transfer)[0]
    assert color_difference(dull.image, [255 * value] * 3) < 3
    assert color_difference(bright.image, expected.tolist()) < 4


def test_ordinary_video_is_not_tone_mapped(clip: Path) -> None:
    assert np.array_equal(first_frame(clip)[1].image, first_frame(clip, ImageOptions(tone_map=True))[1].image)


def test_tone_mapping_keeps_black_and_order_and_brings_peak_to_white() -> None:
    greys: npt.NDArray[np.float64] = np.linspace(0, 1, 50)[:, None] * np.ones(3)
    for transfer in (PQ, HLG):
        mapped = to_sdr(greys, transfer)
        assert mapped[0] == pytest.approx(0, abs=1e-3)
        assert mapped[-1] == pytest.approx(1, abs=1e-3)
        assert (np.diff(mapped[:, 0]) >= 0).all()
        assert np.abs(mapped - mapped[:, :1]).max() < 2e-3


def test_a_size_that_changes_is_tone_mapped_on() -> None:
    images = RgbImages(ImageOptions(tone_map=True))
    for width in (64, 128):
        frame = av.VideoFrame(width, 48, "yuv420p10le")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.color_trc, frame.time_base = PQ, Fraction(1, 25)
        image = images(frame)
        assert image is not None
        assert image.shape == (48, width, 3)


@pytest.mark.parametrize("behind", [0, 1, 127, 128, 4095])
@pytest.mark.parametrize("width", [18, 64])
def test_an_image_anywhere_in_memory_becomes_a_frame(width: int, behind: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, width, 3), np.uint8)
    pages = mmap.mmap(-1, 4 * mmap.PAGESIZE)
    offset = len(pages) - behind - image.nbytes
    placed = np.ndarray(image.shape, np.uint8, buffer=pages, offset=offset)
    placed[:] = image
    assert np.array_equal(rgb_frame(placed).to_ndarray(), image)
    assert np.array_equal(YuvFrames()(placed, 1).to_ndarray(), YuvFrames()(image.copy(), 1).to_ndarray())


def test_a_part_of_an_image_becomes_a_frame() -> None:
    part = np.random.default_rng(0).integers(0, 256, (40, 80, 3), np.uint8)[2:34, 6:70]
    assert np.array_equal(rgb_frame(part).to_ndarray(), part)


def test_planes_become_a_frame() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    frame = YuvFrames()(image, 1)
    array = np.asarray(frame.to_ndarray(), np.uint8)
    assert np.shares_memory(np.asarray(YuvFrames()(Planes("i420", array, 1), 1).planes[0]), array)
    nv12 = np.asarray(frame.reformat(format="nv12").to_ndarray(), np.uint8)
    assert np.array_equal(YuvFrames()(Planes("nv12", nv12, 1), 1).to_ndarray(), array)
