"""What the verdict says of real lines to the model server: thin, long, and a wide one to a busy server."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream_client import RunOptions, StreamClient, TransportOptions
from stream_client.monitoring.statistics import Statistics
from stream_client.monitoring.verdict import Conditions, Verdict, verdict
from tests.conftest import ROOT
from tests.support.graph_server import ECHO
from tests.support.kserve_server import ScriptedServer, slow
from tests.support.narrow_link import LongLink
from tests.support.thin_line import Side, thin_line
from tests.support.waiting import wait_until


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


@contextmanager
def serving(side: Side, address: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A pass-through server at ``address``, in that namespace."""
    host, port = address.split(":")
    program = [*side.run, sys.executable, "-m", "graph_server", *ECHO]
    with log.open("wb") as out:
        where = ("--port", port, "--grpc_bind_address", host)
        server = subprocess.Popen([*program, *where], stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        wait_until(lambda: b'"grpc"' in log.read_bytes())
        yield server
    finally:
        server.terminate()
        server.wait()


def run_over(side: Side, addresses: str, log: Path) -> "subprocess.Popen[bytes]":
    """A run in that namespace, whose words go to ``log``."""
    flags = ("--grpc_address", addresses, "--model_name", "passThrough", "--limit_frames", "250")
    source = ("--input_stream", "testsrc:640x480@25", "--output_stream", "none")
    with log.open("wb") as out:
        return subprocess.Popen([*side.run, sys.executable, "-m", "stream_client", *flags, *source], stderr=out)


def said(run: "subprocess.Popen[bytes]", log: Path) -> str:
    """The verdict that it prints."""
    assert run.wait(60) == 0, log.read_text()
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("verdict: ")]
    return line


@pytest.mark.timeout(240)
def test_of_two_servers_the_one_behind_a_thin_line_is_named(tmp_path: Path) -> None:
    log = tmp_path / "run"
    with thin_line("50mbit") as line:
        near, far = line.near, line.far
        close, behind = "127.0.0.1:9000", f"{far.address}:9000"
        with serving(near, close, tmp_path / "close") as other, serving(far, behind, tmp_path / "behind"):
            other.send_signal(signal.SIGSTOP)  # so that the session begins at the one behind the line
            try:
                run = run_over(near, f"{close},{behind}", log)
                wait_until(lambda: b"frames/s" in log.read_bytes(), seconds=60)
            finally:
                other.send_signal(signal.SIGCONT)
            words = said(run, log)
    assert f"the line to {behind}, which carries " in words


@pytest.mark.timeout(240)
def test_a_thin_line_is_named_with_what_it_carries_and_a_size_to_try(tmp_path: Path) -> None:
    with thin_line("50mbit") as line:
        near, far = line.near, line.far
        address = f"{far.address}:9000"
        with serving(far, address, tmp_path / "server"):
            words = said(run_over(near, address, tmp_path / "run"), tmp_path / "run")
    found = re.search(
        r"is the line to the server, which carries (\d+) Mbit/s and the frames want (\d+): .* \(--max_side (\d+)\)",
        words,
    )
    assert found is not None, words
    carried, wanted, side = map(int, found.groups())
    assert 30 <= carried <= 50
    assert 120 <= wanted <= 190
    assert 240 <= side <= 368
