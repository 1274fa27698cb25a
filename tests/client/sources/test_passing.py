"""Files of H.264 that are passed on: the same frames, times and pictures as when they are decoded here."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from kserve_wire.pictures.decoder import PictureDecoder
from stream_client.frames import Frame
from stream_client.sources.file import FileSource
from stream_client.sources.passing import Passing, with_parameter_sets
from stream_client.util.media import ImageOptions
from tests.support.video import write_video

FRAMES = 30


def frames_of(source: FileSource, count: int = 1000) -> list[Frame]:
    source.open()
    try:
        frames = [source.read() for _ in range(count)]
    finally:
        source.close()
    return [frame for frame in frames if frame is not None]


def passing(path: Path, **options: object) -> FileSource:
    source = FileSource(path, **options)  # type: ignore[arg-type]
    source.pass_on()
    return source


def remade(path: Path, clip: Path, *options: str, before: tuple[str, ...] = ()) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", *before, "-i", clip, *options, path], check=True)
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.mov"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_passed_frames_are_those_that_are_decoded(tmp_path: Path, clip: Path, name: str, b_frames: str) -> None:
    encode = ("-c:v", "libx264", "-bf", b_frames, "-b_strategy", "0", "-g", "12")
    path = remade(tmp_path / f"made-{name}", clip, *encode)
    expected = frames_of(FileSource(path))
    found = frames_of(passing(path))
    decoder = PictureDecoder()
    assert len(found) == len(expected) == FRAMES
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.index, ours.timestamp) == (theirs.index, theirs.timestamp)
        assert ours.encoded is not None
        assert not ours.image.any()
        assert ours.image.shape == theirs.image.shape
        picture = decoder.picture(ours.encoded)
        assert picture is not None
        np.testing.assert_array_equal(picture, theirs.image)
    assert (not found[-1].encoded.units) == (b_frames != "0")  # type: ignore[union-attr]


def test_a_loop_begins_anew(clip: Path) -> None:
    expected = frames_of(FileSource(clip, loop=True), 2 * FRAMES)
    found = frames_of(passing(clip, loop=True), 2 * FRAMES)
    decoder = PictureDecoder()
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.timestamp == theirs.timestamp
        assert ours.encoded is not None
        picture = decoder.picture(ours.encoded)
        assert picture is not None
        np.testing.assert_array_equal(picture, theirs.image)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vp9.webm", ("-c:v", "libvpx-vp9")),
        ("order.avi", ("-c:v", "libx264", "-bf", "2", "-b_strategy", "0")),
        ("no-times.h264", ("-c:v", "copy")),
        ("interlaced.mp4", ("-c:v", "libx264", "-flags", "+ildct+ilme")),
        ("turned.mp4", ("-c:v", "copy", "-metadata:s:v", "rotate=90")),
    ],
)
def test_what_cannot_be_passed_on_is_decoded(tmp_path: Path, clip: Path, name: str, options: tuple[str, ...]) -> None:
    source = passing(remade(tmp_path / name, clip, *options))
    info = source.open()
    first = source.read()
    source.close()
    assert not info.encoded
    assert first is not None
    assert first.encoded is None
    assert first.image.any()


def test_wide_pixels_that_are_made_square_are_decoded(tmp_path: Path, clip: Path) -> None:
    path = remade(tmp_path / "wide.mp4", clip, "-vf", "setsar=2", "-c:v", "libx264")
    square = passing(path, images=ImageOptions(square_pixels=True))
    assert not square.open().encoded
    square.close()
    wide = passing(path)
    assert wide.open().encoded
    wide.close()


def test_a_damaged_access_unit_counts_until_the_next_key_frame() -> None:
    key, other = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41"
    stream = Passing()
    stream.picture, stream._decoder = object(), None  # type: ignore[assignment]
    given = [(other, False), (key, False), (other, True), (other, False), (key, False), (other, False)]
    found = [frame for place, (data, bad) in enumerate(given) for frame in stream.take(data, place, damaged=bad)]
    assert [(frame.stamp, frame.damaged) for frame in found] == [
        (1, False), (2, True), (3, True), (4, False), (5, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x00\x00\x01\x65a", b"sets\x00\x00\x01\x65a"),
        (b"\x00\x00\x01\x67s\x00\x00\x01\x65a", b"\x00\x00\x01\x67s\x00\x00\x01\x65a"),
        (b"\x00\x00\x01\x41a", b"\x00\x00\x01\x41a"),
    ],
)
def test_a_key_frame_gets_the_parameter_sets_that_it_lacks(data: bytes, expected: bytes) -> None:
    assert with_parameter_sets(data, b"sets") == expected
    assert with_parameter_sets(data, b"") == data


def test_a_video_without_a_key_frame_has_no_frames(tmp_path: Path) -> None:
    stream = Passing()
    assert not [*stream.take(b"\x00\x00\x01\x41a", 0), *stream.end()]
    write_video(tmp_path / "one.mp4", frames=1)
    (only,) = frames_of(passing(tmp_path / "one.mp4"))
    assert only.encoded is not None
    assert PictureDecoder().picture(only.encoded) is not None
