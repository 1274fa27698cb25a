"""Configurations: what OVMS's schema lets through, what they mean, and what is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_server.config.schema import config_fault
from graph_server.config.server_config import ServerConfig, only, read_config, single_servable
from graph_server.errors import ConfigError
from graph_server.metrics.registry import DEFAULT_FAMILIES
from graph_server.models.versions import VersionPolicy
from tests.conftest import ROOT

SHIPPED = {
    "server_config/config.json": ("graphs", "models"),
    "server_config/config_small_persons.json": ("graphs", "models"),
    "tests/conformance/config.json": ("project", "models"),
}

WRONG_ON_PURPOSE = ("lost", "climbs")


def written(folder: Path, content: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(folder: Path, content: Any) -> ServerConfig:
    return read_config(written(folder, content))


def remarks(config: ServerConfig) -> list[tuple[str, str]]:
    """The effect and reason of each finding."""
    return [(finding.effect, finding.reason) for finding in config.findings]


def one(**settings: Any) -> dict[str, Any]:
    return {"model_config_list": [{"config": {"name": "m", "base_path": "m", **settings}}]}


def shipped(path: str, models_dir: Path) -> ServerConfig:
    graphs, models = SHIPPED[path]
    return read_config(ROOT / path, {graphs: ROOT / "graphs", models: models_dir})


@pytest.mark.parametrize("path", SHIPPED)
def test_ovms_refuses_nothing_of_a_shipped_configuration_and_reads_nothing_otherwise(
    path: str, models_dir: Path
) -> None:
    config = shipped(path, models_dir)
    wrong = {finding.place.rpartition(" ")[2] for finding in config.findings if finding.effect != "note"}
    assert wrong == ({"(climbs)"} if "conformance" in path else set())
    assert all(graph.graph_path.is_file() for graph in config.graphs)
    served = [model for model in config.models if model.name not in WRONG_ON_PURPOSE]
    assert all((model.base_path / "1").is_dir() and not model.unusable for model in served)
    assert config.metrics is None  # so that OVMS and this server take --metrics_enable


@pytest.mark.parametrize("path", SHIPPED)
def test_every_model_of_the_project_computes_in_float32(path: str, models_dir: Path) -> None:
    config = shipped(path, models_dir)
    used = [model for model in config.models if model.name not in (*WRONG_ON_PURPOSE, "onAuto", "anyBatch")]
    assert {model.plugin_config.get("INFERENCE_PRECISION_HINT") for model in used} == {"f32"}


def test_everything_a_model_may_say_is_read(tmp_path: Path) -> None:
    content = one(
        plugin_config={"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2},
        model_version_policy={"latest": {"num_versions": 2}},
        shape={"x": "(1,3,224:448,-1)"},
        layout="NHWC:NCHW",
        nireq=4,
        target_device="CPU",
        allow_cache=False,
    )
    (model,) = read(tmp_path, content).models
    assert model.plugin_config == {
        "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False, "INFERENCE_NUM_THREADS": 2,
    }  # fmt: skip
    assert model.policy == VersionPolicy("latest", count=2)
    assert model.preparation.shapes == {"x": "(1,3,224:448,-1)"}
    assert model.preparation.layouts == {"": "NHWC:NCHW"}
    assert (model.nireq, model.device) == (4, "CPU")


def test_paths_are_joined_to_the_folder_of_the_file_as_text(tmp_path: Path) -> None:
    config = read(tmp_path, {"model_config_list": [
        {"config": {"name": "a", "base_path": "here"}},
        {"config": {"name": "b", "base_path": str(tmp_path / "there")}},
    ]})  # fmt: skip
    assert [model.base_path for model in config.models] == [tmp_path / "here", tmp_path / "there"]


@pytest.mark.parametrize("base", ["../m", "m/../n", "m/..", "a\\..\\b"])
def test_a_base_path_that_climbs_is_refused_and_the_rest_is_served(tmp_path: Path, base: str) -> None:
    content = one(base_path=base)
    content["model_config_list"].append({"config": {"name": "good", "base_path": "good"}})
    config = read(tmp_path, content)
    ((effect, reason),) = remarks(config)
    assert effect == "refused"
    assert f"path {tmp_path}/{base} escapes with .." in reason
    assert [bool(model.unusable) for model in config.models] == [True, False]


@pytest.mark.parametrize("base", ["..m", "m../n", "a..b"])
def test_two_dots_in_a_name_are_no_climbing(tmp_path: Path, base: str) -> None:
    assert remarks(read(tmp_path, one(base_path=base))) == []


def test_a_graph_may_lie_behind_two_dots(tmp_path: Path) -> None:
    written(tmp_path, "", "g/graph.pbtxt")
    (tmp_path / "c").mkdir()
    config = read(tmp_path / "c", one(base_path="../g"))
    assert ([graph.name for graph in config.graphs], remarks(config)) == (["m"], [])


def test_a_mount_stands_for_a_folder_beside_the_file_or_for_a_full_path(tmp_path: Path) -> None:
    content = {"model_config_list": [
        {"config": {"name": "a", "base_path": "models/a"}},
        {"config": {"name": "b", "base_path": "/models/b"}},
        {"config": {"name": "c", "base_path": "models_too/c"}},
    ]}  # fmt: skip
    config = read_config(written(tmp_path, content), {"models": Path("/x"), "/models": Path("/y")})
    assert [str(model.base_path) for model in config.models] == ["/x/a", "/y/b", f"{tmp_path}/models_too/c"]


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
    assert set(config.files) >= {
        tmp_path / "config.json",
        *(tmp_path / "g" / name for name in ("graph.pbtxt", "subconfig.json")),
        *(tmp_path / "h" / name for name in ("flow.pbtxt", "more.json")),
    }


def test_an_entry_whose_graph_is_there_is_a_graph_and_else_a_model(tmp_path: Path) -> None:
    for name in ("by_key/k.pbtxt", "by_file/graph.pbtxt", "in_one/1/graph.pbtxt", "no_base/graph.pbtxt"):
        written(tmp_path, "", name)
    content = {
        "model_config_list": [
            {"config": {"name": "key", "base_path": "by_key", "graph_path": "k.pbtxt"}},
            {"config": {"name": "file", "base_path": "by_file/"}},
            {"config": {"name": "one", "base_path": "in_one"}},
            {"config": {"name": "no_base"}},
            {"config": {"name": "missing", "base_path": "by_key", "graph_path": "other.pbtxt"}},
        ]
    }
    config = read(tmp_path, content)
    assert [graph.name for graph in config.graphs] == ["key", "file", "one", "no_base"]
    assert config.graphs[2].graph_path == tmp_path / "in_one" / "1" / "graph.pbtxt"
    assert [model.name for model in config.models] == ["missing"]
    assert remarks(config) == [("read otherwise", f"there is no graph in {tmp_path}/by_key/, so it is read as a model")]


def test_config_json_beside_a_graph_is_its_subconfig_where_there_is_no_other(tmp_path: Path) -> None:
    written(tmp_path, "", "g/1/graph.pbtxt")
    written(tmp_path, {"model_config_list": [{"config": {"name": "inner", "base_path": "m"}}]}, "g/1/config.json")
    config = read(tmp_path, {"model_config_list": [{"config": {"name": "g"}}]})
    assert [model.base_path for model in config.models] == [tmp_path / "g" / "1" / "m"]


def test_of_a_name_that_comes_twice_the_first_counts(tmp_path: Path) -> None:
    content = {
        "model_config_list": [
            {"config": {"name": "m", "base_path": "first"}},
            {"config": {"name": "m", "base_path": "second"}},
        ],
        "mediapipe_config_list": [{"name": "g", "base_path": "1"}, {"name": "g", "base_path": "2"}, {"name": "m"}],
    }
    config = read(tmp_path, content)
    assert [model.base_path.name for model in config.models] == ["first"]
    assert [graph.graph_path.parent.name for graph in config.graphs] == ["1", "m"]
    said = remarks(config)
    assert ("read otherwise", "the name comes twice: the first model is served") in said
    assert ("read otherwise", "the name comes twice: the first graph is served") in said
    assert ("refused", "a model has that name already") in said


def test_of_a_key_that_comes_twice_the_first_counts(tmp_path: Path) -> None:
    text = '{"model_config_list": [{"config": {"name": "m", "base_path": "first", "base_path": "second"}}]}'
    assert read(tmp_path, text).models[0].base_path.name == "first"


def test_what_only_ovms_serves_is_named(tmp_path: Path) -> None:
    config = read(tmp_path, {"model_config_list": [], "pipeline_config_list": [{"name": "p"}]})
    ((effect, reason),) = remarks(config)
    assert (effect, reason.partition(":")[0]) == (
        "note",
        "pipelines of models are served by OVMS, not by the graph server",
    )


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
        ([], "it has to be object"),
        ({}, "it needs model_config_list"),
        ({"model_config_list": {}}, "model_config_list has to be array"),
        ({"model_config_list": [], "models": []}, "it has no key 'models'"),
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
        (one(mean="3"), "has no key 'mean', which OVMS takes from its command line and from subconfigs only"),
        (one(stateful=True), "has no key 'stateful': OVMS has no stateful models any more (since 2026.3)"),
        ('{"model_config_list": [], "x": NaN}', "is not valid JSON"),
    ],
)
def test_a_file_that_ovms_refuses_as_a_whole_is_refused_by_place(tmp_path: Path, content: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    assert text in str(caught.value)
    assert str(tmp_path / "config.json") in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "effect", "text"),
    [
        ({"layout": "XY"}, "refused", "layout 'XY' is no layout"),
        ({"shape": "1,2"}, "read otherwise", "shape '1,2' is no shape such as (1,3,224:448,-1) and is ignored"),
        ({"shape": {"x": "(8:8)"}}, "read otherwise", "shape '(8:8)' is no shape"),
        ({"batch_size": "many"}, "read otherwise", "batch_size 'many' is no batch size and is ignored"),
        ({"batch_size": 4, "shape": "(1,2)"}, "read otherwise", "batch_size is ignored, since shape is given as well"),
        ({"batch_size": "auto"}, "note", "auto is deprecated"),
        ({"base_path": ""}, "read otherwise", "base_path is missing: the versions are looked for in"),
        ({"base_path": "s3://bucket/m"}, "note", "s3://bucket/m is downloaded by OVMS"),
        ({"plugin_config": {"NO_SUCH_KEY": 1}}, "refused", "plugin_config: NO_SUCH_KEY is no key of device CPU"),
        ({"group_name": "permanent"}, "note", "older versions refuse the whole file for the key group_name"),
    ],
)
def test_what_is_odd_about_an_entry_is_told_with_its_effect(
    tmp_path: Path, settings: dict[str, Any], effect: str, text: str
) -> None:
    config = read(tmp_path, one(**settings))
    ((found, reason),) = remarks(config)
    assert (found, reason[: len(text)]) == (effect, text)
    assert config.findings[0].place == f"{tmp_path}/config.json: model_config_list[0] (m)"


def test_after_a_plugin_key_that_the_device_does_not_have_ovms_reads_no_further_entries(tmp_path: Path) -> None:
    content = one(plugin_config={"NO_SUCH_KEY": 1})
    content["model_config_list"].insert(0, {"config": {"name": "before", "base_path": "m"}})
    content["model_config_list"].append({"config": {"name": "after", "base_path": "m"}})
    config = read(tmp_path, content)
    assert [model.name for model in config.models] == ["before"]
    assert ("refused", "the 1 entries after m are not read") in remarks(config)


def test_old_plugin_keys_have_new_names(tmp_path: Path) -> None:
    def plugin(**keys: Any) -> Any:
        return read(tmp_path, one(plugin_config=keys)).models[0].plugin_config

    assert plugin(CPU_THROUGHPUT_STREAMS="CPU_THROUGHPUT_AUTO") == {"PERFORMANCE_HINT": "THROUGHPUT"}
    assert plugin(CPU_THROUGHPUT_STREAMS=4, CPU_THREADS_NUM=2) == {"NUM_STREAMS": "4", "INFERENCE_NUM_THREADS": 2}


def test_a_subconfig_is_read_leniently_and_a_broken_one_ends_the_reading_of_subconfigs(tmp_path: Path) -> None:
    inner = {"name": "inner", "base_path": "m", "mean": "[1,2,3]", "scale": "255", "unknown": 1, "layout": "NHWC:NCHW"}
    written(tmp_path, {"model_config_list": [{"config": inner}, {}, {"config": {"name": "graph"}}]}, "a/subconfig.json")
    for path in ("a/graph.pbtxt", "a/graph/graph.pbtxt", "b/graph.pbtxt", "c/graph.pbtxt"):
        written(tmp_path, "", path)
    written(tmp_path, "[]", "b/subconfig.json")
    written(tmp_path, one(), "c/subconfig.json")
    config = read(tmp_path, {"model_config_list": [{"config": {"name": name}} for name in "abc"]})
    (model,) = config.models
    assert (model.name, model.preparation.mean, model.preparation.scale) == ("inner", (1.0, 2.0, 3.0), 255.0)
    assert [reason for effect, reason in remarks(config) if effect == "refused"] == [
        "it needs name",
        "a graph of a subconfig is not served",
        "it has no list model_config_list; further subconfigs are not read",
    ]


def test_one_model_takes_the_settings_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    config = single_servable("m", tmp_path / "m", {"nireq": 3, "shape": "(1,2)", "color_format": "bgr:rgb"})
    (model,) = config.models
    assert (model.nireq, model.preparation.shapes, config.required) == (3, {"": "(1,2)"}, True)
    assert model.preparation.color_format == "BGR:RGB"
    with pytest.raises(ConfigError, match=r"the command line: nireq has to be at least 0"):
        single_servable("m", tmp_path / "m", {"nireq": -3})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"mean": "one"}, "mean 'one' is neither a number nor a list"),
        ({"scale": "[1,nan]"}, "scale '[1,nan]' is neither"),
        ({"color_format": "RGB"}, "color_format 'RGB' is not TARGET:SOURCE, each one of RGB, BGR"),
        ({"precision": "fp32:fp12"}, "precision 'fp32:fp12' is not TARGET:SOURCE"),
        ({"plugin_config": {"NO_SUCH_KEY": "1"}}, "NO_SUCH_KEY is no key of device CPU"),
    ],
)
def test_one_model_with_wrong_settings_is_refused(tmp_path: Path, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        single_servable("m", tmp_path / "m", settings)
    assert text in str(caught.value)


def test_one_model_behind_two_dots_is_refused_and_one_graph_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    written(tmp_path, "", "g/graph.pbtxt")
    with pytest.raises(ConfigError, match=r"m \(--model_path .*escapes with \.\."):
        single_servable("m", tmp_path / "a" / ".." / "m")
    assert single_servable("g", tmp_path / "a" / ".." / "g").graphs[0].name == "g"


def test_a_graph_takes_no_settings_of_a_model_but_plugin_config(tmp_path: Path) -> None:
    written(tmp_path, "", "g/1/graph.pbtxt")
    assert single_servable("g", tmp_path / "g", {"plugin_config": {}}).graphs[0].name == "g"
    with pytest.raises(ConfigError, match="g is a graph and takes no --nireq, --shape"):
        single_servable("g", tmp_path / "g", {"nireq": 1, "shape": "(1)"})


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
    fault = config_fault(content)
    assert fault is None or fault.strip()


@pytest.mark.parametrize(
    ("name", "graphs", "models"),
    [
        ("g", ["g"], [("m", True), ("n", True)]),
        ("n", [], [("n", False)]),
        ("?", ["g", "h"], [("m", False), ("n", False)]),
    ],
)
def test_of_a_configuration_one_servable_is_left(
    tmp_path: Path, name: str, graphs: list[str], models: list[tuple[str, bool]]
) -> None:
    entries = [{"config": {"name": model, "base_path": model}} for model in "mn"]
    graph_entries = [{"name": graph, "graph_path": f"{graph}.pbtxt"} for graph in "gh"]
    config = only(read(tmp_path, {"model_config_list": entries, "mediapipe_config_list": graph_entries}), name)
    assert [graph.name for graph in config.graphs] == graphs
    assert [(model.name, model.on_demand) for model in config.models] == models
