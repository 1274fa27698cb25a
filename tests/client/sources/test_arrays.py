"""Frames that a program makes, and what the client takes as a source."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from stream_client.errors import ConfigurationError, SourceError, SourceNotFoundError
from stream_client.frames import Frame
from stream_client.sources.arrays import ArraySource, CallableSource
from stream_client.sources.base import Source
from stream_client.sources.factory import as_source, open_source
from stream_client.sources.file import FileSource
from stream_client.sources.options import SourceOptions
from tests.support.video import picture, write_video


def frames(source: Source) -> list[Frame]:
    """Every frame after :meth:`open`, then closes."""
    read = list(iter(source.read, None))
    source.close()
    return [frame for frame in read if frame is not None]


def test_an_iterable_is_not_live_and_each_of_its_arrays_becomes_a_frame() -> None:
    source = as_source([picture(index) for index in range(4)])
    info = source.open()
    assert (info.width, info.height, info.live, info.frame_rate) == (64, 48, False, None)
    read = frames(source)
    assert [frame.index for frame in read] == [0, 1, 2, 3]
    assert all(np.array_equal(frame.image, picture(frame.index)) for frame in read)
    times = [frame.timestamp for frame in read]
    assert times == sorted(set(times))
    assert times[0] >= info.start


def test_a_batch_of_frames_in_one_array_is_an_iterable() -> None:
    source = as_source(np.stack([picture(0), picture(1)]))
    source.open()
    assert len(frames(source)) == 2


def test_with_a_frame_rate_times_follow_it_from_0() -> None:
    source = ArraySource((picture(index) for index in range(3)), frame_rate=12.5)
    assert source.open().frame_rate == 12.5
    assert [frame.timestamp for frame in frames(source)] == [0, 80_000, 160_000]


def test_a_function_is_live_and_ends_with_none() -> None:
    left = iter([picture(0), picture(1)])
    source = as_source(lambda: next(left, None))
    assert source.open().live
    assert len(frames(source)) == 2


def test_none_ends_an_iterator_too() -> None:
    source = as_source(iter([picture(0), None, picture(1)]))
    source.open()
    assert len(frames(source)) == 1


def test_a_generator_is_closed() -> None:
    closed = []

    def generate() -> Iterator[Any]:
        try:
            yield picture(0)
            yield picture(1)
        finally:
            closed.append(True)

    source = as_source(generate())
    source.open()
    source.close()
    assert closed


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((4, 4, 3), np.float32), r"float32 \[4, 4, 3\]"),
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \[4, 4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]"),
        ("frame", r"<U5 \[\]"),
    ],
)
@pytest.mark.parametrize("make", [lambda array: [array], lambda array: lambda: array], ids=["iterable", "function"])
def test_an_array_that_is_no_frame_is_one_clear_line(array: Any, told: str, make: Callable[[Any], Any]) -> None:
    with pytest.raises(
        SourceError, match=told + r": RGB uint8 \[height, width, 3\], or the bytes of a JPEG or PNG, is expected$"
    ):
        as_source(make(array)).open()


def test_no_frame_at_all_is_one_clear_line() -> None:
    with pytest.raises(SourceError, match="the source 'arrays' gave no frame"):
        as_source([]).open()


def test_a_number_is_a_camera() -> None:
    with pytest.raises(SourceNotFoundError, match=r"/dev/video97"):
        as_source(97).open()


def test_a_path_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "clip.mp4", frames=2).rename(tmp_path / "0")
    monkeypatch.chdir(tmp_path)
    source = open_source(Path("0"), SourceOptions(realtime=True))
    assert isinstance(source, FileSource)
    assert source.open().live
    assert len(frames(source)) == 2


def test_a_source_of_ones_own_stays_what_it_is() -> None:
    source = CallableSource(lambda: picture(0))
    assert as_source(source) is source


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (None, "NoneType is not a source: give a camera's number, a path, a URL, a function"),
        (3.5, "float is not a source"),
        (b"in.mp4", "bytes is not a source"),
        (-1, "-1 is not a camera's number"),
        (True, "True is not a camera's number"),
        (CallableSource, "CallableSource is a class"),
        ("", "no source named"),
    ],
)
def test_anything_else_is_refused_in_one_line(wrong: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        as_source(wrong)
    assert "\n" not in str(caught.value)


def test_bytes_of_a_jpeg_or_png_are_frames() -> None:
    file = io.BytesIO()
    PillowImage.fromarray(picture(2)).save(file, "PNG")
    source = as_source([file.getvalue(), picture(3)])
    source.open()
    first, second = frames(source)
    assert np.array_equal(first.image, picture(2))
    assert np.array_equal(second.image, picture(3))
    with pytest.raises(SourceError, match="gave not a JPEG or PNG"):
        as_source([b"GIF89a"]).open()
