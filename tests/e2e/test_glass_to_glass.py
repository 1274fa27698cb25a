"""The test pattern through the graph server and an RTSP server, and read back at the far end."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support.rtsp_server import RtspServer

ATTEMPTS = 4
"""A live way may lose a frame on a busy machine; a fault of ours would lose some in every attempt."""


@pytest.fixture
def graph_server() -> Iterator[str]:
    command = [sys.executable, "-m", "graph_server", "--port", "0", "--model_name", "passThrough"]
    command += ["--model_path", str(ROOT / "graphs" / "pass_through"), "--exit_with_stdin"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["grpc"])
        process.stdin.close()


def read_back(url: str, report: Path) -> dict[str, Any]:
    command = [sys.executable, "client.py", "readback", url, "--limit_frames", "30", "--json", str(report)]
    command += ["--reconnect_timeout", "20"]
    done = subprocess.run(command, cwd=ROOT / "client", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(report.read_text()))


def test_every_frame_arrives_once_and_in_order(tmp_path: Path, graph_server: str) -> None:
    with RtspServer(publish=["live"]) as rtsp:
        command = [sys.executable, "client.py", "--grpc_address", graph_server, "--model_name", "passThrough"]
        command += ["--input_stream", "testsrc:320x240@15", "--max_inflight", "4"]
        command += ["--output_stream", rtsp.url("publish/live")]
        publishing = subprocess.Popen(command, cwd=ROOT / "client", stderr=subprocess.PIPE, text=True)
        try:
            reports: list[dict[str, Any]] = []
            while len(reports) < ATTEMPTS and not (reports and reports[-1]["intact"]):
                reports.append(read_back(rtsp.url("live"), tmp_path / "report.json"))
        finally:
            publishing.terminate()
            _, errors = publishing.communicate(timeout=20)
    last = reports[-1]
    assert last["intact"], [{name: report[name] for name in ("lost", "duplicates", "unread")} for report in reports]
    assert (last["read"], last["last"] - last["first"]) == (30, 29)
    assert all((report["out_of_order"], report["unreadable"]) == (0, 0) for report in reports)
    assert last["latency"]["minimum"] > 0  # painted before it was read: the clocks are one
    assert " 0 failed" in errors
