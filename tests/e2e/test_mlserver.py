"""A plain KServe v2 server that is not ours: MLServer, from PyPI, in a virtual environment of its own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import run_client
from tests.support.environments import interpreter_of, wait_until_ready
from tests.support.ports import free_port
from tests.support.video import read_back

pytestmark = [pytest.mark.environment, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlserver")
    http, rpc, metrics = free_port(), free_port(), free_port()
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": rpc,
        "metrics_port": metrics,
        "parallel_workers": 0,
        "gzip_enabled": False,
        "grpc_max_message_length": -1,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {
        "name": "echo",
        "implementation": "runtime.Echo",
        "platform": "echo",
        "inputs": [{"name": "picture", "datatype": "UINT8", "shape": [-1, -1, 3]}],
        "outputs": [{"name": "returned", "datatype": "UINT8", "shape": [-1, -1, 3]}],
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "runtime.py").write_text((Path(__file__).parent / "mlserver" / "runtime.py").read_text())
    python = interpreter_of("mlserver")
    command = [str(python), "-m", "mlserver.cli.main", "start", str(folder)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{http}/v2/health/ready", folder / "log")
            yield f"127.0.0.1:{rpc}"
        finally:
            process.terminate()
            process.wait(20)


def test_unary_calls_work_with_a_server_that_is_not_ours(address: str, clip: Path, tmp_path: Path) -> None:
    done = run_client(
        *("--grpc_address", address, "--api", "unary", "--model_name", "echo"),
        *("--input_stream", clip, "--output_stream", tmp_path / "out.mp4"),
        *("--labels_output", tmp_path / "labels.jsonl"),
    )
    assert done.returncode == 0, done.stderr
    assert "30 frames: 30 delivered, 0 dropped, 0 failed" in done.stderr
    assert len(read_back(tmp_path / "out.mp4")) == 30
    labels = [json.loads(line)["label"] for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert labels == [None] * 30


def test_its_streaming_is_recognised_and_explained(address: str, clip: Path) -> None:
    done = run_client(
        "--grpc_address", address, "--model_name", "echo", "--input_stream", clip, "--output_stream", "none"
    )
    assert done.returncode == 1
    assert "streams bare ModelInferResponse messages" in done.stderr
    assert "make unary calls (--api unary)" in done.stderr


def test_the_doctor_finds_what_the_server_offers_and_what_not(address: str) -> None:
    given = ("doctor", "--grpc_address", address, "--model_name", "echo")
    done = run_client(*given, "--api", "unary")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model on echo: picture UINT8 [-1, -1, 3] -> returned UINT8 [-1, -1, 3]" in done.stdout
    assert "server ready                yes" in done.stdout
    done = run_client(*given)
    assert done.returncode == 1
    assert "failed  probe, stream" in done.stdout
    assert "(--api unary)" in done.stdout
