"""The check of configurations, beside that of a library."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from graph_server.config.schema import CONFIG, config_fault

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 2.0, "x", "auto"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "versions"]), inner, max_size=2),
    max_leaves=4,
)
POLICIES = st.sampled_from(
    [{"all": {}}, {"latest": {"num_versions": 2}}, {"specific": {"versions": [1]}}, {"all": {}, "latest": {}}]
)
MODELS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just("m") | VALUES,
        "base_path": st.just("p") | VALUES,
        "batch_size": VALUES,
        "shape": VALUES,
        "nireq": VALUES,
        "model_version_policy": POLICIES | VALUES,
        "plugin_config": VALUES,
        "allow_cache": VALUES,
        "unknown": VALUES,
    },
)
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "model_config_list": st.lists(st.fixed_dictionaries({"config": MODELS}), max_size=2) | VALUES,
        "mediapipe_config_list": st.lists(MODELS, max_size=1) | VALUES,
        "monitoring": st.just({"metrics": {"enable": True}}) | VALUES,
        "pipeline_config_list": VALUES,
    },
)


@given(CONFIGS)
def test_what_is_refused_is_what_jsonschema_refuses(content: Any) -> None:
    assert (config_fault(content) is None) == Draft4Validator(CONFIG).is_valid(content)
