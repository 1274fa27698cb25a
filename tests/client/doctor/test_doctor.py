"""``doctor``, against real servers and without one."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest

from stream_client.cli.doctor import line
from stream_client.doctor.finding import ok
from stream_client.doctor.machine import precision
from tests.conftest import ROOT
from tests.support.client import run_client, run_here
from tests.support.graph_server import graph_server_process
from tests.support.kserve_server import ScriptedServer
from tests.support.rtsp_server import PATTERN, RtspServer

Findings = dict[str, dict[str, str]]


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


Run = Callable[..., subprocess.CompletedProcess[str]]


def examine(tmp_path: Path, *arguments: object, run: Run = run_here) -> tuple[int, Findings]:
    """Exit status and findings by check; checks on the way that whatever is amiss has a remedy."""
    report = tmp_path / "findings.json"
    # The rate of a source is looked at for thirty frames: a fast one, where the test names none.
    source = () if "--input_stream" in arguments else ("--input_stream", "testsrc@1000")
    done = run("doctor", *source, *arguments, "--json", report)
    findings: Findings = {finding["check"]: finding for finding in json.loads(report.read_text())["findings"]}
    for name, finding in findings.items():
        assert f"{finding['status']:8}{name}" in done.stdout
        assert bool(finding["remedy"]) == (finding["status"] in ("failed", "warning")), finding
        assert finding["remedy"] in done.stdout
    return done.returncode, findings


def failed(findings: Findings) -> set[str]:
    return {name for name, finding in findings.items() if finding["status"] == "failed"}


def test_a_healthy_set_up_passes(tmp_path: Path, clip: Path, pass_through_server: str) -> None:
    status, findings = examine(
        tmp_path,
        *("--grpc_address", pass_through_server, "--model_name", "passThrough", "--input_stream", clip),
        *("--output_stream", tmp_path / "out.mp4", "--labels_output", tmp_path / "labels.jsonl"),
        run=run_client,
    )
    assert (status, failed(findings)) == (0, set())
    assert findings["servable passThrough"]["found"] == "graph: image -> output"
    for api in ("stream", "unary"):
        assert "output UINT8 [48, 64, 3]" in findings[f"probe, {api}"]["found"]
    assert "h264, 64x48, 30 frames/s declared, about 30 frames" in findings[f"source {clip}"]["found"]
    assert findings["server live"]["found"] == findings["server ready"]["found"] == "yes"
    assert "libx264" in findings["encoders"]["found"]
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_tritonclient_can_ask_the_server_too(tmp_path: Path, pass_through_server: str, api: str) -> None:
    server = ("--grpc_address", pass_through_server, "--model_name", "passThrough", "--api", api)
    status, findings = examine(tmp_path, *server, "--stock_client")
    assert (status, failed(findings)) == (0, set())
    assert findings["stock client, ready"]["found"] == "passThrough: yes"
    assert findings["stock client, metadata"]["found"] == "passThrough: image -> output"
    assert findings["stock client, infer"]["found"].startswith("passThrough: output UINT8 [")


def test_a_missing_tritonclient_is_a_warning_with_a_remedy(
    tmp_path: Path, pass_through_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    server = ("--grpc_address", pass_through_server, "--model_name", "passThrough")
    status, findings = examine(tmp_path, *server, "--stock_client")
    assert (status, findings["stock client"]["status"]) == (0, "warning")
    assert "ovms-stream-client[clients]" in findings["stock client"]["remedy"]


def test_models_that_compute_in_fewer_bits_are_a_warning() -> None:
    found = precision({"pose": "bf16", "hand": "f32", "face": "bf16"}, "bf16")
    assert (found.status, found.found) == ("warning", "bf16: pose face, f32: hand")
    assert "INFERENCE_PRECISION_HINT" in found.remedy


def test_without_a_server_the_rest_is_still_examined(tmp_path: Path, nobody: str) -> None:
    status, findings = examine(tmp_path, "--grpc_address", nobody, "--input_stream", "testsrc@100")
    assert (status, failed(findings)) == (1, {f"server {nobody}"})
    assert "refused" in findings[f"server {nobody}"]["found"]
    assert findings["probe"]["status"] == "skipped"
    assert "100 frames/s declared, live" in findings["source testsrc@100"]["found"]


def test_a_port_that_speaks_no_grpc_is_told_apart(tmp_path: Path) -> None:
    web = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = Thread(target=web.serve_forever)
    thread.start()
    try:
        address = f"127.0.0.1:{web.server_address[1]}"
        status, findings = examine(tmp_path, "--grpc_address", address, "--connect_timeout", 1)
    finally:
        web.shutdown()
        thread.join()
        web.server_close()
    assert (status, failed(findings)) == (1, {"gRPC"})
    assert "not the REST port" in findings["gRPC"]["remedy"]


def test_an_unknown_servable_is_named(tmp_path: Path, pass_through_server: str) -> None:
    status, findings = examine(tmp_path, "--grpc_address", pass_through_server)
    assert status == 1
    assert failed(findings) == {"servable", "probe, stream"}
    assert "--model_name" in findings["servable"]["remedy"]


def test_a_server_without_health_calls_passes_if_it_answers_frames(tmp_path: Path, server: ScriptedServer) -> None:
    status, findings = examine(tmp_path, "--grpc_address", server.address, "--model_name", "graph")
    assert (status, failed(findings)) == (0, set())
    assert findings["server live"]["status"] == "warning"
    assert findings["probe, stream"]["status"] == "ok"


def as_ovms(server: ScriptedServer, version: str) -> ScriptedServer:
    server.name, server.version = "OpenVINO Model Server", version
    return server


def test_a_release_without_the_holistic_calculators_is_a_warning(tmp_path: Path, server: ScriptedServer) -> None:
    given = ("--grpc_address", as_ovms(server, "2027.0.1.abcdef12").address, "--model_name", "graph")
    status, findings = examine(tmp_path, *given)
    release = findings["server's release"]
    assert (status, release["status"]) == (0, "warning")
    assert release["found"] == (
        "OVMS 2027.0: python nodes, graph pools, idle unloading, nv12; no holistic calculators, tfs"
    )
    assert "graphs/holistic_python" in release["remedy"]
    assert "the first frame waits" in findings["server's idle unloading"]["found"]


def test_an_older_release_has_what_it_had(tmp_path: Path, server: ScriptedServer) -> None:
    given = ("--grpc_address", as_ovms(server, "2026.1.0").address, "--model_name", "graph")
    _, findings = examine(tmp_path, *given)
    found = "OVMS 2026.1: holistic calculators, python nodes, nv12, tfs; no graph pools, idle unloading"
    assert (findings["server's release"]["status"], findings["server's release"]["found"]) == ("ok", found)
    assert "server's idle unloading" not in findings


def test_a_graph_from_a_pool_is_a_warning(tmp_path: Path) -> None:
    graph = (ROOT / "graphs" / "pass_through" / "graph.pbtxt").read_text()
    (tmp_path / "graph.pbtxt").write_text(f"# OVMS_GRAPH_QUEUE_MAX_SIZE: 1\n{graph}")
    with graph_server_process("--model_name", "pooled", "--model_path", str(tmp_path)) as pooled:
        given = ("--grpc_address", pooled.address, "--model_name", "pooled")
        status, findings = examine(tmp_path, *given)
    assert (status, failed(findings)) == (0, set())
    assert "the graph keeps its state from one stream to the next" in findings["graph pool"]["found"]
    assert "OVMS_GRAPH_QUEUE_OFF=1" in findings["graph pool"]["remedy"]


def test_a_graph_of_its_own_for_each_stream_is_no_finding(tmp_path: Path, pass_through_server: str) -> None:
    _, findings = examine(tmp_path, "--grpc_address", pass_through_server, "--model_name", "passThrough")
    assert "graph pool" not in findings


def test_the_mode_that_the_run_needs_counts(tmp_path: Path, server: ScriptedServer) -> None:
    def no_streaming(request: Any, number: int) -> Iterator[Any]:
        yield (grpc.StatusCode.INTERNAL, "out of order")

    server.script = no_streaming
    given = ("--grpc_address", server.address, "--model_name", "graph")
    status, findings = examine(tmp_path, *given, "--api", "unary")
    assert (status, failed(findings)) == (1, {"probe, unary"})
    assert "out of order" in findings["probe, unary"]["found"]
    assert findings["probe, stream"]["status"] == "warning"


def test_a_server_that_never_answers_ends_the_probe(tmp_path: Path, server: ScriptedServer) -> None:
    server.script = lambda request, number: iter(())
    given = ("--grpc_address", server.address, "--model_name", "graph", "--request_timeout", 0.5)
    _, findings = examine(tmp_path, *given)
    assert findings["probe, stream"]["status"] == "failed"
    assert "--request_timeout" in findings["probe, stream"]["remedy"]


def output_finding(tmp_path: Path, nobody: str, url: str, *more: str) -> dict[str, str]:
    """What is found about an output, with the password left out of its name."""
    _, findings = examine(tmp_path, "--grpc_address", nobody, "--output_stream", url, *more)
    (found,) = [finding for name, finding in findings.items() if name.startswith("output ")]
    return found


def test_an_output_is_announced_and_not_recorded(tmp_path: Path, nobody: str) -> None:
    with RtspServer(publish=["x"]) as media:
        for _ in range(2):  # nothing is left there
            found = output_finding(tmp_path, nobody, media.url("publish/x"))
            assert (found["status"], "announced, not sent" in found["found"]) == ("ok", True)


def test_an_output_where_somebody_publishes_is_a_warning(tmp_path: Path, nobody: str) -> None:
    with RtspServer(play={"x": PATTERN}) as media:
        found = output_finding(tmp_path, nobody, media.url("x"))
    assert (found["status"], "somebody publishes there already" in found["found"]) == ("warning", True)


def test_an_output_whose_path_is_unknown_fails(tmp_path: Path, nobody: str) -> None:
    with RtspServer(publish=["x"]) as media:
        found = output_finding(tmp_path, nobody, media.url("publish/y"))
    assert (found["status"], "404" in found["found"]) == ("failed", True)


def test_an_output_that_refuses_the_credentials_fails(tmp_path: Path, nobody: str) -> None:
    with RtspServer(publish=["x"], credentials=("user", "secret")) as media:
        wrong = output_finding(tmp_path, nobody, media.url("publish/x", "user:wrong"))
        right = output_finding(tmp_path, nobody, media.url("publish/x", "user:secret"))
    assert (wrong["status"], right["status"]) == ("failed", "ok")
    assert "the server refuses the credentials" in wrong["found"]
    assert "wrong" not in f"{wrong['check']}{wrong['found']}"


def test_an_output_by_tls_to_a_plain_port_fails(tmp_path: Path, nobody: str) -> None:
    with RtspServer(publish=["x"]) as media:
        found = output_finding(tmp_path, nobody, media.url("publish/x").replace("rtsp://", "rtsps://"))
    assert (found["status"], "TLS" in found["found"]) == ("failed", True)


def test_an_output_where_nothing_listens_fails(tmp_path: Path, nobody: str) -> None:
    found = output_finding(tmp_path, nobody, f"rtsp://{nobody}/x")
    assert (found["status"], "connection refused" in found["found"]) == ("failed", True)


def test_a_long_name_keeps_apart_from_what_was_found() -> None:
    short = line(ok("server live", "yes"))
    assert short == f"{'ok':8}{'server live':28}yes"
    long = line(ok("output rtsp://media.example.com/live/a", "taken"))
    assert long == f"{'ok':8}output rtsp://media.example.com/live/a\n{'':36}taken"


def test_sources_and_outputs_that_cannot_work_fail(tmp_path: Path, pass_through_server: str) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    given = ("--grpc_address", pass_through_server, "--model_name", "passThrough")
    status, findings = examine(
        tmp_path,
        *(*given, "--input_stream", tmp_path / "text.mp4", "--output_stream", "out.gif"),
        *("--output_stream", tmp_path / "no" / "out.mp4"),
    )
    assert status == 1
    assert failed(findings) == {
        f"source {tmp_path / 'text.mp4'}",
        "output out.gif",
        f"output {tmp_path / 'no' / 'out.mp4'}",
    }
    assert "ffmpeg -i" in findings[f"source {tmp_path / 'text.mp4'}"]["remedy"]


def test_passwords_are_not_shown(tmp_path: Path, nobody: str) -> None:
    url = f"rtsp://user:secret@{nobody}/live"
    report = tmp_path / "findings.json"
    done = run_here("doctor", "--grpc_address", nobody, "--input_stream", url, "--source_timeout", 1, "--json", report)
    assert done.returncode == 1
    assert f"failed  source rtsp://***@{nobody}/live" in done.stdout
    assert "secret" not in done.stdout + done.stderr + report.read_text()


def test_a_missing_display_fails_only_who_wants_it(
    tmp_path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    _, findings = examine(tmp_path, "--grpc_address", nobody)
    assert findings["display"]["status"] == "warning"
    _, findings = examine(tmp_path, "--grpc_address", nobody, "--output_stream", "screen")
    assert findings["display"]["status"] == "failed"


def test_a_display_is_found(tmp_path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    ) as xvfb:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            monkeypatch.setenv("DISPLAY", f":{pipe.readline().strip()}")
        _, findings = examine(tmp_path, "--grpc_address", nobody, "--output_stream", "screen", run=run_client)
        xvfb.terminate()
    assert findings["display"]["status"] == "ok"
    assert "800x600" in findings["display"]["found"]


def test_flags_that_contradict_each_other_are_usage_errors(nobody: str) -> None:
    done = run_here("doctor", "--grpc_address", nobody, "--tls_ca", "ca.pem")
    assert done.returncode == 2
    assert "need tls (--tls)" in done.stderr


def test_an_rtsp_source_is_told_with_codec_rate_and_transport(tmp_path: Path, nobody: str) -> None:
    with RtspServer(play={"test": PATTERN}) as rtsp:
        url = rtsp.url("test")
        _, findings = examine(tmp_path, "--grpc_address", nobody, "--input_stream", url)
        assert failed(findings) == {f"server {nobody}"}
        assert findings[f"source {url}"]["found"] == "h264, 160x120, 30 frames/s declared, live"
        assert findings["RTSP transport"]["found"] == "tcp works"
        assert findings["source's rate"]["status"] == "ok"
        url = rtsp.url("other")
        _, findings = examine(tmp_path, "--grpc_address", nobody, "--input_stream", url)
        assert findings[f"source {url}"]["status"] == "failed"
        assert "start what publishes it" in findings[f"source {url}"]["remedy"]
        assert "RTSP transport" not in findings
