"""Encoded pictures sent to a model: OVMS's documented snippet, and what is refused."""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from graph_server.config.server_config import ServerConfig
from graph_server.models.config import ModelConfig
from graph_server.models.description import TensorInfo
from graph_server.models.preparation import Preparation
from graph_server.service.encoded_images import decoded
from graph_server.service.status import UnmappedRefusal
from tests.support.graph_server import graph_server, write_onnx

MODELS = {
    "plain": ((1, 4, 5, 3), ""),
    "laid_out": ((1, 4, 5, 3), "NHWC"),
    "turned": ((1, 3, 4, 5), "NHWC:NCHW"),
    "planes": ((1, 3, 4, 5), "NCHW"),
    "several": ((-1, 4, 5, 3), ""),
    "any_size": ((1, -1, -1, 3), ""),
    "flat": ((1, 2), ""),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    """A server of models that give back what they get."""
    folder = tmp_path_factory.mktemp("models")
    models = []
    for name, (shape, layout) in MODELS.items():
        write_onnx(folder / name / "1" / "model.onnx", inputs={"x": shape}, factor=1.0)
        models.append(ModelConfig(name, folder / name, preparation=Preparation(layouts={"": layout} if layout else {})))
    config = ServerConfig(tuple(models), ())
    with graph_server(config=config) as server, triton.InferenceServerClient(server.address) as made:
        yield made


def pixels(height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)


def encoded(image: npt.NDArray[np.uint8], suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def infer(
    client: triton.InferenceServerClient, name: str, pictures: Sequence[bytes], shape: Sequence[int] | None = None
) -> Any:
    """As docs/clients_kfs.md has it."""
    values = np.array(pictures, dtype=np.object_)
    inputs = [triton.InferInput("x", values.shape, "BYTES")]
    inputs[0].set_data_from_numpy(values)
    if shape is not None:
        inputs[0].set_shape(list(shape))
    results = client.infer(model_name=name, inputs=inputs, outputs=[triton.InferRequestedOutput("x_out")])
    return results.as_numpy("x_out")


@pytest.mark.parametrize("name", ["plain", "laid_out", "several", "any_size"])
def test_a_picture_comes_to_the_model_as_floats_in_bgr(client: triton.InferenceServerClient, name: str) -> None:
    image = pixels(4, 5)
    assert np.array_equal(infer(client, name, [encoded(image)]), image[None].astype(np.float32))


def test_a_picture_is_made_as_large_as_an_input_whose_layout_is_known(client: triton.InferenceServerClient) -> None:
    image = pixels(9, 13)
    expected = cv2.resize(image.astype(np.float32), (5, 4))
    assert np.array_equal(infer(client, "laid_out", [encoded(image)])[0], expected)
    assert np.array_equal(infer(client, "turned", [encoded(image)])[0], expected.transpose(2, 0, 1))


def test_a_jpeg_of_any_size_keeps_it_where_the_model_leaves_it_open(client: triton.InferenceServerClient) -> None:
    data = encoded(pixels(32, 48), ".jpg")
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert np.array_equal(infer(client, "any_size", [data])[0], read.astype(np.float32))


def test_several_pictures_are_a_batch(client: triton.InferenceServerClient) -> None:
    images = [pixels(4, 5), 255 - pixels(4, 5)]
    assert np.array_equal(infer(client, "several", [encoded(image) for image in images]), np.stack(images))


PICTURE = encoded(pixels(4, 5))
WHERE = "input name: input name: x"


@pytest.mark.parametrize(
    ("name", "pictures", "shape", "code", "text"),
    [
        ("plain", [b"no picture"], None, "UNKNOWN", "Unknown error"),
        ("plain", [encoded(np.zeros((5000, 5000), np.uint8))], None, "UNKNOWN", "Unknown error"),
        ("flat", [PICTURE], None, "UNKNOWN", "Unknown error"),
        ("plain", [encoded(pixels(4, 5, 1))], None, "INVALID_ARGUMENT", "Invalid number of channels in binary input"),
        ("plain", [encoded(pixels(4, 6))], None, "INVALID_ARGUMENT", "Invalid input shape"),
        (
            "plain",
            [PICTURE] * 2,
            None,
            "INVALID_ARGUMENT",
            f"Invalid input batch size - Expected: 1; Actual: 0; {WHERE}",
        ),
        ("plain", [PICTURE], [2], "INVALID_ARGUMENT", "Invalid input batch size"),
        (
            "plain",
            [PICTURE],
            [1, 1],
            "INVALID_ARGUMENT",
            f"Invalid number of shape dimensions - Expected number of input shape dimensions: 1; Actual: 2; {WHERE}",
        ),
        (
            "planes",
            [PICTURE],
            None,
            "INVALID_ARGUMENT",
            "Received binary image input but resource not configured to accept NHWC layout",
        ),
        (
            "several",
            [PICTURE, encoded(pixels(5, 4))],
            None,
            "INVALID_ARGUMENT",
            "Binary input images for this endpoint are required to have the same resolution",
        ),
    ],
)
def test_what_is_no_such_picture_is_refused_in_ovms_words(
    client: triton.InferenceServerClient,
    name: str,
    pictures: list[bytes],
    shape: list[int] | None,
    code: str,
    text: str,
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        infer(client, name, pictures, shape)
    assert (caught.value.status(), caught.value.message()) == (f"StatusCode.{code}", text)


def test_lengths_that_do_not_fit_the_bytes_are_refused(client: triton.InferenceServerClient) -> None:
    inputs = [triton.InferInput("x", [1], "BYTES")]
    inputs[0].set_data_from_numpy(np.array([PICTURE], dtype=np.object_))
    inputs[0]._raw_content = inputs[0]._raw_content[:-1]
    with pytest.raises(InferenceServerException, match=r"Inputs inside buffer does not match expected format\."):
        client.infer("plain", inputs)


def test_numbers_that_opencv_cannot_resize_are_refused() -> None:
    info = TensorInfo("x", "FP16", (1, 4, 5, 3), "NHWC")
    assert decoded(info, [PICTURE]).dtype == np.float16
    with pytest.raises(UnmappedRefusal, match="Image parsing failed"):
        decoded(info, [encoded(pixels(9, 13))])
