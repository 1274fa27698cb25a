"""From the test pattern through a server into a file, and back."""

import json
from pathlib import Path

import pytest

from tests.support.client import run_client, run_here
from tests.support.kserve_server import ScriptedServer
from tests.support.video import write_video


def test_a_recorded_pattern_comes_back_whole(tmp_path: Path, server: ScriptedServer) -> None:
    video, report = tmp_path / "pattern.mp4", tmp_path / "report.json"
    recorded = run_client(
        *("--grpc_address", server.address, "--input_stream", "testsrc:320x240@50", "--limit_frames", 40),
        *("--drop_policy", "block", "--output_stream", video),
    )
    assert recorded.returncode == 0, recorded.stderr
    done = run_client("readback", video, "--json", report)
    assert done.returncode == 0, done.stderr
    assert "lost                    0\n" in done.stdout
    values = json.loads(report.read_text())
    assert values["intact"] is True
    assert (values["read"], values["first"], values["last"]) == (40, 0, 39)
    assert (values["lost"], values["duplicates"], values["out_of_order"], values["unreadable"]) == (0, 0, 0, 0)
    assert values["latency"] is None
    assert values["timing_error"]["maximum"] < 0.001  # the file's times are the frames' own, to its clock's tick


def test_frames_that_the_server_lost_are_missed(tmp_path: Path, server: ScriptedServer) -> None:
    video, report = tmp_path / "pattern.mp4", tmp_path / "report.json"
    echo = server.script
    server.script = lambda request, number: iter(()) if number in (3, 4) else echo(request, number)
    run_client(
        *("--grpc_address", server.address, "--input_stream", "testsrc:320x240@50", "--limit_frames", 10),
        *("--drop_policy", "block", "--request_timeout", 1, "--output_stream", video),
    )
    assert run_here("readback", video, "--json", report).returncode == 0
    values = json.loads(report.read_text())
    assert (values["read"], values["lost"], values["last"]) == (8, 2, 9)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: write_video(path, frames=3), "none of the 3 frames of"),
        (lambda path: path.write_text("no video"), "is not a video that can be read"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_has_no_code_is_one_line(tmp_path: Path, make: object, text: str) -> None:
    path = tmp_path / "other.mp4"
    make(path)  # type: ignore[operator]
    done = run_here("readback", path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert text in done.stderr
    assert "--input_stream testsrc" in done.stderr or "--input_stream" not in done.stderr
