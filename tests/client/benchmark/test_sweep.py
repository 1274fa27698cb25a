"""The sweep, as a user meets it."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image as PillowImage

from stream_client.benchmark.sweep import Point, points, read_frames
from stream_client.cli.benchmark import main
from tests.support.kserve_server import ScriptedServer, echo

QUICK = ("--limit_stream_duration", 0.5, "--benchmark_window", 0.2, "--warmup_frames", 2)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream_client", "benchmark", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_every_combination_is_a_point() -> None:
    assert points(["stream", "unary"], [(160, 120)], [1, 4]) == [
        Point("stream", 160, 120, 1),
        Point("stream", 160, 120, 4),
        Point("unary", 160, 120, 1),
        Point("unary", 160, 120, 4),
    ]


def test_a_sweep_gives_a_table_a_plot_and_files(tmp_path: Path, clip: Path, server: ScriptedServer) -> None:
    done = run(
        *("--grpc_address", server.address, "--input_stream", clip, "--max_inflight", "1,2", "--api", "stream,unary"),
        *("--size", "64x48,128x96", "--plot", tmp_path / "sweep.png", "--report", tmp_path / "sweep.json", *QUICK),
    )
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header.split()[:3] == ["api", "size", "in"]
    chosen = [tuple(row.split()[:3]) for row in rows]
    assert chosen == [
        (api, size, window) for api in ("stream", "unary") for size in ("64x48", "128x96") for window in ("1", "2")
    ]
    shapes = {tuple(request.inputs[0].shape) for request in server.requests}
    assert shapes == {(48, 64, 3), (96, 128, 3)}
    with PillowImage.open(tmp_path / "sweep.png") as picture:
        assert picture.format == "PNG"
        colors = picture.convert("RGB").getcolors(1 << 20)
        assert colors is not None
        assert len(colors) > 20
    reports = json.loads((tmp_path / "sweep.json").read_text())["points"]
    assert [report["settings"]["max_inflight"] for report in reports] == [1, 2] * 4
    assert all(report["measurement"]["frames"] > 0 for report in reports)
    with (tmp_path / "sweep.csv").open() as file:
        assert [row["Concurrency"] for row in csv.DictReader(file)] == ["1", "2"] * 4


def test_a_point_that_fails_is_a_row_and_the_others_are_measured(server: ScriptedServer) -> None:
    def script(request: Any, number: int) -> Iterator[Any]:
        if request.inputs[0].shape[0] == 96:
            yield (grpc.StatusCode.INVALID_ARGUMENT, "too tall")
        else:
            yield from echo(request, number)

    server.script = script
    done = run("--grpc_address", server.address, "--max_inflight", 1, "--size", "128x96,64x48", *QUICK)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()[1:]
    assert "too tall" in first
    assert float(second.split()[3]) > 0


def test_without_matplotlib_a_plot_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["--plot", str(tmp_path / "sweep.png"), "--grpc_address", "127.0.0.1:1"]) == 2
    assert "pip install 'ovms-stream-client[bench]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--max_inflight", "1,x"], "list of numbers"),
        (["--max_inflight", "0"], "list of numbers"),
        (["--api", "rest"], "stream, unary"),
        (["--size", "640"], "list of sizes"),
        (["--plot", "/nowhere/x.png"], "no folder /nowhere"),
        (["--plot", "x.txt"], ".png"),
        (["--limit_stream_duration", "0"], "above 0"),
    ],
)
def test_arguments_that_cannot_work_are_usage_errors(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert text in capsys.readouterr().err


def test_no_server_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--grpc_address", "127.0.0.1:1", "--connect_timeout", "0.5"]) == 1
    assert "no gRPC server answers" in capsys.readouterr().err


def test_the_first_pictures_of_a_file_are_kept(clip: Path) -> None:
    pictures = read_frames(str(clip))
    assert len(pictures) == 30
    assert len({picture.tobytes() for picture in pictures}) == 30
