"""Loading: a defective graph is not ready, says why, and disturbs no other."""

from pathlib import Path

import pytest

from graph_server.config.collector import GraphConfig
from graph_server.config.server_config import ServerConfig, only, read_config
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.servables import load as loading
from graph_server.servables.served import Servables
from tests.conftest import ROOT

GOOD = 'input_stream: "a" output_stream: "b" node { calculator: "PassThroughCalculator" input_stream: "a" '
GOOD += 'output_stream: "b" }'


def load(config: ServerConfig) -> Servables:
    return loading.load(config, Servables(ModelRepository(Runtime()))).servables


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b'input_stream: "a" output_stream: "b" node { calculator: "Nope" }', 'node "Nope" (line 1)'),
    ],
)
def test_a_defective_graph_is_not_ready_and_disturbs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, text: str
) -> None:
    (tmp_path / "bad.pbtxt").write_bytes(content)
    (tmp_path / "good.pbtxt").write_text(GOOD)
    config = ServerConfig((), tuple(GraphConfig(name, tmp_path / f"{name}.pbtxt") for name in ("bad", "good")))
    loaded = load(config)
    assert loaded.graphs["bad"] is None
    assert loaded.graphs["good"] is not None
    assert text in caplog.text


def test_whatever_goes_wrong_in_loading_becomes_an_error_of_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **keywords: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(loading, "parse_graph", broken)
    (tmp_path / "good.pbtxt").write_text(GOOD)
    config = ServerConfig((), (GraphConfig("good", tmp_path / "good.pbtxt"),))
    assert load(config).graphs == {"good": None}
    assert "good.pbtxt cannot be loaded: RuntimeError: nobody foresaw this" in caplog.text


def test_of_one_graph_only_its_own_models_are_read_and_the_others_when_they_are_asked_for(models_dir: Path) -> None:
    mounts = {"graphs": ROOT / "graphs", "models": models_dir}
    loaded = load(only(read_config(ROOT / "server_config" / "config.json", mounts), "holisticPose"))
    assert list(loaded.label_files) == ["holisticPose"]
    assert {"pose_detection", "pose_landmark_full"} <= loaded.models.precisions.keys()
    assert not {"hand_landmark_full", "pose_classifier"} & loaded.models.precisions.keys()
    other = loaded.models.get("pose_classifier")
    assert other.inputs[0].shape == (1, 195)
    other.compile()
    assert "pose_classifier" in loaded.models.precisions
