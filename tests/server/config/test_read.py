"""Configurations: what OVMS's schema lets through, what they mean, and what is refused by name."""

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_server.config.read import ServerConfig, read_config, single_servable
from graph_server.config.schema import check_config
from graph_server.errors import ConfigError
from graph_server.metrics.registry import DEFAULT_FAMILIES
from graph_server.models.versions import VersionPolicy
from tests.conftest import ROOT


def written(folder: Path, content: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(folder: Path, content: Any) -> ServerConfig:
    return read_config(written(folder, content), folder / "models")


def one(**settings: Any) -> dict[str, Any]:
    return {"model_config_list": [{"config": {"name": "m", "base_path": "m", **settings}}]}


def test_the_projects_configuration_is_read() -> None:
    config = read_config(ROOT / "server_config" / "config.json", Path("nowhere"))
    assert {graph.name for graph in config.graphs} >= {"holisticClassifier", "holisticTracking", "passThrough"}
    assert all(graph.graph_path.is_file() for graph in config.graphs)
    assert config.metrics is None  # so that OVMS and this server take --metrics_enable


@pytest.mark.parametrize("path", ["server_config/config.json", "tests/conformance/config.json"])
def test_every_model_of_the_project_computes_in_float32(path: str) -> None:
    config = read_config(ROOT / path, Path("nowhere"))
    assert {model.plugin_config.get("INFERENCE_PRECISION_HINT") for model in config.models} == {"f32"}


def test_everything_a_model_may_say_is_read(tmp_path: Path) -> None:
    content = one(
        plugin_config={"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2},
        model_version_policy={"latest": {"num_versions": 2}},
        shape={"x": "(1,3,224:448,-1)"},
        layout="NHWC:NCHW",
        batch_size=8,
        nireq=4,
        target_device="AUTO",
        allow_cache=False,
    )
    (model,) = read(tmp_path, content).models
    assert model.plugin_config == {
        "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2, "CACHE_DIR": "",
    }  # fmt: skip
    assert model.policy == VersionPolicy("latest", count=2)
    assert model.preparation.shapes == {"x": "(1,3,224:448,-1)"}
    assert (model.preparation.layouts, model.preparation.batch_size) == ({"": "NHWC:NCHW"}, "8")
    assert (model.nireq, model.device) == (4, "AUTO")


def test_paths_are_relative_to_the_file_and_fall_back_to_the_model_repository(tmp_path: Path) -> None:
    (tmp_path / "here" / "1").mkdir(parents=True)
    content = {
        "model_config_list": [
            {"config": {"name": "a", "base_path": "here"}},
            {"config": {"name": "b", "base_path": "../far/away"}},
            {"config": {"name": "c", "base_path": str(tmp_path / "here")}},
        ]
    }
    paths = {model.name: model.base_path for model in read(tmp_path, content).models}
    assert paths == {"a": tmp_path / "here", "b": tmp_path / "models" / "away", "c": tmp_path / "here"}


def test_a_graph_has_defaults_for_its_paths_and_brings_the_models_of_its_subconfig(tmp_path: Path) -> None:
    written(tmp_path, {"model_config_list": [{"config": {"name": "inner", "base_path": "x"}}]}, "g/subconfig.json")
    written(tmp_path, {"model_config_list": [{"config": {"name": "other", "base_path": "y"}}]}, "h/more.json")
    content = {
        "model_config_list": [],
        "mediapipe_config_list": [
            {"name": "g"},
            {"name": "h", "base_path": "h", "graph_path": "flow.pbtxt", "subconfig": "more.json"},
        ],
    }
    config = read(tmp_path, content)
    assert [(graph.name, graph.graph_path) for graph in config.graphs] == [
        ("g", tmp_path / "g" / "graph.pbtxt"),
        ("h", tmp_path / "h" / "flow.pbtxt"),
    ]
    assert [model.name for model in config.models] == ["inner", "other"]
    assert set(config.files) == {
        tmp_path / "config.json",
        *(tmp_path / "g" / name for name in ("graph.pbtxt", "subconfig.json")),
        *(tmp_path / "h" / name for name in ("flow.pbtxt", "more.json")),
    }


def test_a_graph_may_stand_among_the_models(tmp_path: Path) -> None:
    written(tmp_path, "", "by_file/graph.pbtxt")
    content = {
        "model_config_list": [
            {"config": {"name": "by_key", "base_path": "k", "graph_path": "k.pbtxt"}},
            {"config": {"name": "by_file", "base_path": "by_file"}},
        ]
    }
    config = read(tmp_path, content)
    assert [graph.name for graph in config.graphs] == ["by_key", "by_file"]
    assert config.models == ()


def test_of_a_name_that_comes_twice_the_first_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = {
        "model_config_list": [
            {"config": {"name": "m", "base_path": "first"}},
            {"config": {"name": "m", "base_path": "second"}},
        ],
        "mediapipe_config_list": [{"name": "g", "base_path": "1"}, {"name": "g", "base_path": "2"}, {"name": "m"}],
    }
    with caplog.at_level(logging.WARNING):
        config = read(tmp_path, content)
    assert [model.base_path.name for model in config.models] == ["first"]
    assert [graph.graph_path.parent.name for graph in config.graphs] == ["1"]
    assert "m comes twice; only the first is served" in caplog.text
    assert "g comes twice; only the first is served" in caplog.text
    assert "graph m: a model has that name already" in caplog.text


def test_what_is_not_served_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(tmp_path, {"model_config_list": [], "pipeline_config_list": [{"name": "p"}]})
    assert "pipeline_config_list: pipelines of models are not served here" in caplog.text


def test_metrics_are_read(tmp_path: Path) -> None:
    def metrics(**content: Any) -> Any:
        return read(tmp_path, {"model_config_list": [], "monitoring": {"metrics": content}}).metrics

    assert metrics(enable=True).families == DEFAULT_FAMILIES
    assert metrics(enable=True, metrics_list=["ovms_responses"]).families == {"ovms_responses"}
    assert not metrics(enable=False).enabled
    with pytest.raises(ConfigError, match="ovms_x"):
        metrics(enable=True, metrics_list=["ovms_x"])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "is not valid JSON"),
        ([], "the file has to be object"),
        ({}, "the file needs model_config_list"),
        ({"model_config_list": {}}, "model_config_list has to be array"),
        ({"model_config_list": [], "models": []}, "the file has no key 'models'"),
        ({"model_config_list": [{}]}, "model_config_list[0] needs config"),
        ({"model_config_list": [{"config": {"base_path": "x"}}]}, "model_config_list[0].config needs name"),
        (one(base="x"), "model_config_list[0].config has no key 'base'"),
        (one(nireq=-1), "model_config_list[0].config.nireq has to be at least 0"),
        (one(nireq=True), "model_config_list[0].config.nireq has to be integer"),
        (one(nireq=1.5), "model_config_list[0].config.nireq has to be integer"),
        (one(plugin_config={"A": []}), "config.plugin_config.A has to be string or boolean or number"),
        (one(shape=3), "config.shape has to be"),
        (one(model_version_policy={"newest": 1}), "config.model_version_policy"),
        (one(model_version_policy={"specific": {"versions": [1, 0]}}), "specific.versions[1] has to be at least 1"),
        (one(model_version_policy={"latest": {}}), "model_version_policy.latest needs num_versions"),
        ({"model_config_list": [], "monitoring": {}}, "monitoring needs metrics"),
        (
            {"model_config_list": [], "monitoring": {"metrics": {"enable": True, "endpoint_path": "/m"}}},
            "monitoring.metrics has no key 'endpoint_path'",
        ),
        ({"model_config_list": [], "mediapipe_config_list": [{"name": 3}]}, "mediapipe_config_list[0].name has to be"),
        ({"model_config_list": [{"config": {"name": "m"}}]}, "m: base_path is missing"),
        (one(base_path="s3://bucket/m"), "base_path s3://bucket/m: only local folders"),
        (one(batch_size="auto"), "batch_size auto is not served here"),
        (one(custom_loader_options={"loader_name": "x"}), "custom_loader_options"),
    ],
)
def test_a_configuration_that_ovms_or_this_server_would_refuse_is_refused_by_place(
    tmp_path: Path, content: Any, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert text in str(caught.value)
    assert str(tmp_path / "config.json") in str(caught.value)


def test_a_subconfig_is_checked_too(tmp_path: Path) -> None:
    written(tmp_path, {"model_config_list": [], "mediapipe_config_list": []}, "g/subconfig.json")
    with pytest.raises(ConfigError, match=r"subconfig.json: the file has no key 'mediapipe_config_list'"):
        read(tmp_path, {"model_config_list": [], "mediapipe_config_list": [{"name": "g"}]})


def test_one_model_takes_the_settings_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    config = single_servable("m", tmp_path / "m", tmp_path, {"nireq": 3, "shape": "(1,2)"})
    (model,) = config.models
    assert (model.nireq, model.preparation.shapes, config.required) == (3, {"": "(1,2)"}, True)
    with pytest.raises(ConfigError, match=r"the command line: .*nireq has to be at least 0"):
        single_servable("m", tmp_path / "m", tmp_path, {"nireq": -3})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["config", "name", "base_path", "shape", "metrics", "enable", "all", "latest"]), inner
        )
    ),
    max_leaves=10,
)


@given(models=JSON, graphs=JSON, monitoring=JSON)
def test_any_json_is_let_through_or_refused(models: Any, graphs: Any, monitoring: Any) -> None:
    content = {"model_config_list": models, "mediapipe_config_list": graphs, "monitoring": monitoring}
    with suppress(ConfigError):
        check_config(content, Path("c.json"))
