"""Files that a command refuses to write, before it works."""

import json
from pathlib import Path

import pytest

from tests.support.client import run_here


@pytest.mark.parametrize("command", ["view", "analyze"])
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("in.mp4", "is an input as well: name another file"),
        (".", "it is a folder: name a file in it"),
        ("nowhere/out", "make the folder"),
    ],
)
def test_an_output_that_cannot_be_is_one_line_before_the_work(
    tmp_path: Path, command: str, target: str, message: str
) -> None:
    video = tmp_path / "in.mp4"
    video.write_bytes(b"kept")
    flag = "--html" if command == "view" else "--json"
    finished = run_here(command, video, flag, tmp_path / target)
    assert finished.returncode == 2
    assert message in finished.stderr
    assert finished.stderr.rstrip().endswith(f"({flag})")
    assert finished.stderr.count("\n") == 1
    assert video.read_bytes() == b"kept"


def test_videos_of_one_name_are_not_analyzed_into_one_folder(tmp_path: Path) -> None:
    finished = run_here("analyze", "a/x.mp4", "b/x.mkv", "--out", tmp_path / "out")
    assert finished.returncode == 2
    assert "a/x.mp4 and b/x.mkv would both write x.mp4" in finished.stderr
    assert not (tmp_path / "out").exists()


def test_a_video_that_is_none_is_named_by_the_flag_of_its_command(tmp_path: Path) -> None:
    landmarks = tmp_path / "l.jsonl"
    landmarks.write_text(json.dumps({"frame": 0, "time": 0, "width": 64, "height": 48, "pose": [[0.5, 0.5, 0.0]] * 33}))
    finished = run_here("view", landmarks, "--video", landmarks, "--html", tmp_path / "page.html")
    assert "is not a video that can be read" in finished.stderr
    assert finished.stderr.rstrip().endswith("(--video)")
