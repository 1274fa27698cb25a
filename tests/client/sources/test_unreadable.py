"""Files that FFmpeg refuses: the reason is named."""

import subprocess
from pathlib import Path

import pytest

from stream_client.errors import SourceCodecError
from stream_client.sources.file import FileSource
from tests.support.video import write_video


def refused(path: Path) -> str:
    source = FileSource(path)
    with pytest.raises(SourceCodecError) as caught:
        source.open()
    source.close()
    return str(caught.value).partition(f"{path} is not a video that can be read: ")[2]


@pytest.mark.parametrize("left", [60, 1000, 20_000])
def test_a_recording_that_was_cut_off_lacks_its_index(tmp_path: Path, left: int) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    noise = ("-f", "lavfi", "-i", "nullsrc=s=320x240:d=1,geq=random(1)*255:128:128")
    subprocess.run(["ffmpeg", "-v", "error", *noise, whole], check=True)
    cut.write_bytes(whole.read_bytes()[:left])
    assert refused(cut).startswith("its index (moov) is missing")


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("v.mp4", b"", "it is empty"),
        ("v.mpd", b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "MPEG-DASH is not supported"),
        ("v.mp4", b"\0\0\0\1ftyp" + bytes(8), "its index (moov) is missing"),
        ("v.mp4", bytes(range(256)) * 20, "Invalid data found"),
    ],
)
def test_other_files_are_told_apart(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert refused(tmp_path / name).startswith(text)


def test_an_index_that_is_broken_is_not_called_missing(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4")
    data = path.read_bytes()
    at = data.index(b"moov")
    path.write_bytes(data[: at + 4] + bytes(len(data) - at - 4))
    assert "missing" not in refused(path)
