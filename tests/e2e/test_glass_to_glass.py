"""The test pattern through the graph server and an RTSP server, and read back at the far end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.support.rtsp_server import RtspServer

ATTEMPTS = 4
"""A live way may lose a frame on a busy machine; a fault of ours would lose some in every attempt."""


def read_back(url: str, report: Path) -> dict[str, Any]:
    command = [sys.executable, "client.py", "readback", url, "--limit_frames", "30", "--json", str(report)]
    command += ["--reconnect_timeout", "20"]
    done = subprocess.run(command, cwd=ROOT / "client", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(report.read_text()))


def test_every_frame_arrives_once_and_in_order(tmp_path: Path, pass_through_server: str) -> None:
    metrics = tmp_path / "metrics.json"
    with RtspServer(publish=["live"]) as rtsp:
        command = [sys.executable, "client.py", "--grpc_address", pass_through_server, "--model_name", "passThrough"]
        command += ["--input_stream", "testsrc:320x240@15", "--max_inflight", "4"]
        command += ["--output_stream", rtsp.url("publish/live")]
        command += ["--benchmark", "--benchmark_until", "end", "--warmup_frames", "0", "--report", str(metrics)]
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
    report = json.loads(metrics.read_text())
    measured, outcomes = report["measurement"], report["outcomes"]
    assert measured["frames"] == outcomes["delivered"] >= 30
    assert outcomes["entered"] > last["last"]  # counted from 0; the live source may have dropped some before
    # Each frame was delivered by the client before it was read at the far end: one clock, from the same moment on.
    assert last["latency"]["count"] == 30
    assert 0 < measured["latency"]["minimum"] < last["latency"]["minimum"]
    assert " 0 failed" in errors
