"""The test pattern through the graph server and an RTSP server, and read back at the far end."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.support.rtsp_server import RtspServer

SINK = re.compile(r"(?P<skipped>\d+) skipped for newer ones, (?P<repeated>\d+) repeated, (?P<lost>\d+) lost")


def read_back(url: str, report: Path) -> dict[str, Any]:
    command = [sys.executable, "client.py", "readback", url, "--limit_frames", "30", "--json", str(report)]
    command += ["--reconnect_timeout", "20"]
    done = subprocess.run(command, cwd=ROOT / "client", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(report.read_text()))


def test_every_frame_arrives_in_order_and_what_is_missing_was_told(tmp_path: Path, pass_through_server: str) -> None:
    metrics, labels = tmp_path / "metrics.json", tmp_path / "labels.jsonl"
    with RtspServer(publish=["live"]) as rtsp:
        command = [sys.executable, "client.py", "--grpc_address", pass_through_server, "--model_name", "passThrough"]
        command += ["--input_stream", "testsrc:320x240@15", "--max_inflight", "4", "--verbose"]
        command += ["--output_stream", rtsp.url("publish/live"), "--labels_output", str(labels)]
        command += ["--benchmark", "--benchmark_until", "end", "--warmup_frames", "0", "--report", str(metrics)]
        publishing = subprocess.Popen(command, cwd=ROOT / "client", stderr=subprocess.PIPE, text=True)
        try:
            arrived = read_back(rtsp.url("live"), tmp_path / "report.json")
        finally:
            publishing.terminate()
            _, errors = publishing.communicate(timeout=20)
    assert (arrived["read"], arrived["out_of_order"], arrived["unreadable"]) == (30, 0, 0)
    # A live way drops frames where the machine pauses: each is accounted for by somebody.
    delivered = {json.loads(line)["frame"] for line in labels.read_text().splitlines()}
    dropped = len(set(range(arrived["first"], arrived["last"] + 1)) - delivered)
    told = SINK.search(errors)
    assert told is not None, errors
    repeated, skipped = int(told["repeated"]), int(told["skipped"])
    assert dropped <= arrived["lost"] <= dropped + skipped + arrived["unread"]
    assert arrived["duplicates"] <= repeated
    # The machine's pauses explain a few; a sink that is too slow would skip or repeat most.
    assert repeated + skipped < len(delivered) / 3
    assert arrived["last"] - arrived["first"] + 1 == 30 + arrived["lost"] - arrived["duplicates"]
    report = json.loads(metrics.read_text())
    measured, outcomes = report["measurement"], report["outcomes"]
    assert measured["frames"] == outcomes["delivered"] == len(delivered) >= 30 - arrived["duplicates"]
    assert outcomes["entered"] > arrived["last"]  # counted from 0; the live source may have dropped some before
    # Each frame was delivered by the client before it was read at the far end: one clock, from the same moment on.
    assert arrived["latency"]["count"] == 30 - arrived["duplicates"]
    assert 0 < measured["latency"]["minimum"] < arrived["latency"]["minimum"]
    assert " 0 failed" in errors
