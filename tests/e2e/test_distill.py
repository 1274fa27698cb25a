"""`distill` as a user runs it: the graph server teaches, and serves the student."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stream_client import StreamClient, TransportOptions
from stream_client.cli.distill import main
from stream_client.distill.samples import crop_of
from tests.client.distill.conftest import pytorch
from tests.support.graph_server import graph_server_process

pytestmark = pytest.mark.timeout(240)
__all__ = ["pytorch"]

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


def distill(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream_client", "distill", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=200, check=False
    )


def test_a_dry_run_prints_the_samples_with_27_joints(person: Path) -> None:
    done = distill("--dry-run", "--video", person, "--joints", "27")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    samples = [line for line in lines if "of 27 joints visible" in line]
    assert len(samples) >= 10
    assert re.search(r"left_hip [+-]0\.\d{3} [+-]0\.\d{3} [+-]0\.\d{3} m", samples[0])
    found = re.fullmatch(r"(\d+) samples? to learn from, (\d+) held out", lines[-1])
    assert found
    assert sum(map(int, found.groups())) == len(samples)


def test_a_student_of_the_graph_is_served_by_it_and_no_picture_was_written(
    person: Path, tmp_path: Path, pytorch: None
) -> None:
    audit, log, out, config = (tmp_path / name for name in ("audit", "writes", "student", "config.json"))
    audit.mkdir()
    (audit / "sitecustomize.py").write_text(AUDIT)
    config.write_text('{"model_config_list": []}')
    small = ("--steps", "4", "--evaluate_every", "2", "--batch", "4", "--rate", "30", "--threads", "1")
    done = distill(
        *("--video", person, "--out", out, "--serve", config, *small),
        PYTHONPATH=str(audit),
        AUDIT_LOG=str(log),
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held out") == 2
    assert "student, OpenVINO IR" in done.stdout
    written = [path for path in log.read_text().splitlines() if not NO_PICTURE.fullmatch(path)]
    assert str(out / ".checkpoint.pt.part") in written
    assert not [path for path in written if not path.startswith((f"{out}/", f"{config}.part"))]
    kept = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert kept == {
        *("checkpoint.pt", "1/README.md", "1/curves.png", "1/joints.txt", "1/training.json"),
        *("1/student.onnx", "1/student.xml", "1/student.bin"),
    }

    crops = [crop_of(np.full((200, 100, 3), level, np.uint8), (0, 0, 100, 200)) for level in (0, 128, 255)]
    answers: list[tuple[int, ...]] = []
    with graph_server_process("--config_path", str(config)) as server:
        client = StreamClient(
            crops,
            lambda result: answers.append(result.outputs["joints"].array.shape),
            TransportOptions(server.address, api="unary", model_name="student"),
            output_name="joints",
            postprocess=lambda result: result.frame.image,
        )
        client.run()
    assert answers == [(1, 33, 3)] * 3
    document = json.loads((out / "1" / "training.json").read_text())
    assert document["teacher"] == "graph holisticLandmarks"
    assert document["comparison"][0]["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), r"error: name what to learn from \(--video\)"),
        (("--video", "absent.mp4"), r"error: absent\.mp4 does not exist \(--video\)"),
        (("--video", "testsrc", "--batch", "1"), r"error: .*2 to 4096.*\(--batch\)"),
        (("--video", "testsrc", "--joints", "17"), r"error: argument --joints: invalid choice"),
    ],
)
def test_arguments_that_cannot_work_are_said_in_a_line(
    arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    line = capfd.readouterr().err
    assert re.match(message, line)
    assert line.count("\n") == 1
