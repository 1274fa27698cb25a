"""Clients that people have, each from PyPI, against our graph server: a graph and a model, in an environment apart."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openvino as ov
import openvino.opset13 as ops
import pytest

from stream_client.embedded import EmbeddedServer
from tests.conftest import ROOT
from tests.support.environments import interpreter_of
from tests.support.graph_server import graph_server_process

pytestmark = [pytest.mark.environment, pytest.mark.timeout(240)]

CASES = [
    *[("triton_grpc", case) for case in ("blocking", "streaming", "demo", "asynchronous", "memory")],
    *[("triton_http", case) for case in ("blocking", "asynchronous")],
    *[("kserve_package", case) for case in ("over_grpc", "over_rest")],
    *[("ovmsclient_package", case) for case in ("predict", "metadata", "status", "refusals", "http")],
    *[("model_api_package", case) for case in ("adapter", "classifier")],
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    folder = tmp_path_factory.mktemp("served")
    write_colors(folder / "colors" / "1")
    entries = [
        {"config": {"name": "passThrough", "base_path": str(ROOT / "graphs" / "pass_through")}},
        {"config": {"name": "colors", "base_path": str(folder / "colors")}},
    ]
    (folder / "config.json").write_text(json.dumps({"model_config_list": entries}))
    with graph_server_process("--tfs", "--config_path", str(folder / "config.json")) as made:
        yield made


def write_colors(folder: Path) -> None:
    """A model with the mean of each channel, which says what its outputs are called."""
    image = ops.parameter([1, 8, 8, 3], ov.Type.f32, name="image")
    image.output(0).set_names({"image"})
    scores = ops.reduce_mean(image, ops.constant([1, 2]), keep_dims=False)
    scores.output(0).set_names({"scores"})
    model = ov.Model([scores], [image], "colors")
    for key, value in {"model_type": "Classification", "labels": "red green blue", "layout": "image:NHWC"}.items():
        model.set_rt_info(value, ["model_info", key])
    folder.mkdir(parents=True)
    ov.save_model(model, folder / "colors.xml", compress_to_fp16=False)


@pytest.mark.parametrize(("script", "case"), CASES)
def test_a_client_gets_what_it_asks_for(server: EmbeddedServer, script: str, case: str) -> None:
    command = [str(interpreter_of("clients")), "-m", f"tests.e2e.clients.{script}", case]
    done = subprocess.run(
        [*command, server.address, str(server.rest_address)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
