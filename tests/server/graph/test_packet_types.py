"""Packet types: errors that MediaPipe finds at load, and errors that OVMS finds when a packet comes."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest

from graph_server.calculators import REGISTRY
from graph_server.config.server_config import single_servable
from graph_server.errors import ConfigError
from graph_server.graph.definition import GraphDefinition, parse_graph
from graph_server.graph.packet_types import (
    DETECTION,
    IMAGE_FRAME,
    MP_TENSOR,
    NORM_RECT,
    OV_TENSOR,
    named,
    of_graph_port,
    vector_of,
)
from tests.conftest import ROOT
from tests.support.graph_server import graph_server, request, stream, unary

SESSION = """
node { calculator: "OpenVINOModelServerSessionCalculator" output_side_packet: "SESSION:session" options {
  [mediapipe.OpenVINOModelServerSessionCalculatorOptions.ext] { servable_name: "m" } } }
"""


def inference(taken: str, given: str, options: str = "") -> str:
    return SESSION + (
        f'node {{ calculator: "OpenVINOInferenceCalculator" input_side_packet: "SESSION:session" '
        f'input_stream: "{taken}" output_stream: "{given}" '
        f"node_options: {{ [type.googleapis.com/mediapipe.OpenVINOInferenceCalculatorOptions]: {{ {options} }} }} }}"
    )


def passing(taken: str, given: str, calculator: str = "PassThroughCalculator") -> str:
    return f'node {{ calculator: "{calculator}" input_stream: "{taken}" output_stream: "{given}" }}'


def parsed(taken: str, given: str, *nodes: str) -> GraphDefinition:
    text = f'input_stream: "{taken}" output_stream: "{given}" ' + "\n".join(nodes)
    return parse_graph(text, source="test", registry=REGISTRY)


def test_a_vector_of_mediapipe_tensors_is_not_a_vector_of_openvino_tensors() -> None:
    to_tensor = (
        'node { calculator: "ImageToTensorCalculator" input_stream: "IMAGE:a" output_stream: "TENSORS:t" '
        "node_options: { [type.googleapis.com/mediapipe.ImageToTensorCalculatorOptions]: "
        "{ output_tensor_width: 8 output_tensor_height: 8 } } }"
    )
    lists = 'input_order_list: "i" output_order_list: "o"'
    with pytest.raises(ConfigError, match=r'Input stream "t" .* "std::vector<ov::Tensor>" but .*mediapipe::Tensor'):
        parsed("IMAGE:a", "OVTENSOR:b", to_tensor, inference("OVTENSORS:t", "OVTENSOR:b", lists))
    good = parsed("IMAGE:a", "OVTENSOR:b", to_tensor, inference("TENSORS:t", "OVTENSOR:b", lists))
    assert good.stream_types.outputs == {"b": OV_TENSOR}


def test_types_pass_through_nodes_that_take_any_type() -> None:
    gate = 'node { calculator: "GateCalculator" input_stream: "s" input_stream: "ALLOW:yes" output_stream: "p" }'
    presence = passing("PACKET:a", "PRESENCE:yes", "PacketPresenceCalculator")
    size = passing("IMAGE:a", "SIZE:s", "ImagePropertiesCalculator")
    with pytest.raises(ConfigError, match=r'expects packets of type "mediapipe::ImageFrame".*"std::pair<int, int>"'):
        parsed("IMAGE:a", "b", size, presence, gate, passing("IMAGE:p", "SIZE:b", "ImagePropertiesCalculator"))


def test_a_stream_with_a_back_edge_has_one_type() -> None:
    back = 'input_stream_info: { tag_index: "LOOP" back_edge: true }'
    loop = (
        'node { calculator: "PreviousLoopbackCalculator" input_stream: "MAIN:a" input_stream: "LOOP:s" '
        f'{back} output_stream: "PREV_LOOP:p" }}'
    )
    size = passing("IMAGE:a", "SIZE:s", "ImagePropertiesCalculator")
    with pytest.raises(ConfigError, match=r"expects packets of type"):
        parsed("IMAGE:a", "b", size, loop, passing("IMAGE:p", "SIZE:b", "ImagePropertiesCalculator"))


@pytest.mark.parametrize(
    ("taken", "given", "nodes", "holds"),
    [
        ("IMAGE:a", "b", [passing("a", "b")], IMAGE_FRAME),
        ("a", "b", [passing("a", "b")], OV_TENSOR),
        ("TENSOR:a", "b", [passing("a", "b")], MP_TENSOR),
        ("a", "TENSOR:b", [inference("X:a", "Y:b")], OV_TENSOR),
        ("a", "TENSOR:b", [inference("X:a", "TENSOR:b")], MP_TENSOR),
        ("IMAGE:a", "b", [passing("IMAGE:a", "DETECTIONS:b", "PoseDetectionCpu")], vector_of(DETECTION)),
    ],
)
def test_an_output_has_the_type_of_its_node(
    taken: str, given: str, nodes: Sequence[str], holds: frozenset[str]
) -> None:
    assert parsed(taken, given, *nodes).stream_types.outputs == {"b": holds}


def test_an_input_has_the_type_that_its_consumer_takes() -> None:
    assert parsed("a", "b", inference("X:a", "Y:b")).stream_types.inputs == {"a": OV_TENSOR}
    assert parsed("a", "b", passing("a", "b")).stream_types.inputs == {"a": frozenset()}


def test_two_consumers_of_an_input_must_take_the_same_type() -> None:
    size = passing("IMAGE:a", "SIZE:s", "ImagePropertiesCalculator")
    with pytest.raises(ConfigError, match=r"expects packets of type"):
        parsed("IMAGE:a", "b", size, inference("X:a", "Y:b"))


@pytest.mark.parametrize(
    ("taken", "given", "text"),
    [("REQUEST:a", "b", "tag RESPONSE"), ("a", "RESPONSE:b", "tag REQUEST")],
)
def test_whole_requests_and_responses_go_together(taken: str, given: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        parsed(taken, given, passing("a", "b"))


def test_an_input_may_take_one_of_several_types() -> None:
    vectors = 'input_stream: "a" output_stream: "b" ' + passing("a", "b", "ConcatenateNormalizedRectVectorCalculator")
    found = parse_graph(vectors, source="test", registry=REGISTRY)
    assert found.stream_types.inputs == {"a": NORM_RECT | vector_of(NORM_RECT)}
    assert named(NORM_RECT | vector_of(NORM_RECT)) == (
        "mediapipe::NormalizedRect or std::vector<mediapipe::NormalizedRect>"
    )


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in (ROOT / "graphs").glob("*/graph.pbtxt")))
def test_the_streams_of_the_projects_graphs_have_the_types_of_their_tags(folder: str) -> None:
    text = (ROOT / "graphs" / folder / "graph.pbtxt").read_text()
    graph = parse_graph(text, source=folder, registry=REGISTRY)
    for port in graph.input_streams:
        assert graph.stream_types.inputs[port.name] in (frozenset(), of_graph_port(port)), port.name
    for port in graph.output_streams:
        # MediaPipe does not know the type of a merged stream.
        assert graph.stream_types.outputs[port.name] in (frozenset(), of_graph_port(port)), port.name


def test_a_call_fails_if_a_node_gets_a_type_that_it_does_not_take(tmp_path: Path) -> None:
    graph = tmp_path / "graph.pbtxt"
    size = passing("IMAGE:image", "SIZE:s", "ImagePropertiesCalculator")
    graph.write_text(f'input_stream: "image" output_stream: "OVTENSOR:s" {size}')
    tensor = np.zeros((4, 4, 3), np.uint8)
    with graph_server(config=single_servable("passThrough", tmp_path)) as server:
        with pytest.raises(grpc.RpcError) as refused:
            unary(server.address, request(1, image=tensor))
        answers, code, details = stream(server.address, request(1, image=tensor))
    expected = 'Packet type mismatch on a calculator receiving from stream "image": The Packet stores "ov::Tensor"'
    assert expected in str(refused.value.details())
    assert not answers
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert expected in details


def test_an_output_with_another_type_than_its_tag_fails_and_says_that_ovms_would_abort(tmp_path: Path) -> None:
    graph = tmp_path / "graph.pbtxt"
    graph.write_text(f'input_stream: "IMAGE:image" output_stream: "out" {passing("image", "out")}')
    with graph_server(config=single_servable("passThrough", tmp_path)) as server:
        with pytest.raises(grpc.RpcError) as refused:
            unary(server.address, request(1))
        _, code, details = stream(server.address, request(1))
    expected = "output out holds mediapipe::ImageFrame, and its tag stands for ov::Tensor: OVMS would abort here"
    assert expected in str(refused.value.details())
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert expected in details
