"""A streaming session: its start, its answers, its errors and its end."""

import numpy as np
import pytest

from tests.conformance.wire import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    OK,
    UNKNOWN,
    Wire,
    echo,
    image,
    parameter,
    request,
    stamp,
    tensor,
)

pytestmark = pytest.mark.graphs("passThrough")
NO_GRAPH = (NOT_FOUND, "Mediapipe graph definition with requested name is not found")
RUN_FAILED = "Mediapipe execution failed. MP status - INVALID_ARGUMENT: CalculatorGraph::Run() failed: \n"


def test_the_first_request_chooses_the_graph_and_an_unknown_one_ends_the_call(wire: Wire) -> None:
    made = echo()
    made.model_name = "nothing"
    ended = wire.stream(made)
    assert (ended.code, ended.details, ended.messages) == (*NO_GRAPH, [])


def test_a_model_cannot_be_streamed_to(wire: Wire) -> None:
    ended = wire.stream(request("pose_classifier", ("pose_landmarks", np.zeros((1, 195), np.float32))))
    assert (ended.code, ended.details) == NO_GRAPH


def test_closing_before_the_first_request_is_an_unknown_error(wire: Wire) -> None:
    ended = wire.stream()
    assert (ended.code, ended.details, ended.messages) == (UNKNOWN, "Unknown error", [])


def test_the_version_of_the_first_request_is_not_looked_at(wire: Wire) -> None:
    for version in ("7", "x"):
        assert len(wire.stream(echo(1, version=version)).answers) == 1


def test_an_answer_names_the_graph_version_1_and_the_timestamp_but_no_id(wire: Wire) -> None:
    (answer,) = wire.stream(echo(17, identity="seven")).answers
    assert (answer.model_name, answer.model_version, answer.id) == ("passThrough", "1", "")
    assert stamp(answer) == 17
    assert len(answer.outputs) == 1
    assert answer.outputs[0].name == "output"
    assert list(answer.raw_output_contents) == [image().tobytes()]


@pytest.mark.graphs("holisticClassifier")
def test_every_output_packet_is_a_response_of_its_own(wire: Wire) -> None:
    black = np.zeros((96, 128, 3), np.uint8)
    ended = wire.stream(*[request("holisticClassifier", ("first_input_video", black), timestamp=t) for t in (1, 2, 3)])
    assert ended.code is OK
    assert {len(answer.outputs) for answer in ended.answers} == {1}
    for name in ("output", "label_scores"):
        # In the order of timestamps for each output; among outputs there is none.
        assert [stamp(answer) for answer in ended.answers if answer.outputs[0].name == name] == [1, 2, 3]


@pytest.mark.graphs("holisticClassifierSparse")
def test_a_timestamp_without_a_packet_of_an_output_has_no_response_and_no_sign(wire: Wire) -> None:
    black = np.zeros((96, 128, 3), np.uint8)
    ended = wire.stream(request("holisticClassifierSparse", ("first_input_video", black), timestamp=1))
    assert ended.code is OK
    assert [answer.outputs[0].name for answer in ended.answers] == ["output"]
    assert len(ended.messages) == 1


def test_the_list_of_wanted_outputs_is_ignored(wire: Wire) -> None:
    made = echo(1)
    made.outputs.add(name="something else")
    assert [answer.outputs[0].name for answer in wire.stream(made).answers] == ["output"]


def test_half_close_drains_the_graph_and_ends_well(wire: Wire) -> None:
    ended = wire.stream(*[echo(index, seed=index) for index in range(40)])
    assert ended.code is OK
    assert [stamp(answer) for answer in ended.answers] == list(range(40))
    assert ended.answers[33].raw_output_contents[0] == image(33).tobytes()


def test_answers_come_while_the_client_goes_on(wire: Wire) -> None:
    conversation = wire.converse()
    for index in range(5):
        conversation.send(echo(index))
        assert stamp(conversation.receive()) == index
    assert conversation.close().code is OK


def test_sessions_have_graphs_and_timestamps_of_their_own(wire: Wire) -> None:
    first, second = wire.converse(), wire.converse()
    first.send(echo(100))
    assert stamp(first.receive()) == 100
    second.send(echo(5))
    assert stamp(second.receive()) == 5
    first.send(echo(101))
    assert stamp(first.receive()) == 101
    assert first.close().code is second.close().code is OK


@pytest.mark.parametrize("version", ["", "0", "1"])
def test_later_requests_may_name_the_version_as_empty_0_or_1(wire: Wire, version: str) -> None:
    ended = wire.stream(echo(1), echo(2, version=version))
    assert (len(ended.answers), ended.errors) == (2, [])


def test_a_later_request_with_another_version_is_refused_inside_the_stream(wire: Wire) -> None:
    ended = wire.stream(echo(1), echo(2, version="2"), echo(3))
    assert ended.errors == ["Subsequent request with incorrect servable version; validate subsequent requests"]
    assert ([stamp(answer) for answer in ended.answers], ended.code) == ([1, 3], OK)


def test_a_later_request_with_another_name_is_refused_inside_the_stream(wire: Wire) -> None:
    other = echo(2)
    other.model_name = "holisticTracking"
    ended = wire.stream(echo(1), other, echo(3))
    assert ended.errors == ["Subsequent request with incorrect servable name; validate subsequent requests"]
    assert ([stamp(answer) for answer in ended.answers], ended.code) == ([1, 3], OK)


def test_an_error_inside_the_stream_has_only_its_text_and_the_session_goes_on(wire: Wire) -> None:
    wrong = request("passThrough", ("foo", image()), timestamp=2)
    ended = wire.stream(echo(1), wrong, echo(2))
    assert ended.errors == ["Unexpected input - foo is unexpected; partial deserialization of subsequent requests"]
    (message,) = [item for item in ended.messages if item.error_message]
    assert not message.HasField("infer_response")
    # A request that was refused leaves no mark: its timestamp is free.
    assert ([stamp(answer) for answer in ended.answers], ended.code) == ([1, 2], OK)


def test_an_error_in_the_first_request_says_so_and_the_session_goes_on(wire: Wire) -> None:
    ended = wire.stream(request("passThrough", ("foo", image())), echo(2))
    assert ended.errors == ["Unexpected input - foo is unexpected; partial deserialization of first request"]
    assert ([stamp(answer) for answer in ended.answers], ended.code) == ([2], OK)


def test_a_request_without_inputs_is_accepted(wire: Wire) -> None:
    ended = wire.stream(request("passThrough", timestamp=5), echo(5))
    assert (ended.errors, len(ended.answers), ended.code) == ([], 1, OK)


def test_packets_for_a_graph_in_error_are_refused_and_the_call_ends(wire: Wire) -> None:
    # The second packet of the same timestamp puts the graph into error, the third is refused.
    thrice = request("passThrough", *[("image", image())] * 3, timestamp=5)
    ended = wire.stream(thrice)
    (error,) = ended.errors
    assert error.startswith(
        "Failed to add packet to mediapipe graph input stream - INVALID_ARGUMENT: Graph has errors: \n"
    )
    assert error.endswith("; partial deserialization of first request")
    assert ended.code is INVALID_ARGUMENT
    assert ended.details.startswith(RUN_FAILED)


@pytest.mark.graphs("oneModel")
def test_a_failing_calculator_ends_the_call_once_a_later_request_was_read(wire: Wire) -> None:
    conversation = wire.converse()
    bad = request("oneModel", ("pose_landmarks", np.zeros((1, 7), np.float32)))
    conversation.send(bad, *[request("oneModel", ("pose_landmarks", np.zeros((1, 195), np.float32))) for _ in range(2)])
    ended = conversation.close()
    assert ended.code is INVALID_ARGUMENT
    assert ended.details.startswith(
        "Mediapipe execution failed. MP status - INTERNAL: CalculatorGraph::Run() failed: \n"
    )
    for error in ended.errors:
        assert error.startswith("Failed to add packet to mediapipe graph input stream - INTERNAL: Graph has errors: \n")
        assert error.endswith("; partial deserialization of subsequent requests")
    assert ended.answers == []


@pytest.mark.graphs("oneModel")
def test_a_failing_calculator_is_noticed_at_half_close_too(wire: Wire) -> None:
    ended = wire.stream(request("oneModel", ("pose_landmarks", np.zeros((1, 7), np.float32))))
    assert (ended.messages, ended.code) == ([], INVALID_ARGUMENT)
    assert ended.details.startswith("Mediapipe execution failed. MP status - INTERNAL: ")


@pytest.mark.graphs("twoInputs")
def test_inputs_of_one_timestamp_may_come_in_requests_of_their_own(wire: Wire) -> None:
    first, second = np.array([1.0], np.float32), np.array([2, 3])
    ended = wire.stream(
        request("twoInputs", ("first", first), timestamp=7),
        request("twoInputs", ("second", second), timestamp=7),
    )
    assert {answer.outputs[0].name: answer.raw_output_contents[0] for answer in ended.answers} == {
        "first_out": first.tobytes(),
        "second_out": second.tobytes(),
    }
    assert ({stamp(answer) for answer in ended.answers}, ended.code) == ({7}, OK)


@pytest.mark.graphs("twoInputs")
def test_inputs_before_the_one_that_is_refused_have_entered_the_graph(wire: Wire) -> None:
    value = np.array([1.0], np.float32)
    ended = wire.stream(
        request("twoInputs", ("first", value), ("third", value), timestamp=7),
        request("twoInputs", ("second", value), timestamp=7),
    )
    assert ended.errors == ["Unexpected input - third is unexpected; partial deserialization of first request"]
    assert (sorted(answer.outputs[0].name for answer in ended.answers), ended.code) == (["first_out", "second_out"], OK)


def test_parameters_of_later_requests_are_ignored(wire: Wire) -> None:
    ended = wire.stream(echo(1), parameter(echo(2), "py", "x"), parameter(echo(3), "double", None))
    assert (len(ended.answers), ended.errors, ended.code) == (3, [], OK)


def test_a_client_that_vanishes_does_not_disturb_the_next(wire: Wire) -> None:
    for _ in range(5):
        conversation = wire.converse()
        conversation.send(echo(1), echo(2), echo(3))
        conversation.receive()
        conversation.cancel()
    assert wire.stream(echo(1)).code is OK


@pytest.mark.assumption("what gRPC's C++ server does with bytes that are no message inside a stream was not tried")
def test_bytes_that_are_no_request_do_not_pass_for_one(wire: Wire) -> None:
    ended = wire.stream(echo(1), b"\xff\xff\xff")
    assert len(ended.answers) == 1


@pytest.mark.graphs("tensor")
def test_the_answer_to_a_tensor_has_its_datatype_and_shape(wire: Wire) -> None:
    (answer,) = wire.stream(tensor(np.arange(6, dtype=np.int64).reshape(2, 3), 1)).answers
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("INT64", [2, 3])
