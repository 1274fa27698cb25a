"""OpenVINOInferenceCalculator: streams and tensors, and nodes that OVMS refuses at load or at run time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph_server.calculators import REGISTRY
from graph_server.errors import ConfigError, GraphError
from graph_server.graph.definition import parse_graph
from graph_server.models.config import ModelConfig
from graph_server.models.repository import ModelRepository
from graph_server.models.runtime import Runtime
from graph_server.models.versions import parse_policy
from tests.support.graph_server import write_onnx
from tests.support.graphs import run_graph

ONE = np.ones((1, 2), np.float32)


@pytest.fixture
def models(tmp_path: Path) -> ModelRepository:
    """Inputs b and a, outputs b_out and a_out: twice the same."""
    write_onnx(tmp_path / "m" / "1" / "model.onnx", inputs={"b": (1, 2), "a": (1, 2)}, factor=2.0)
    return ModelRepository(Runtime(), (ModelConfig("m", tmp_path / "m"),))


def graph_of(inputs: str, outputs: str, options: str) -> str:
    """``inputs`` and ``outputs`` are tags of the node."""
    text = ""
    for kind, tags in (("input", inputs.split()), ("output", outputs.split())):
        text += "".join(f'{kind}_stream: "{tag}:{tag.lower()}_{kind}" ' for tag in tags)
    node = f'calculator: "OpenVINOInferenceCalculator" input_side_packet: "SESSION:s" {text}'
    return f"""
      {text}
      node {{ calculator: "OpenVINOModelServerSessionCalculator" output_side_packet: "SESSION:s" options {{
        [mediapipe.OpenVINOModelServerSessionCalculatorOptions.ext] {{ servable_name: "m" }} }} }}
      node {{ {node} options {{ [mediapipe.OpenVINOInferenceCalculatorOptions.ext] {{ {options} }} }} }}
    """


def run(text: str, models: ModelRepository, packets: dict[str, Any]) -> dict[str, Any]:
    """The packet of each stream that has one."""
    out = run_graph(text, [(name, 1, value) for name, value in packets.items()], models=models)
    return {name: value for name, ((_, value),) in out.items()}


MAPS = 'tag_to_input_tensor_names { key: "A" value: "a" } tag_to_input_tensor_names { key: "B" value: "b" } '
MAPS += 'tag_to_output_tensor_names { key: "OUT" value: "b_out" }'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (graph_of("A", "OUT", MAPS + 'input_order_list: "a"'),
         r'\(line 5\): Use tag_to_input_tensor_names or input_order_list not both at once'),
        (graph_of("A", "TENSORS", MAPS + 'output_order_list: "a"'),
         "Use tag_to_output_tensor_names or output_order_list not both at once"),
        (graph_of("TENSORS", "OUT", MAPS), "needs input_order_list for vectors of tensors"),
        ('output_stream: "a_input" ' + graph_of("A", "", MAPS), "needs input and output streams"),
        (graph_of("A", "OUT", MAPS).replace("input_side_packet", "output_side_packet"), "needs input side packet"),
    ],
)  # fmt: skip
def test_a_node_that_ovms_refuses_is_refused_at_load(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_graph(text, source="test", registry=REGISTRY)


def test_tags_are_mapped_to_tensors(models: ModelRepository) -> None:
    out = run(graph_of("A B", "OUT", MAPS), models, {"a_input": ONE, "b_input": ONE * 3})
    assert np.array_equal(out["out_output"], ONE * 6)


def test_a_vector_without_an_order_list_is_sorted_by_the_names_of_the_tensors(models: ModelRepository) -> None:
    text = graph_of("OVTENSORS", "OVTENSORS", 'input_order_list: ["b", "a"]')
    text = text.replace('output_stream: "OVTENSORS:ovtensors_output"', 'output_stream: "OVTENSORS:v"', 1)
    text = text.replace('output_stream: "OVTENSORS:ovtensors_output"', 'output_stream: "OVTENSORS:v"')
    out = run(text, models, {"ovtensors_input": [ONE, ONE * 3]})
    assert [tensor[0, 0] for tensor in out["v"]] == [6, 2]


def test_a_tag_that_is_not_in_the_map_is_the_name_of_the_tensor(models: ModelRepository) -> None:
    with pytest.raises(GraphError, match=r"model m has no input 'A', only \['a', 'b'\]"):
        run(graph_of("A B", "OUT", MAPS.replace('"A" value', '"OTHER" value')), models, {})


def test_a_missing_input_puts_the_graph_into_error(models: ModelRepository) -> None:
    with pytest.raises(GraphError, match="expects all input packets at the same time"):
        run(graph_of("A B", "OUT", MAPS), models, {"a_input": ONE})


def test_a_vector_with_another_length_than_its_list_puts_the_graph_into_error(models: ModelRepository) -> None:
    text = graph_of("OVTENSORS", "OUT", 'input_order_list: "a" ' + MAPS.split("} ", 2)[2])
    with pytest.raises(GraphError, match="2 tensors for 1 names of input_order_list"):
        run(text, models, {"ovtensors_input": [ONE, ONE]})


def test_a_tensor_of_another_type_puts_the_graph_into_error(models: ModelRepository) -> None:
    with pytest.raises(GraphError, match="Invalid input precision - input 'a' is uint8, the model's"):
        run(graph_of("A B", "OUT", MAPS), models, {"a_input": ONE.astype(np.uint8), "b_input": ONE})


@pytest.mark.parametrize(("version", "factor"), [("1", 2), ("2", 5), ("", 5), ("0", 5), ("newest", 5), (" 1", 2)])
def test_a_session_takes_the_named_version_or_the_latest(tmp_path: Path, version: str, factor: int) -> None:
    for number, value in ((1, 2.0), (2, 5.0)):
        write_onnx(tmp_path / "m" / str(number) / "model.onnx", inputs={"b": (1, 2), "a": (1, 2)}, factor=value)
    models = ModelRepository(Runtime(), (ModelConfig("m", tmp_path / "m", policy=parse_policy({"all": {}})),))
    text = graph_of("A B", "OUT", MAPS).replace(
        'servable_name: "m"', f'servable_name: "m" servable_version: "{version}"'
    )
    assert run(text, models, {"a_input": ONE, "b_input": ONE})["out_output"][0, 0] == factor


def test_a_session_with_a_version_that_is_not_served_is_refused_at_load(models: ModelRepository) -> None:
    text = graph_of("A B", "OUT", MAPS).replace('servable_name: "m"', 'servable_name: "m" servable_version: "3"')
    with pytest.raises(ConfigError, match=r"\(line 3\): .*model m has no version 3, only \[1\]"):
        run(text, models, {})
