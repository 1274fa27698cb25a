"""Graphs that the reader refuses, and graphs that it accepts."""

from pathlib import Path

import pytest

from graph_server.calculators import REGISTRY
from graph_server.errors import ConfigError
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.resources import project_file
from tests.conftest import ROOT
from tests.support.graphs import NO_MODELS, run_graph

AB = 'input_stream: "a" output_stream: "b"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input_stream: "a"', "at least one input_stream and one output_stream"),
        (AB, "no node produces the graph's output stream 'b'"),
        (
            AB + 'node { calculator: "PassThru" }',
            r'node "PassThru" \(line 2\): calculator .* not implemented here; did you mean PassThroughCalculator',
        ),
        (
            AB + '\nnode {\n calculator: "PassThroughCalculator"\n input_stream: "x" output_stream: "b" }',
            r"\(line 3\): no node produces input stream 'x'",
        ),
        (
            'input_stream: "a" output_stream: "a" node { calculator: "PassThroughCalculator" input_stream: "a" '
            'output_stream: "a" }',
            "stream 'a' already has a producer",
        ),
        (
            AB + 'node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGES:a" output_stream: "SIZE:b" }',
            "has no input stream IMAGES",
        ),
        (
            'input_stream: "a" output_stream: "c" node { calculator: "MergeCalculator" input_stream: "b" '
            'output_stream: "c" } node { calculator: "MergeCalculator" input_stream: "c" output_stream: "b" }',
            "cycle of streams without a back_edge",
        ),
        (
            'input_stream: "OVTENSOR:a" output_stream: "OVTENSOR:b" node { calculator: "OpenVINOInferenceCalculator" '
            'input_side_packet: "SESSION:s" input_stream: "OVTENSOR:a" output_stream: "OVTENSOR:b" }',
            "no node produces input side packet 's'",
        ),
        (AB.strip() + " nod { }", '1:38 : .*no field named "nod"'),
        ('input_stream: "TFLITE_TENSOR:a" output_stream: "a"', "TFLITE_TENSOR cannot enter"),
        (
            AB + 'output_stream: "c"\nnode { calculator: "GateCalculator" input_stream: "a" input_stream: "ALLOW:a" '
            'output_stream: "b" output_stream: "c" }',
            r'node "GateCalculator" \(line 3\): Number of data output streams must match with data input streams',
        ),
        (
            AB + 'node { calculator: "PacketPresenceCalculator" input_stream: "PACKET:a" input_stream: "PACKET:a" '
            'output_stream: "PRESENCE:b" }',
            r'"PacketPresenceCalculator" \(line 2\): input_stream PACKET with index 0 is used twice',
        ),
        (
            AB + 'node { calculator: "AnnotationOverlayCalculator" input_stream: "IMAGE:a" input_stream: "VECTOR:1:a" '
            'output_stream: "IMAGE:b" }',
            "input_stream VECTOR:1 without VECTOR:0",
        ),
        (
            AB + 'node { calculator: "MergeCalculator" input_stream: "A:B:C:a" output_stream: "b" }',
            r"\(line 2\): 'A:B:C:a' is not NAME, TAG:NAME or TAG:INDEX:NAME",
        ),
        (
            AB + 'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" '
            'input_stream_info { tag_index: "LOOP" back_edge: true } }',
            r"\(line 2\): no input stream has the tag_index 'LOOP'",
        ),
        (
            AB + 'node { calculator: "OpenVINOModelServerSessionCalculator" output_side_packet: "SESSION:s" }\n'
            'node { calculator: "OpenVINOModelServerSessionCalculator" output_side_packet: "SESSION:s" }\n'
            'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" }',
            r"\(line 3\): side packet 's' already has a producer: node .* \(line 2\)",
        ),
        (
            'input_side_packet: "s"\n'
            + AB
            + 'node { calculator: "OpenVINOModelServerSessionCalculator" output_side_packet: "SESSION:s" }\n'
            'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" }',
            r"\(line 3\): side packet 's' already has a producer: the graph's input side packets",
        ),
        (
            AB + 'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" '
            'input_stream_handler { input_stream_handler: "BarrierInputStreamHandler" } }',
            "input_stream_handler 'BarrierInputStreamHandler' is not implemented here; use DefaultInputStreamHandler",
        ),
        (
            AB + 'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" input_stream_handler { '
            'input_stream_handler: "SyncSetInputStreamHandler" options { [mediapipe.SyncSetInputStreamHandlerOptions'
            '.ext] { sync_set { tag_index: "" } sync_set { tag_index: ":0" } } } } }',
            "an input stream is in more than one sync_set",
        ),
        (
            AB + 'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" '
            'node_options { type_url: "type.googleapis.com/mediapipe.NoSuchOptions" value: "x" } }',
            r"\(line 2\): node_options of type '.*NoSuchOptions' are not implemented here",
        ),
        (
            AB + 'node {\n calculator: "LLMCalculator" input_stream: "a" output_stream: "b" node_options: {\n'
            "[type.googleapis.com / mediapipe.LLMCalculatorOptions]: { name: '}' # }\n list < > } } }",
            r"\(line 2\): calculator 'LLMCalculator' is not implemented here",
        ),
        (
            AB + 'node {\n calculator: "MergeCalculator" input_stream: "a" output_stream: "b" options: {\n'
            "[mediapipe.NoSuchOptions.ext] { x: [1, 2] } } }",
            r"node \"MergeCalculator\" \(line 2\): options of type 'mediapipe.NoSuchOptions.ext' are not implemented",
        ),
        (
            AB + 'node {\n calculator: "GateCalculator" input_stream: "a" output_stream: "b" node_options: {\n'
            "[type.googleapis.com/mediapipe.GateCalculatorOptions] { alow: true } } }",
            r'node "GateCalculator" \(line 2\): 4:57 : .*no field named "alow"',
        ),
        ("# OVMS_GRAPH_QUEUE_MAX_SIZE: -1\n" + AB + 'node { calculator: "MergeCalculator" input_stream: "a" '
         'output_stream: "b" }', "OVMS_GRAPH_QUEUE_MAX_SIZE '-1' must be AUTO"),
        ("# OVMS_GRAPH_QUEUE_MAX_SIZE: INVALID\n" + AB + 'node { calculator: "MergeCalculator" input_stream: "a" '
         'output_stream: "b" }', "OVMS_GRAPH_QUEUE_MAX_SIZE 'INVALID' must be AUTO"),
        (AB + 'node { calculator: "MergeCalculator" output_stream: "b" }', "MergeCalculator needs input stream"),
        ("max_queue_size: -2\n" + AB + 'node { calculator: "MergeCalculator" input_stream: "a" output_stream: "b" }',
         "max_queue_size -2 must be a positive number"),
        ('input_stream: "a" input_stream: "b" output_stream: "b" output_stream: "b"', "two output streams with"),
        ('input_stream: "a" input_stream: "a" output_stream: "a"', "two input streams with the name 'a'"),
    ],
)  # fmt: skip
def test_the_error_for_a_graph_that_cannot_work_names_node_and_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_graph(text, source="bad.pbtxt", registry=REGISTRY)
    assert str(caught.value).startswith("bad.pbtxt: ")


def test_the_error_for_a_missing_model_in_a_subgraph_names_node_and_line() -> None:
    text = (
        'input_stream: "a" output_stream: "p"\n\n'
        'node { calculator: "HolisticLandmarkCpu" input_stream: "IMAGE:a" output_stream: "POSE_LANDMARKS:p" }'
    )
    with pytest.raises(ConfigError, match=r'node "holisticlandmarkcpu__PoseLandmarkCpu" \(line 3\): .*no model named'):
        Graph(parse_graph(text, source="test", registry=REGISTRY), REGISTRY, NO_MODELS)


def test_wrong_options_of_a_calculator_are_a_configuration_error() -> None:
    text = 'input_stream: "a" output_stream: "p" node { calculator: "TensorsToLandmarksCalculator" ' + (
        'input_stream: "TENSORS:a" output_stream: "LANDMARKS:p" }'
    )
    with pytest.raises(ConfigError, match=r'node "TensorsToLandmarksCalculator" \(line 1\): '):
        Graph(parse_graph(text, source="test", registry=REGISTRY), REGISTRY, NO_MODELS)


@pytest.mark.parametrize(
    "text",
    [
        AB + 'node: [{calculator:"MergeCalculator" input_stream:"a" output_stream:"c"},\n'
        ' {calculator:"MergeCalculator" input_stream:"c" output_stream:"b"}]',
        AB + "node { name: 'x{' calculator: 'MergeCalculator' input_stream: 'a' output_stream: 'c' }\n"
        "node { calculator: 'MergeCalculator' input_stream: 'c' output_stream: 'b' }",
        AB + "node < calculator: 'MergeCalculator' # node { } ' \"\n input_stream: 'a' output_stream: 'b' >",
        "profiler_config { trace_enabled: true }" + AB + "node { calculator: 'MergeCalculator' node_options {} "
        "input_stream: 'a' output_stream: 'b' }",
        AB + "node\n:\n{ calculator: 'MergeCalculator' input_stream: ['a'] output_stream: 'b' }",
    ],
)
def test_every_spelling_that_protobuf_reads_works(text: str) -> None:
    assert run_graph(text, [("a", 1, 7)]) == {"b": [(1, 7)]}


def test_a_node_in_a_list_has_its_own_line() -> None:
    text = AB + 'node: [\n{calculator:"MergeCalculator" input_stream:"a" output_stream:"b"},\n{calculator:"Nope"}]'
    with pytest.raises(ConfigError, match=r'node "Nope" \(line 4\)'):
        parse_graph(text, source="test", registry=REGISTRY)


def test_messages_nested_too_deeply_are_refused() -> None:
    inner = "[type.googleapis.com/mediapipe.CalculatorGraphConfig] { node { node_options { "
    text = AB + "node { node_options { " + inner * 2000 + "} } } " * 2000 + "} }"
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_graph(text, source="test", registry=REGISTRY)


@pytest.mark.parametrize("path", sorted((ROOT / "graphs").glob("*/graph.pbtxt")), ids=lambda path: path.parent.name)
def test_every_graph_of_the_project_is_valid(path: Path) -> None:
    parse_graph(path.read_text(), source=str(path), registry=REGISTRY)


def test_the_pool_directive_is_read_from_its_comment() -> None:
    text = '# OVMS_GRAPH_QUEUE_MAX_SIZE: {}\ninput_stream: "a" output_stream: "a"'
    sizes = [parse_graph(text.format(size), source="t", registry=REGISTRY).pool_size for size in ("AUTO", 3, 0)]
    assert sizes == ["AUTO", 3, None]


def test_a_side_packet_is_needed_unless_all_nodes_can_do_without_it() -> None:
    text = project_file("graphs/holistic_persons/graph.pbtxt").read_text(encoding="utf-8")
    assert parse_graph(text, source="persons", registry=REGISTRY).needed_side_packets == ()
    other = """node { calculator: "PassThroughCalculator" input_side_packet: "max_persons"
               input_stream: "first_input_video" output_stream: "same" }"""
    assert parse_graph(text + other, source="persons", registry=REGISTRY).needed_side_packets == ("max_persons",)
