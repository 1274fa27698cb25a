"""A stream published over a line that is thinner than it wants, in network namespaces of the test's own."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.graph_server import ECHO
from tests.support.rtsp_server import RtspServer
from tests.support.thin_line import thin_line

PROGRAM = [sys.executable, "-m", "stream_client"]
SOURCE = "testsrc:1280x720@25"
"""Wants about 300 kbit/s."""


@pytest.mark.timeout(240)
def test_what_a_viewer_sees_stays_new_and_the_verdict_names_the_line(tmp_path: Path) -> None:
    with thin_line("150kbit") as line:
        served = subprocess.Popen(
            [*line.near.run, sys.executable, "-m", "graph_server", *ECHO, "--port", "9400"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        rtsp = RtspServer(publish=["x"], address=line.far.address, before=line.far.run)
        with served, rtsp, open(tmp_path / "log", "wb") as log:
            assert served.stdout is not None
            assert served.stdout.readline()
            url = f"rtsp://{line.far.address}:{rtsp.port}"
            output = ["--input_stream", SOURCE, "--output_stream", f"{url}/publish/x"]
            run = [*line.near.run, *PROGRAM, "--grpc_address", "127.0.0.1:9400", "--model_name", "passThrough", *output]
            publishing = subprocess.Popen(run, stderr=log, cwd=ROOT / "client")
            try:
                time.sleep(8)  # long enough to be far behind
                report = tmp_path / "report.json"
                reading = [*PROGRAM, "readback", f"{url}/x", "--json", str(report), "--limit_stream_duration", "8"]
                subprocess.run(
                    [*line.far.run, *reading, "--reconnect_timeout", "10"], check=True, cwd=ROOT / "client", timeout=110
                )
            finally:
                publishing.send_signal(signal.SIGINT)
                publishing.wait(60)
                served.terminate()
    seen = json.loads(report.read_text())
    words = (tmp_path / "log").read_text()
    assert f"verdict: the line to {url}/publish/x carries " in words
    assert seen["read"] >= 8 * 15
    assert seen["latency"]["p50"] < 1.0  # seconds; without a bound it is 5 and more
