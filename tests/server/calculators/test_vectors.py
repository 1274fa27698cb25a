"""Splitting and joining of vectors, and color conversion of images."""

from typing import Any

import numpy as np
import pytest

from graph_server.errors import ConfigError
from tests.support.graphs import run_graph


def _concatenate(kind: str, options: str, packets: Any) -> Any:
    text = f"""
      input_stream: "a" input_stream: "b" output_stream: "c"
      node {{ calculator: "Concatenate{kind}Calculator" input_stream: "a" input_stream: "b" output_stream: "c"
             options {{ [mediapipe.ConcatenateVectorCalculatorOptions.ext] {{ {options} }} }} }}
    """
    return run_graph(text, packets).get("c", [])


def test_vectors_and_elements_that_have_packets_are_joined() -> None:
    packets = [("a", 1, [1.0, 2.0]), ("b", 1, 3.0), ("b", 2, [4.0])]
    assert _concatenate("FloatVector", "", packets) == [(1, [1.0, 2.0, 3.0]), (2, [4.0])]
    assert _concatenate("FloatVector", "only_emit_if_all_present: true", packets) == [(1, [1.0, 2.0, 3.0])]


def test_landmark_lists_are_joined_into_one_list() -> None:
    landmarks = np.arange(15, dtype=np.float32).reshape(3, 5)
    ((_, joined),) = _concatenate("NormalizedLandmarkList", "", [("a", 1, landmarks[:1]), ("b", 1, landmarks[1:])])
    assert joined.tolist() == landmarks.tolist()


def test_ranges_of_a_list_are_combined() -> None:
    text = """
      input_stream: "a" output_stream: "b"
      node { calculator: "SplitFloatVectorCalculator" input_stream: "a" output_stream: "b"
             options { [mediapipe.SplitVectorCalculatorOptions.ext] {
               ranges { begin: 0 end: 1 } ranges { begin: 2 end: 4 } combine_outputs: true } } }
    """
    assert run_graph(text, [("a", 1, [1.0, 2.0, 3.0, 4.0])])["b"] == [(1, [1.0, 3.0, 4.0])]


@pytest.mark.parametrize(
    ("source", "target", "pixel", "expected"),
    [
        ("RGBA_IN", "RGB_OUT", [1, 2, 3, 4], [1, 2, 3]),
        ("RGB_IN", "RGBA_OUT", [1, 2, 3], [1, 2, 3, 255]),
        ("GRAY_IN", "RGB_OUT", [7], [7, 7, 7]),
        ("RGB_IN", "GRAY_OUT", [10, 10, 10], [10]),
        ("BGRA_IN", "RGBA_OUT", [1, 2, 3, 4], [3, 2, 1, 4]),
    ],
)
def test_images_change_their_channels(source: str, target: str, pixel: list[int], expected: list[int]) -> None:
    text = f"""
      input_stream: "a" output_stream: "b"
      node {{ calculator: "ColorConvertCalculator" input_stream: "{source}:a" output_stream: "{target}:b" }}
    """
    ((_, image),) = run_graph(text, [("a", 1, np.full((2, 4, len(pixel)), pixel, np.uint8))])["b"]
    assert image.shape == (2, 4, len(expected))
    assert image[1, 2].tolist() == expected


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("Float", "", "needs ranges"),
        ("Float", "ranges { begin: 2 end: 2 }", "0 <= begin < end"),
        ("Float", "ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 }", "2 ranges for 1 outputs"),
        ("Float", "ranges { begin: 0 end: 2 } element_only: true", "all ranges should be of size 1"),
        ("Float", "ranges { begin: 0 end: 2 } ranges { begin: 1 end: 3 } combine_outputs: true", "must not overlap"),
    ],
)
def test_ranges_that_mediapipe_refuses_are_refused_at_load(kind: str, options: str, message: str) -> None:
    text = f"""
      input_stream: "a" output_stream: "b"
      node {{ calculator: "Split{kind}VectorCalculator" input_stream: "a" output_stream: "b"
             options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{ {options} }} }} }}
    """
    with pytest.raises(ConfigError, match=message):
        run_graph(text, [])


def test_only_one_node_may_split_a_vector_of_tensors() -> None:
    text = """
      input_stream: "a" output_stream: "b" output_stream: "c"
      node { calculator: "SplitTensorVectorCalculator" input_stream: "a" output_stream: "b" output_stream: "c"
             options { [mediapipe.SplitVectorCalculatorOptions.ext] {
               ranges { begin: 0 end: 1 } ranges { begin: 1 end: 2 } element_only: true } } }
    """
    assert run_graph(text, [("a", 1, [7, 8])]) == {"b": [(1, 7)], "c": [(1, 8)]}
    with pytest.raises(ConfigError, match="must not overlap"):
        run_graph(text.replace("begin: 1 end: 2", "begin: 0 end: 1"), [])
