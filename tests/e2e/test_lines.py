"""What the verdict says of real lines to the model server: thin, long, and a wide one to a busy server."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.monitoring.statistics import Statistics
from stream_client.monitoring.verdict import Conditions, Verdict, verdict
from tests.conftest import ROOT
from tests.support.kserve_server import ScriptedServer, slow
from tests.support.namespaces import thin_line
from tests.support.narrow_link import LongLink
from tests.support.waiting import wait_until

GRAPH = ROOT / "graphs" / "pass_through"


def judged(address: str, source: str, frames: int, *, model: str = "graph") -> Verdict:
    """The verdict on a run of 640x480 frames."""
    statistics = Statistics()
    options = RunOptions(limit_frames=frames, request_timeout=60)
    transport = TransportOptions(address, model_name=model, shared_memory=False)
    with StreamClient(source, ["none"], transport, options=options, observers=[statistics]) as client:
        summary = client.run()
    assert summary.info is not None
    conditions = Conditions(640, 480, True, summary.info.live, summary.upload_rate)
    found = verdict(statistics.snapshot(), conditions)
    assert found is not None
    return found


def test_a_long_line_is_named_as_distance(server: ScriptedServer) -> None:
    with LongLink(server.address, 0.1) as link:
        found = judged(link.address, "testsrc:320x240@max", 40)
    assert found.culprit == "distance"
    assert "ms to the server and back; take a server that is nearer" in found.sentence


def test_a_busy_server_is_named_though_the_line_is_measured(server: ScriptedServer) -> None:
    server.script = slow(0.05)
    assert judged(server.address, "testsrc:640x480@25", 75).culprit == "server"


@pytest.mark.timeout(120)
def test_a_thin_line_is_named_with_what_it_carries_and_a_size_to_try(tmp_path: Path) -> None:
    with thin_line("50mbit") as (near, far):
        serve = [
            *far.run,
            sys.executable,
            "-m",
            "graph_server",
            "--model_name",
            "passThrough",
            "--model_path",
            str(GRAPH),
        ]
        log = tmp_path / "server"
        with log.open("wb") as out:
            where = ("--port", "9000", "--grpc_bind_address", far.address)
            server = subprocess.Popen([*serve, *where], stdout=out, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: b'"grpc"' in log.read_bytes())
            flags = ("--grpc_address", f"{far.address}:9000", "--model_name", "passThrough", "--limit_frames", "250")
            command = [*near.run, sys.executable, "-m", "stream_client", *flags]
            source = ("--input_stream", "testsrc:640x480@25", "--output_stream", "none")
            done = subprocess.run([*command, *source], capture_output=True, text=True, check=False, timeout=60)
        finally:
            server.terminate()
            server.wait()
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("verdict: ")]
    found = re.search(
        r"is the line to the server, which carries (\d+) Mbit/s and the frames want (\d+): .* \(--max_side (\d+)\)",
        said,
    )
    assert found is not None, said
    carried, wanted, side = map(int, found.groups())
    assert 30 <= carried <= 50
    assert 120 <= wanted <= 190
    assert 240 <= side <= 368
