"""Folders of photos, and patterns, read as a video."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from stream_client.errors import ConfigurationError, SourceError, SourceNotFoundError
from stream_client.frames import Frame, StreamInfo
from stream_client.sources.factory import open_source
from stream_client.sources.options import SourceOptions
from tests.support.client import run_here
from tests.support.kserve_server import ScriptedServer


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Photos 1, 2, 10 and 11, as bright as ten times their number, and what is none."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in (1, 2, 10, 11):
        PillowImage.new("RGB", (64, 48), (10 * number,) * 3).save(folder / f"img{number}.png")
    PillowImage.new("RGB", (64, 48)).save(folder / "img3_mask.png")
    (folder / "notes.txt").write_text("none")
    return folder


def read(spec: str) -> tuple[StreamInfo, list[Frame]]:
    source = open_source(spec)
    info = source.open()
    frames = list(iter(source.read, None))
    source.close()
    return info, frames


def numbers(frames: list[Frame]) -> list[int]:
    return [round(float(np.mean(frame.image)) / 10) for frame in frames]


def test_a_pattern_with_a_number_takes_those_in_the_order_of_numbers(shots: Path) -> None:
    info, frames = read(f"{shots}/img%03d.png")
    assert numbers(frames) == [1, 2, 10, 11]
    assert [frame.timestamp for frame in frames] == [0, 40_000, 80_000, 120_000]
    assert (info.width, info.height, info.frame_rate, info.frame_count, info.live) == (64, 48, 25, 4, False)


@pytest.mark.parametrize("spec", ["", "/*.png", "/*"])
def test_a_folder_or_glob_takes_all_photos(shots: Path, spec: str) -> None:
    assert numbers(read(f"{shots}{spec}")[1]) == [1, 2, 0, 10, 11]


def test_a_file_whose_name_looks_like_a_pattern_is_read(shots: Path) -> None:
    for name in ("a[1].png", "a%d.png"):
        (shots / "img10.png").rename(shots / name)
        assert numbers(read(f"{shots}/{name}")[1]) == [10]
        (shots / name).rename(shots / "img10.png")


def test_a_photo_that_cannot_be_decoded_is_left_out(shots: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("img1.png", "img10.png"):
        (shots / name).write_bytes(b"none")
    _, frames = read(f"{shots}/img%d.png")
    assert [frame.index for frame in frames] == [1, 3]
    for record, name in zip(caplog.records, ("img1.png", "img10.png"), strict=True):
        assert record.getMessage().startswith(f"a photo is left out: {shots / name} ")


def test_what_is_no_file_is_left_out(shots: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(shots / "img4.png")
    (shots / "img5.png").symlink_to("img5.png")
    (shots / "img6.png").symlink_to("/dev/zero")
    _, frames = read(f"{shots}/img%d.png")
    assert numbers(frames) == [1, 2, 10, 11]
    assert [record.getMessage().endswith("is no file") for record in caplog.records] == [True] * 3


def test_what_has_no_photo_is_refused(shots: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for spec, text in (("bare", "a folder without photos"), ("shots/x*.png", "no such photos")):
        with pytest.raises(SourceNotFoundError, match=text):
            open_source(f"{tmp_path}/{spec}").open()
    for photo in shots.glob("*.png"):
        photo.write_bytes(b"none")
    with pytest.raises(SourceError, match=r"none of the 5 photos of .* can be decoded"):
        open_source(str(shots)).open()
    with pytest.raises(ConfigurationError, match="loop and realtime are for videos"):
        open_source(str(shots), SourceOptions(loop=True))


def test_a_run_reads_a_folder(shots: Path, tmp_path: Path) -> None:
    (shots / "img2.png").write_bytes(b"none")
    with ScriptedServer() as server:
        ran = run_here(
            *("--grpc_address", server.address, "--input_stream", str(shots)),
            *("--output_stream", str(tmp_path / "out.mkv")),
        )
    assert ran.returncode == 0, ran.stderr
    assert "4 delivered, 1 dropped" in ran.stdout + ran.stderr
