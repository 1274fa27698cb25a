"""The commands of stream-pose, with another name for `python pipeline.py`."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stream_client import StreamClient, TransportOptions
from stream_client.distill.samples import crop_of
from tests.client.distill.conftest import pytorch
from tests.support.graph_server import graph_server_process
from tests.support.pexels import KEY, pexels_server

pytestmark = pytest.mark.timeout(240)
__all__ = ["pytorch"]

LABEL = "python pipeline.py --dry-run --video video.mp4"
FETCH = 'python pipeline.py --fetch --queries "sports athlete" "yoga pose" --n 5 --loop'


AUDIT = """
import os, sys
log, working = os.environ["AUDIT_LOG"], False

def hook(event, arguments):
    global working
    if working or event != "open":
        return
    path, mode, flags = arguments
    writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes and not isinstance(path, int):
        working = True
        with open(log, "a") as file:
            file.write(os.fsdecode(path) + "\\n")
        working = False

sys.addaudithook(hook)
"""
"""A sitecustomize.py: every file that Python opens for writing, in each process, is noted."""


NO_PICTURE = re.compile(
    r"/dev/(null|shm/[\w-]+)"  # shared memory between client and graph server is memory
    r"|/proc/self/fd/\d+"  # standard streams
    r"|.*/intel/stats"  # OpenVINO's own identification
    r"|.*/[a-z0-9_]{8}"  # Python tries whether the folder for temporary files can be written
    r"|.*/\.?(cache|config)/(matplotlib|fontconfig)/.*"
)
"""What libraries open for writing."""


def run(command: str, folder: Path, *further: str, **environment: str) -> str:
    arguments = shlex.split(command.replace("python pipeline.py", "ovms-stream-client distill"))
    program = Path(sys.executable).parent / arguments[0]
    own = {name: value for name, value in os.environ.items() if name != "PEXELS_API_KEY"}
    done = subprocess.run(
        [program, *arguments[1:], *further],
        cwd=folder,
        env={**own, **environment},
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


def test_videos_are_fetched_and_learnt_from_without_a_file_and_the_student_is_served(
    person: Path, tmp_path: Path, pytorch: None
) -> None:
    audit, log, config, out = (tmp_path / name for name in ("audit", "writes", "config.json", "student"))
    audit.mkdir()
    (audit / "sitecustomize.py").write_text(AUDIT)
    config.write_text('{"model_config_list": []}')
    (tmp_path / ".env").write_text(f"PEXELS_API_KEY={KEY}\n")
    small = ("--steps", "1", "--evaluate_every", "1", "--batch", "2", "--threads", "1", "--stream_seconds", "0.6")
    with pexels_server({"one.mp4": person, "two.mp4": person}) as server:
        own = ("--fetch_address", server.search, "--serve", str(config))
        watched = {"PYTHONPATH": str(audit), "AUDIT_LOG": str(log), "PYTHONDONTWRITEBYTECODE": "1"}
        said = run(FETCH, tmp_path, *small, *own, **watched)
    assert said.startswith("videos provided by Pexels")
    assert {asked["query"] for asked in server.asked} == {"sports athlete", "yoga pose"}
    assert "student, OpenVINO IR" in said
    written = [path for path in log.read_text().splitlines() if not NO_PICTURE.fullmatch(path)]
    assert "student/.checkpoint.pt.part" in written
    assert not [path for path in written if not path.startswith(("student/", f"{out}/", f"{config}.part"))]
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        *("checkpoint.pt", "1/README.md", "1/curves.png", "1/joints.txt", "1/training.json"),
        *("1/student.onnx", "1/student.xml", "1/student.bin"),
    }
    card = (out / "1" / "README.md").read_text()
    assert "https://www.pexels.com/video/one.mp4/: Ruvim on Pexels" in card
    assert KEY not in card + said
    document = json.loads((out / "1" / "training.json").read_text())
    assert document["teacher"] == "graph holisticPose"
    assert document["comparison"][0]["seconds"] > 0

    crops = [crop_of(np.full((200, 100, 3), level, np.uint8), (0, 0, 100, 200)) for level in (0, 128, 255)]
    answers: list[tuple[int, ...]] = []
    with graph_server_process("--config_path", str(config)) as served:
        StreamClient(
            crops,
            lambda result: answers.append(result.outputs["joints"].array.shape),
            TransportOptions(served.address, api="unary", model_name="student"),
            output_name="joints",
            postprocess=lambda result: result.frame.image,
        ).run()
    assert answers == [(1, 33, 3)] * 3
