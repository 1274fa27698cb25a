"""Benchmark mode, as a user meets it."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_client.monitoring.stages import STAGES
from tests.support.client import run_client, run_here
from tests.support.kserve_server import ScriptedServer, answer, echo, slow


def test_the_report_has_every_stage_outcome_and_the_environment(
    clip: Path, tmp_path: Path, server: ScriptedServer
) -> None:
    path = tmp_path / "report.json"
    done = run_client(
        *("--grpc_address", server.address, "--input_stream", clip, "--benchmark", "--max_inflight", 3),
        *("--warmup_frames", 10, "--output_stream", "none", "--report", path),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    measured = report["measurement"]
    assert (measured["frames"], report["outcomes"]["delivered"], report["outcomes"]["failed"]) == (20, 30, {})
    assert list(measured["stages"]) == list(STAGES)
    assert sum(stage["mean"] for stage in measured["stages"].values()) == pytest.approx(measured["latency"]["mean"])
    ordered = [measured["latency"][name] for name in ("minimum", "p50", "p90", "p95", "p99", "maximum")]
    assert ordered == sorted(ordered)
    assert measured["sinks"]["none"]["count"] >= 20
    assert (report["model"], report["width"], report["height"]) == ("holisticClassifier", 64, 48)
    assert report["environment"]["cpu"]
    assert {"python", "av", "grpcio", "numpy"} <= set(report["environment"]["versions"])
    assert report["peak_memory"] > 10_000_000
    assert measured["cpu_seconds"] > 0
    assert "= latency" in done.stderr
    assert "30 delivered, 0 dropped, 0 failed" in done.stderr


def test_the_csv_has_perf_analyzers_columns(clip: Path, tmp_path: Path, server: ScriptedServer) -> None:
    done = run_client(
        *("--grpc_address", server.address, "--input_stream", clip, "--benchmark", "--max_inflight", 3),
        *("--warmup_frames", 0, "--report", tmp_path / "report.json"),
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "report.csv").open() as file:
        header, *rows = csv.reader(file)
    # From perf_analyzer's documentation (docs/benchmarking.md, "Visualizing Latency vs. Throughput").
    assert ",".join(header).startswith(
        "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue"
    )
    assert len(rows) == 1
    values = dict(zip(header, rows[0], strict=True))
    assert values["Concurrency"] == "3"
    parts = [int(values[name]) for name in ("Client Send", "Network+Server Send/Recv", "Client Recv")]
    report = json.loads((tmp_path / "report.json").read_text())["measurement"]
    assert sum(parts) == pytest.approx(1e6 * report["request"]["mean"], abs=2)
    assert int(values["p50 latency"]) <= int(values["p99 latency"])
    assert values["Server Compute Infer"] == ""


def test_an_endless_run_ends_when_it_is_stable(server: ScriptedServer) -> None:
    server.script = slow(0.04)
    done = run_client(
        *("--grpc_address", server.address, "--input_stream", "testsrc:160x120@max", "--benchmark"),
        *("--benchmark_window", 0.5, "--max_inflight", 1, "--limit_stream_duration", 40),
    )
    assert done.returncode == 0, done.stderr
    assert "(stable; 20 frames of warm-up left out)" in done.stderr
    # The end drops nothing that was read.
    assert ", 0 dropped, 0 failed" in done.stderr
    assert json.loads(done.stdout)["dropped_frames"] == 0


def test_a_file_that_is_written_is_written_to_its_end(tmp_path: Path, clip: Path, server: ScriptedServer) -> None:
    done = run_client(
        *("--grpc_address", server.address, "--input_stream", clip, "--benchmark", "--warmup_frames", 1),
        *("--benchmark_window", 0.0001, "--output_stream", tmp_path / "out.mp4"),
    )
    assert json.loads(done.stdout)["frames"] == 30


def test_the_demos_line_counts_what_was_lost_and_leaves_out_starting_and_stopping(
    clip: Path, server: ScriptedServer
) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        return iter(["no"]) if number in (3, 4) else echo(request, number)

    server.script = script
    done = run_client("--grpc_address", server.address, "--input_stream", clip, "--benchmark", "--request_timeout", 2)
    values = json.loads(done.stdout)
    assert (values["frames"], values["dropped_frames"]) == (28, 2)
    assert values["fps"] == pytest.approx(values["frames"] / values["total_time"])
    assert 0 < values["average_inference_latency"] < values["sent_all_frames"] <= values["total_time"]


def test_the_demos_line_of_a_run_without_answers_is_valid_json(clip: Path, server: ScriptedServer) -> None:
    server.script = lambda request, number: iter([answer(request, "output")] if number > 100 else ())
    done = run_client(
        *("--grpc_address", server.address, "--input_stream", clip, "--benchmark", "--limit_frames", 2),
        *("--request_timeout", 0.5, "--reconnect_timeout", 1),  # a file's frame is asked for again until then
    )
    values = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (values["frames"], values["dropped_frames"], values["average_inference_latency"]) == (0, 2, None)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--report", "r.json"], "need --benchmark"),
        (["--benchmark", "--warmup_frames", "-1"], "--warmup_frames"),
        (["--benchmark", "--benchmark_window", "0"], "--benchmark_window"),
        (["--benchmark", "--report", "/nowhere/r.json"], "no folder /nowhere"),
        (["--benchmark", "--report", "r.csv"], "beside it"),
    ],
)
def test_flags_that_cannot_work_are_usage_errors(clip: Path, arguments: list[str], text: str) -> None:
    done = run_here("--input_stream", clip, "--output_stream", "none", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
