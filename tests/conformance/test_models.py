"""``ModelInfer`` on a model that is served by itself."""

from typing import Any

import numpy as np
import pytest

from kserve_wire.messages import ModelInferRequest
from tests.conformance.wire import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, TIMESTAMP, Wire, request

WHERE = "; input name: input name: pose_landmarks"  # twice: OVMS's own slip


def landmarks(value: Any = None, name: str = "pose_landmarks", **fields: Any) -> ModelInferRequest:
    return request("pose_classifier", (name, np.zeros((1, 195), np.float32) if value is None else value), **fields)


def test_a_model_answers_with_its_version_and_the_id(wire: Wire) -> None:
    for version in ("", "0", "1"):
        answer = wire.infer(landmarks(identity="seven", version=version))
        assert (answer.model_name, answer.model_version, answer.id) == ("pose_classifier", "1", "seven")
        assert [(item.name, item.datatype) for item in answer.outputs] == [("scores", "FP32")]
        assert TIMESTAMP not in answer.parameters
        assert np.frombuffer(answer.raw_output_contents[0], np.float32).sum() == pytest.approx(1.0, abs=1e-5)


def test_outputs_come_in_the_order_of_their_names(wire: Wire) -> None:
    answer = wire.infer(request("face_detection", ("input", np.zeros((1, 128, 128, 3), np.float32))))
    assert [item.name for item in answer.outputs] == ["classificators", "regressors"]
    assert [len(data) for data in answer.raw_output_contents] == [4 * 896, 4 * 896 * 16]
    metadata = wire.call("ModelMetadata", name="face_detection")
    assert [item.name for item in metadata.outputs] == ["classificators", "regressors"]


def test_another_version_is_not_found(wire: Wire) -> None:
    assert wire.refusal(landmarks(version="7")) == (NOT_FOUND, "Model with requested version is not found")


def test_a_version_that_is_no_number_is_refused(wire: Wire) -> None:
    assert wire.refusal(landmarks(version="x")) == (INVALID_ARGUMENT, "invalid model version format in request")


def test_the_number_of_inputs_is_the_models(wire: Wire) -> None:
    value = np.zeros((1, 195), np.float32)
    for inputs in ((), (("pose_landmarks", value), ("more", value))):
        text = f"Invalid number of inputs - Expected: 1; Actual: {len(inputs)}"
        assert wire.refusal(request("pose_classifier", *inputs)) == (INVALID_ARGUMENT, text)


def test_an_input_that_is_missing_is_named(wire: Wire) -> None:
    text = "Missing input with specific name - Required input: pose_landmarks"
    assert wire.refusal(landmarks(name="foo")) == (INVALID_ARGUMENT, text)


def test_the_datatype_is_the_models(wire: Wire) -> None:
    text = f"Invalid input precision - Expected: FP32; Actual: FP64{WHERE}"
    assert wire.refusal(landmarks(np.zeros((1, 195)))) == (INVALID_ARGUMENT, text)


def test_the_number_of_dimensions_is_the_models(wire: Wire) -> None:
    text = f"Invalid number of shape dimensions - Expected: (1,195); Actual: (195){WHERE}"
    assert wire.refusal(landmarks(np.zeros(195, np.float32))) == (INVALID_ARGUMENT, text)


def test_the_batch_size_is_the_models(wire: Wire) -> None:
    text = f"Invalid input batch size - Expected: 1; Actual: 2{WHERE}"
    assert wire.refusal(landmarks(np.zeros((2, 195), np.float32))) == (INVALID_ARGUMENT, text)


def test_the_shape_is_the_models(wire: Wire) -> None:
    text = f"Invalid input shape - Expected: (1,195); Actual: (1,7){WHERE}"
    assert wire.refusal(landmarks(np.zeros((1, 7), np.float32))) == (INVALID_ARGUMENT, text)


def test_the_bytes_fit_the_shape(wire: Wire) -> None:
    made = landmarks()
    made.raw_input_contents[0] = b"1234"
    text = f"Invalid content size of tensor proto - Expected: 780 bytes; Actual: 4 bytes{WHERE}"
    assert wire.refusal(made) == (INVALID_ARGUMENT, text)
    del made.raw_input_contents[:]
    made.inputs[0].contents.fp32_contents.extend([0.5, 0.5])
    text = f"Invalid number of values in tensor proto container - Expected: 195 values; Actual: 2 values{WHERE}"
    assert wire.refusal(made) == (INVALID_ARGUMENT, text)


def test_values_may_be_typed(wire: Wire) -> None:
    made = landmarks()
    del made.raw_input_contents[:]
    made.inputs[0].contents.fp32_contents.extend([0.0] * 195)
    assert wire.infer(made).raw_output_contents == wire.infer(landmarks()).raw_output_contents


@pytest.mark.graphs("twoInputs")
@pytest.mark.parametrize("name", ["lost", "climbs"])
def test_a_model_without_a_folder_or_behind_two_dots_has_no_version(wire: Wire, name: str) -> None:
    missing = (NOT_FOUND, "Model with requested version is not found")
    for version in ("", "1"):
        assert wire.refused_call("ModelReady", name=name, version=version) == missing
        assert wire.refused_call("ModelMetadata", name=name, version=version) == missing
    assert wire.refusal(request(name, ("pose_landmarks", np.zeros((1, 195), np.float32)))) == missing


@pytest.mark.graphs("twoInputs")
def test_a_model_on_the_device_auto_answers(wire: Wire) -> None:
    answer = wire.infer(request("onAuto", ("pose_landmarks", np.zeros((1, 195), np.float32))))
    assert [item.name for item in answer.outputs] == ["scores"]


@pytest.mark.graphs("twoInputs")
def test_a_batch_that_the_network_cannot_take_leaves_a_model_of_batch_auto_as_it_was(wire: Wire) -> None:
    too_many = request("anyBatch", ("pose_landmarks", np.zeros((3, 195), np.float32)))
    assert wire.refusal(too_many) == (FAILED_PRECONDITION, "Model could not be reshaped with requested shape")
    answer = wire.infer(request("anyBatch", ("pose_landmarks", np.zeros((1, 195), np.float32))))
    assert [item.name for item in answer.outputs] == ["scores"]


def test_a_negative_dimension_is_refused_as_ovms_words_it_for_models(wire: Wire) -> None:
    made = landmarks()
    made.inputs[0].shape[0] = -1
    text = "Invalid input shape - Negative or zero dimension size is not acceptable: (-1,195)"
    assert wire.refusal(made) == (INVALID_ARGUMENT, f"{text}{WHERE}")
