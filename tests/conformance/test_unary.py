"""``ModelInfer`` on a graph."""

import time

import numpy as np
import pytest

from tests.conformance.wire import (
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    OK,
    Wire,
    echo,
    image,
    request,
    stamp,
)

pytestmark = pytest.mark.graphs("passThrough")
RUN_FAILED = "Mediapipe execution failed. MP status - INVALID_ARGUMENT: CalculatorGraph::Run() failed: \n"


@pytest.mark.graphs("holisticClassifier")
def test_all_outputs_come_in_one_response_with_the_id_and_the_timestamp(wire: Wire) -> None:
    black = np.zeros((96, 128, 3), np.uint8)
    answer = wire.infer(request("holisticClassifier", ("first_input_video", black), timestamp=7, identity="seven"))
    assert (answer.model_name, answer.model_version, answer.id) == ("holisticClassifier", "1", "seven")
    assert stamp(answer) == 7
    assert sorted(item.name for item in answer.outputs) == ["label_scores", "output"]
    assert len(answer.raw_output_contents) == 2


def test_without_a_timestamp_the_answer_has_the_wall_clocks(wire: Wire) -> None:
    assert abs(stamp(wire.infer(echo())) - time.time_ns() // 1000) < 3_600_000_000


def test_every_call_has_a_graph_of_its_own(wire: Wire) -> None:
    assert [stamp(wire.infer(echo(timestamp))) for timestamp in (9, 5, 5)] == [9, 5, 5]


@pytest.mark.graphs("holisticClassifierSparse")
def test_an_output_without_a_packet_fails_the_whole_call(wire: Wire) -> None:
    black = np.zeros((96, 128, 3), np.uint8)
    assert wire.refusal(request("holisticClassifierSparse", ("first_input_video", black))) == (
        INVALID_ARGUMENT,
        "Mediapipe execution failed. MP status - Unknown error during mediapipe execution",
    )


@pytest.mark.graphs("twoInputs")
def test_all_inputs_of_the_graph_have_to_be_there(wire: Wire) -> None:
    missing = (INVALID_ARGUMENT, "Invalid number of inputs - Not all input packets created")
    assert wire.refusal(request("passThrough")) == missing
    assert wire.refusal(request("twoInputs", ("first", np.ones(1)))) == missing


def test_an_unknown_name_is_not_found(wire: Wire) -> None:
    made = echo()
    made.model_name = "nothing"
    assert wire.refusal(made) == (NOT_FOUND, "Mediapipe graph definition with requested name is not found")


@pytest.mark.parametrize("version", ["7", "0", "-3"])
def test_any_version_that_is_a_number_will_do(wire: Wire, version: str) -> None:
    assert wire.refusal(echo(version=version))[0] is OK


@pytest.mark.parametrize("version", ["x", "1.0", "01"])
def test_a_version_that_is_no_number_is_refused(wire: Wire, version: str) -> None:
    refused = (INVALID_ARGUMENT, "invalid model version format in request")
    assert wire.refusal(echo(version=version)) == refused


@pytest.mark.graphs("oneModel")
def test_a_failing_calculator_fails_the_call(wire: Wire) -> None:
    code, text = wire.refusal(request("oneModel", ("pose_landmarks", np.zeros((1, 7), np.float32))))
    assert code is INVALID_ARGUMENT
    assert text.startswith("Mediapipe execution failed. MP status - INTERNAL: CalculatorGraph::Run() failed: \n")


def test_an_input_that_comes_twice_breaks_the_order_of_timestamps(wire: Wire) -> None:
    code, text = wire.refusal(request("passThrough", *[("image", image())] * 2))
    assert code is INVALID_ARGUMENT
    assert text.startswith(RUN_FAILED)


def test_an_input_that_comes_thrice_finds_the_graph_in_error(wire: Wire) -> None:
    code, text = wire.refusal(request("passThrough", *[("image", image())] * 3))
    assert code is FAILED_PRECONDITION
    assert text.startswith(
        "Failed to add packet to mediapipe graph input stream - INVALID_ARGUMENT: Graph has errors: "
    )


@pytest.mark.graphs("oneModel")
def test_a_tensor_goes_through_a_model_in_a_graph(wire: Wire) -> None:
    answer = wire.infer(request("oneModel", ("pose_landmarks", np.zeros((1, 195), np.float32))))
    assert (answer.outputs[0].name, answer.outputs[0].datatype) == ("scores", "FP32")
    assert np.frombuffer(answer.raw_output_contents[0], np.float32).sum() == pytest.approx(1.0, abs=1e-5)
