"""The commands of stream-pose, with another name for `python pipeline.py`."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.distill.conftest import pytorch
from tests.support.pexels import KEY, pexels_server

pytestmark = pytest.mark.timeout(240)
__all__ = ["pytorch"]

LABEL = "python pipeline.py --dry-run --video video.mp4"
FETCH = 'python pipeline.py --fetch --queries "sports athlete" "yoga pose" --n 5 --loop'


def run(command: str, folder: Path, *further: str) -> str:
    arguments = shlex.split(command.replace("python pipeline.py", "ovms-stream-client distill"))
    program = Path(sys.executable).parent / arguments[0]
    done = subprocess.run(
        [program, *arguments[1:], *further],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PEXELS_API_KEY"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_local_video_is_labelled(person: Path, tmp_path: Path) -> None:
    shutil.copy(person, tmp_path / "video.mp4")
    assert run(LABEL, tmp_path).count(" joints visible") >= 10


def test_videos_are_fetched_and_learnt_from_until_the_training_ends(
    person: Path, tmp_path: Path, pytorch: None
) -> None:
    (tmp_path / ".env").write_text(f"PEXELS_API_KEY={KEY}\n")
    small = ("--steps", "1", "--evaluate_every", "1", "--batch", "2", "--threads", "1", "--stream_seconds", "0.6")
    with pexels_server({"one.mp4": person, "two.mp4": person}) as server:
        said = run(FETCH, tmp_path, *small, "--fetch_address", server.search)
    assert said.startswith("videos provided by Pexels")
    assert {asked["query"] for asked in server.asked} == {"sports athlete", "yoga pose"}
    assert "student, OpenVINO IR" in said
    card = (tmp_path / "student" / "1" / "README.md").read_text()
    assert "https://www.pexels.com/video/one.mp4/: Ruvim on Pexels" in card
    assert KEY not in card + said
