"""Health, readiness and metadata."""

import pytest

from tests.conformance.wire import INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE, Wire, echo

NO_MODEL = (NOT_FOUND, "Model with requested name is not found")
NO_VERSION = (NOT_FOUND, "Model with requested version is not found")
BAD_VERSION = (INVALID_ARGUMENT, "invalid model version format in request")


def test_a_running_server_is_live_and_ready(wire: Wire) -> None:
    assert wire.call("ServerLive").live
    assert wire.call("ServerReady").ready


def test_the_server_names_itself_openvino_model_server_and_its_version(wire: Wire) -> None:
    metadata = wire.call("ServerMetadata")
    assert metadata.name == "OpenVINO Model Server"
    assert metadata.version


@pytest.mark.graphs("passThrough")
def test_a_graph_is_ready_whatever_version_is_asked_for(wire: Wire) -> None:
    for version in ("", "1", "7", "x"):
        assert wire.call("ModelReady", name="passThrough", version=version).ready


@pytest.mark.graphs("holisticClassifier")
def test_metadata_of_a_graph_lists_names_in_order_without_datatypes_and_shapes(wire: Wire) -> None:
    metadata = wire.call("ModelMetadata", name="holisticClassifier", version="5")
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("holisticClassifier", ["1"], "OpenVINO")
    assert [item.name for item in metadata.inputs] == ["first_input_video"]
    assert [item.name for item in metadata.outputs] == ["label_scores", "output"]
    for item in (*metadata.inputs, *metadata.outputs):
        assert (item.datatype, list(item.shape)) == ("INVALID", [])


@pytest.mark.graphs("twoInputs")
def test_inputs_and_outputs_are_sorted_by_name_whatever_their_tags(wire: Wire) -> None:
    metadata = wire.call("ModelMetadata", name="twoInputs")
    assert [item.name for item in metadata.inputs] == ["first", "second"]
    assert [item.name for item in metadata.outputs] == ["first_out", "second_out"]


def test_metadata_of_a_model_has_datatypes_and_shapes(wire: Wire) -> None:
    metadata = wire.call("ModelMetadata", name="pose_classifier")
    assert (list(metadata.versions), metadata.platform) == (["1"], "OpenVINO")
    assert [(item.name, item.datatype, list(item.shape)) for item in metadata.inputs] == [
        ("pose_landmarks", "FP32", [1, 195])
    ]
    assert [(item.name, item.datatype) for item in metadata.outputs] == [("scores", "FP32")]


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata"])
def test_an_unknown_name_is_not_found(wire: Wire, method: str) -> None:
    assert wire.refused_call(method, name="nothing") == NO_MODEL


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata"])
@pytest.mark.parametrize("version", ["7", "0", "-1"])
def test_an_unknown_version_of_a_model_is_not_found(wire: Wire, method: str, version: str) -> None:
    assert wire.refused_call(method, name="pose_classifier", version=version) == NO_VERSION


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata"])
@pytest.mark.parametrize("version", ["x", "01", "1.0", "+1", "²", "9223372036854775808"])
def test_a_version_of_a_model_that_is_no_number_is_refused(wire: Wire, method: str, version: str) -> None:
    assert wire.refused_call(method, name="pose_classifier", version=version) == BAD_VERSION


@pytest.mark.graphs("broken")
def test_a_graph_that_failed_to_load_is_not_ready_and_unavailable(wire: Wire) -> None:
    not_loaded = (UNAVAILABLE, "Mediapipe is not loaded yet")
    assert not wire.call("ModelReady", name="broken").ready
    assert wire.refused_call("ModelMetadata", name="broken") == not_loaded
    made = echo()
    made.model_name = "broken"
    assert wire.refusal(made) == not_loaded
    ended = wire.stream(made)
    assert (ended.code, ended.details, ended.messages) == (*not_loaded, [])
    assert wire.call("ServerReady").ready
