"""`distill` on the command line; tests/e2e/seeds/test_stream_pose.py trains and serves a student."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream_client.cli.distill import main

pytestmark = pytest.mark.timeout(240)


def distill(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream_client", "distill", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


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
