"""Encoded frames in and out of a graph."""

from collections.abc import Sequence

import numpy as np
import pytest

from graph_server.errors import ConfigError, GraphError
from graph_server.python_nodes.tensor import Tensor
from kserve_wire.datatypes import join_elements, split_elements
from kserve_wire.encoded import jpeg_frame, to_elements
from kserve_wire.pictures.jpeg import decode_image, encode_jpeg
from tests.support.graphs import run_graph
from tests.support.video import picture

GRAPH = """
input_stream: "OVMS_PY_TENSOR:frame"
output_stream: "IMAGE:image"
output_stream: "OVMS_PY_TENSOR:output"
node { calculator: "FrameDecoderCalculator" input_stream: "ENCODED:frame" output_stream: "IMAGE:image" }
node {
  calculator: "FrameEncoderCalculator" input_stream: "IMAGE:image" output_stream: "ENCODED:output"
  node_options: { [type.googleapis.com/mediapipe.FrameEncoderOptions] { quality: 95 } }
}
"""


def tensor(elements: Sequence[bytes], datatype: str = "BYTES") -> Tensor:
    return Tensor.of_bytes("frame", join_elements(elements), (len(elements),), datatype)


def test_a_jpeg_becomes_an_image_of_an_aligned_width_and_a_jpeg_again() -> None:
    data = encode_jpeg(picture(7, 70, 48), 95)
    out = run_graph(GRAPH, [("frame", 3, tensor(to_elements(jpeg_frame(data))))])
    ((timestamp, image),) = out["image"]
    assert timestamp == 3
    assert image.shape == (48, 80, 3)
    np.testing.assert_array_equal(image[:, :70], decode_image(data))
    ((_, answer),) = out["output"]
    assert (answer.datatype, answer.shape) == ("BYTES", (1,))
    (again,) = split_elements(answer.contiguous())
    assert np.abs(decode_image(again).astype(int) - image).mean() < 3


def test_h264_without_a_key_frame_has_no_image() -> None:
    assert run_graph(GRAPH, [("frame", 3, tensor([b"h264", b"1", b"0", b"1", b"\x00\x00\x01\x41abc"]))]) == {}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (tensor([b"no picture"]), "not a JPEG or PNG"),
        (tensor([b"h265", b"1", b"0"]), "no encoded frame"),
        (tensor([b"a"] * 9000), "more than"),
        (Tensor.of_bytes("frame", b"\x09\x00\x00\x00abc", (1,), "BYTES"), "cut off"),
        (Tensor.of_bytes("frame", bytes(4), (4,), "UINT8"), "not of UINT8"),
    ],
)
def test_what_is_no_encoded_frame_puts_the_graph_into_error(given: Tensor, text: str) -> None:
    with pytest.raises(GraphError, match=text) as broken:
        run_graph(GRAPH, [("frame", 3, given)])
    assert broken.value.code == "INVALID_ARGUMENT"


def test_a_quality_that_no_jpeg_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="quality is 96: 1 to 95"):
        run_graph(GRAPH.replace("95", "96"), [])
