"""Pictures to tensors and back."""

import numpy as np
import pytest

from stream_client.errors import BadInputError, ConfigurationError, ProtocolError
from stream_client.frames import Frame, Image, Tensor
from stream_client.transport.image_format import ImageFormat, image_format, plane_format
from stream_client.transport.options import Layout
from stream_client.transport.servable import HOLISTIC_INPUT, Servable, TensorSpec
from tests.support.video import picture


def frame(image: Image) -> Frame:
    return Frame(0, 0, image, 0.0)


def model(datatype: str, shape: tuple[int, ...] = (1, -1, -1, 3)) -> Servable:
    return Servable("model", "OpenVINO", (TensorSpec("input", datatype, shape),), ())


GRAPH = Servable("graph", "OpenVINO", (TensorSpec("image", "INVALID", ()),), (TensorSpec("output", "INVALID", ()),))


@pytest.mark.parametrize("layout", ["hwc", "nhwc", "nchw"])
@pytest.mark.parametrize("datatype", ["UINT8", "INT16", "FP16", "FP32", "FP64"])
def test_a_picture_comes_back_as_it_was_sent(layout: Layout, datatype: str) -> None:
    image = picture(0)
    servable = model(datatype, (1, 3, -1, -1) if layout == "nchw" else (1, -1, -1, 3))
    chosen = image_format(servable, input_name=None, layout=layout, datatype=None)
    tensor = chosen.to_tensor(image)
    assert np.array_equal(chosen.to_image(tensor, frame(image)), image)


@pytest.mark.parametrize("width", [33, 47, 48])
def test_columns_padded_for_a_graph_are_cut_off_again(width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, width, 3), dtype=np.uint8)
    chosen = image_format(GRAPH, input_name=None, layout=None, datatype=None)
    tensor = chosen.to_tensor(image)
    assert tensor.array.shape == (16, 48, 3)
    assert np.array_equal(chosen.to_image(tensor, frame(image)), image)


def test_a_picture_that_a_server_made_wider_is_shown_whole() -> None:
    image, wider = np.zeros((16, 32, 3), np.uint8), np.ones((16, 40, 3), np.uint8)
    assert ImageFormat("image").to_image(Tensor("output", "UINT8", wider), frame(image)).shape == wider.shape


def test_floating_point_in_0_to_1_is_shown_in_full_brightness() -> None:
    values = np.array([0.0, 0.5, 1.0, np.nan], np.float32).reshape(1, 4, 1).repeat(3, axis=2)
    shown = ImageFormat("image").to_image(Tensor("output", "FP32", values), frame(np.zeros((1, 4, 3), np.uint8)))
    assert shown[0, :, 0].tolist() == [0, 128, 255, 0]


def test_values_beyond_a_byte_are_clipped() -> None:
    values = np.array([-4, 0, 255, 300], np.int16).reshape(1, 4, 1).repeat(3, axis=2)
    shown = ImageFormat("image").to_image(Tensor("output", "INT16", values), frame(np.zeros((1, 4, 3), np.uint8)))
    assert shown[0, :, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("datatype", ["INT8", "BOOL", "BF16"])
def test_a_datatype_that_cannot_hold_a_picture_is_refused(datatype: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\(input_dtype\)$"):
        image_format(GRAPH, input_name=None, layout=None, datatype=datatype)
    with pytest.raises(BadInputError, match=f"takes {datatype}, which holds no image"):
        image_format(model(datatype), input_name=None, layout=None, datatype=None)


def test_a_tensor_that_is_no_picture_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"shape \[5, 7\] is not an image"):
        ImageFormat("image").to_image(Tensor("scores", "FP32", np.zeros((5, 7), np.float32)), frame(picture(0)))


def test_a_graph_that_takes_rgb_is_not_sent_planes() -> None:
    graph = Servable("graph", "OpenVINO", (TensorSpec(HOLISTIC_INPUT, "INVALID", ()),), ())
    with pytest.raises(BadInputError, match="takes images of RGB and no planes"):
        plane_format(graph, "nv12", input_name=None)
