"""The command line, as a user meets it: a process, its output, its exit status."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stream_client.cli.command import main
from tests.conftest import ROOT
from tests.support.client import run_client
from tests.support.kserve_server import ScriptedServer, slow
from tests.support.scripted_rtsp import ScriptedRtsp
from tests.support.video import read_back, write_video
from tests.support.waiting import wait_for_lines


def test_a_run_writes_its_outputs_one_summary_line_and_one_verdict(
    clip: Path, tmp_path: Path, server: ScriptedServer
) -> None:
    done = run_client(
        *("--grpc_address", server.address, "--input_stream", clip, "--output_stream", tmp_path / "a.mp4"),
        *("--output_stream", tmp_path / "b.mkv", "--labels_output", tmp_path / "labels.jsonl"),
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("30 frames: 30 delivered, 0 dropped, 0 failed in ")
    _, judgement = done.stderr.splitlines()
    assert judgement.startswith("verdict: ")
    assert len(read_back(tmp_path / "a.mp4")) == len(read_back(tmp_path / "b.mkv")) == 30
    lines = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == list(range(30))


def test_benchmark_prints_the_demos_line(clip: Path, server: ScriptedServer) -> None:
    done = run_client("--grpc_address", server.address, "--input_stream", clip, "--benchmark")
    values = json.loads(done.stdout)
    assert (values["frames"], values["dropped_frames"]) == (30, 0)
    assert 0 < values["average_inference_latency"] < values["total_time"]


def test_help_names_every_flag_of_the_demo_client() -> None:
    text = run_client("--help").stdout
    for flag in (
        *("grpc_address", "input_stream", "output_stream", "model_name", "input_name", "verbose"),
        *("benchmark", "limit_stream_duration", "limit_frames"),
    ):
        assert f"--{flag}" in text


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--input_stream", "missing.mp4", "--output_stream", "none"], 1, "missing.mp4 does not exist"),
        (["--input_stream", "CLIP"], 2, "name an --output_stream"),
        (
            ["--input_stream", "CLIP", *2 * ["--output_stream", "rtsp://me:pw@h/x"]],
            2,
            "rtsp://***@h/x is named twice (--output_stream)",
        ),
        (
            ["--input_stream", "CLIP", "--output_stream", "rtsp://h/x", "--output_stream", "RTSP://me:pw@H:554/x"],
            2,
            "RTSP://***@H:554/x is named twice (--output_stream)",
        ),
        (["--input_stream", "rtsp://h/x", "--output_stream", "rtsp://me:pw@h:554/x"], 2, "twice, by input_stream too"),
        (["--input_stream", "CLIP", "--output_stream", "rtsp://[x", "--output_stream", "rtsp://[y"], 2, "is no URL"),
        (["--input_stream", "CLIP", "--output_stream", "out.gif"], 2, "unknown extension '.gif'"),
        (["--input_stream", "CLIP", "--output_stream", "/nowhere/out.mp4"], 1, "cannot write /nowhere/out.mp4"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--max_inflight", "x"], 2, "--max_inflight"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--tls_ca", "a"], 2, "need tls (--tls)"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--input_dtype", "FP7"], 2, "--input_dtype"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--model_name", "x"], 1, "no model or graph named 'x'"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--input_name", "x"], 1, "has no input 'x', only image"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--output_name", "x"], 2, "no output 'x', only output"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--labels", "x.txt"], 2, "cannot read label names"),
        (["--input_stream", "CLIP", "--labels_output", "CLIP"], 2, "is named twice, by input_stream too (--labels_"),
        (["--input_stream", "CLIP", "--loop", "--output_stream", "CLIP"], 2, "named twice"),
        (["--input_stream", "CLIP", "--output_stream", "a.mp4", "--output_stream", "./a.mp4"], 2, "named twice"),
        (["--input_stream", "ftp://host/a.mp4", "--output_stream", "none"], 2, "ftp:// input is not supported"),
        (["--input_stream", "rtsp://", "--output_stream", "none"], 2, "(--input_stream)"),
        (["--input_stream", "udp://", "--output_stream", "none"], 2, "no URL: it begins with udp://host:port"),
        (["--input_stream", "srt://h", "--output_stream", "none"], 2, "and after it ?streamid=…&passphrase=…"),
        (["--input_stream", "rtmp://h", "--output_stream", "none"], 2, "and a stream: /live/KEY after the host"),
        (["--input_stream", "CLIP", "--output_stream", "rtsp://u:secret@host:port/"], 2, "rtsp://***@host:port/ is no"),
        (["--input_stream", "CLIP", "--output_stream", "rtsp://h/", "--encoder", "pyav:mpeg4"], 2, "no H.264 encoder"),
        (["--input_stream", "CLIP", "--output_stream", "none", "--camera_fps", "5"], 2, "for cameras only"),
        (["--input_stream", "testsrc", "--output_stream", "none", "--loop"], 2, "for files only"),
        (
            ["--input_stream", "CLIP", "--output_stream", "none", "--quality", "52"],
            2,
            "range: 0 to 51 (--quality)",
        ),
        (
            ["--input_stream", "CLIP", "--output_stream", "none", "--request_timeout", "nan"],
            2,
            "nan s is out of range: above 0 (--request_timeout)",
        ),
        (["--input_stream", "CLIP", "--output_stream", "none", "--latency_target", "0"], 2, "(--latency_target)"),
        (
            [
                *("--input_stream", "CLIP", "--output_stream", "none"),
                *("--latency_budget", "25", "--drop_policy", "block"),
            ],
            2,
            "block leaves out none (--drop_policy latest)",
        ),
        (
            [
                *("--input_stream", "CLIP", "--output_stream", "none"),
                *("--latency_budget", "9", "--latency_target", "9"),
            ],
            2,
            "name one (--latency_target)",
        ),
        (
            ["--input_stream", "CLIP", "--output_stream", "none", "--limit_stream_duration", "inf"],
            2,
            "inf s is out",
        ),
        (
            ["--input_stream", "CLIP", "--output_stream", "none", "--connect_timeout", "-1"],
            2,
            "-1 s is out of range: above 0",
        ),
    ],
)
def test_bad_input_is_one_line_and_a_status(
    clip: Path,
    server: ScriptedServer,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    text: str,
) -> None:
    replaced = [str(clip) if argument == "CLIP" else argument for argument in arguments]
    assert main(["--grpc_address", server.address, *replaced]) == status
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("error: ")
    assert text in errors[-1]
    assert not any(line.startswith(("error", "Traceback")) for line in errors[:-1])


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:99999", "unix:"])
def test_a_malformed_address_is_a_usage_error(clip: Path, capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert main(["--grpc_address", address, "--input_stream", str(clip), "--output_stream", "none"]) == 2
    assert "--grpc_address" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_with_everything_finalised(
    tmp_path: Path, server: ScriptedServer, number: signal.Signals
) -> None:
    clip = write_video(tmp_path / "long.mp4", frames=300)
    server.script = slow(0.02)
    labels = tmp_path / "labels.jsonl"
    command = [
        *(sys.executable, "client.py", "--grpc_address", server.address, "--input_stream", str(clip)),
        *("--output_stream", str(tmp_path / "out.mp4"), "--labels_output", str(labels)),
    ]
    process = subprocess.Popen(command, cwd=ROOT / "client", stderr=subprocess.PIPE, text=True)
    wait_for_lines(labels, 10, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    count = len(labels.read_text().splitlines())
    assert process.returncode == 128 + number
    assert "delivered" in errors
    assert 10 <= count < 300
    assert len(read_back(tmp_path / "out.mp4")) == count


def test_an_output_that_took_no_frame_ends_the_run_with_a_status_and_nothing_counts_as_delivered(
    server: ScriptedServer,
) -> None:
    with ScriptedRtsp("", b"", refused={"RECORD": "400 Bad Request"}) as refusing:
        done = run_client(
            *("--grpc_address", server.address, "--input_stream", "testsrc:160x120@30", "--limit_frames", "10"),
            *("--drop_policy", "block"),
            *("--output_stream", refusing.url),
        )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "10 frames: 0 delivered" in done.stderr
    assert "(taken by no output: 10)" in done.stderr
    assert "10 lost while it was away" in done.stderr
    assert lines[-1].startswith(f"error: {refusing.url} took no frame: RECORD was answered with 400 Bad Request: ")


def test_a_frame_that_one_of_two_outputs_took_is_delivered_and_the_other_still_costs_the_status(
    server: ScriptedServer,
) -> None:
    with ScriptedRtsp("", b"", refused={"RECORD": "400 Bad Request"}) as refusing:
        done = run_client(
            *("--grpc_address", server.address, "--input_stream", "testsrc:160x120@30", "--limit_frames", "10"),
            *("--drop_policy", "block"),
            *("--output_stream", refusing.url, "--output_stream", "none"),
        )
    assert done.returncode == 1
    assert "10 frames: 10 delivered" in done.stderr


def test_verbose_shows_the_traceback(server: ScriptedServer) -> None:
    done = run_client(
        "--verbose", "--grpc_address", server.address, "--input_stream", "no.mp4", "--output_stream", "none"
    )
    assert "Traceback" in done.stderr


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).parent / "ovms-stream-client"
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0
    assert "--input_stream" in done.stdout


def test_ctrl_c_while_no_server_answers_ends_without_a_word(clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = [sys.executable, "client.py", "--grpc_address", f"127.0.0.1:{silent.getsockname()[1]}"]
        command += ["--connect_timeout", "3600", "--input_stream", str(clip), "--output_stream", "none"]
        client = subprocess.Popen(command, cwd=ROOT / "client", stderr=subprocess.PIPE, text=True)
        with client, silent.accept()[0]:
            client.send_signal(signal.SIGINT)
            assert (client.communicate()[1], client.returncode) == ("", 130)


@pytest.mark.parametrize(
    ("module", "flags", "status"),
    [
        ("argparse", ["--help"], -signal.SIGINT),
        ("grpc", ["--input_stream", "none.mp4", "--output_stream", "none", "--grpc_address", "127.0.0.1:1"], 130),
        ("av", ["--input_stream", "none.mp4", "--output_stream", "none"], 130),  # the embedded server is on its way
    ],
)
def test_ctrl_c_while_modules_load_ends_without_a_word(
    tmp_path: Path, module: str, flags: list[str], status: int
) -> None:
    (tmp_path / f"{module}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    script = Path(sys.executable).parent / "ovms-stream-client"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([script, *flags], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
