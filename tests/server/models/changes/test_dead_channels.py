"""Channels without weights are left out, and the network answers as before."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as ops
import pytest

from graph_server.cli.landmarks import default_models
from graph_server.models.changes.dead_channels import without_dead_channels
from graph_server.models.changes.excerpt import Excerpt
from kserve_wire.openvino_core import new_core

CHANNELS = 64
Array = npt.NDArray[np.float32]
RNG = np.random.default_rng(1)
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


def biased(source: Any, weights: Array, *, grouped: bool = False, active: str = "") -> Any:
    """A convolution that keeps the size, its bias, and an activation."""
    reach = weights.shape[-1] // 2
    pads = [reach, reach]
    make = ops.group_convolution if grouped else ops.convolution
    made = make(source, ops.constant(weights), [1, 1], pads, pads, [1, 1])
    made = ops.add(made, ops.constant(values(1, weights.shape[0], 1, 1)))
    return {"": lambda: made, "clamp": lambda: ops.clamp(made, 0, 6), "relu": lambda: ops.relu(made)}[active]()


def values(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def network(dead: int, *, active: str = "clamp", mean: bool = False, kernel: int = 1, shown: bool = False) -> ov.Model:
    """8 channels → 64 → 64 depthwise, of which some are dead → 8, or their mean."""
    parameter = ops.parameter([1, 8, 6, 6], np.float32, name="x")
    wide = biased(parameter, values(CHANNELS, 8, 1, 1), active=active)
    depthwise = values(CHANNELS, 1, 1, 3, 3)
    depthwise[RNG.permutation(CHANNELS)[:dead]] = 0
    middle = biased(wide, depthwise, grouped=True, active=active)
    if mean:
        result = ops.reduce_mean(middle, ops.constant(np.array([2, 3])), keep_dims=True)
    else:
        result = biased(middle, values(8, CHANNELS, kernel, kernel))
    return ov.Model([result, middle] if shown else [result], [parameter], "m")


def widths(model: ov.Model) -> list[int]:
    """The channels of each convolution."""
    return [node.get_output_shape(0)[1] for node in model.get_ordered_ops() if "Convolution" in node.get_type_name()]


def answers(model: ov.Model, image: Array) -> list[Array]:
    request = new_core().compile_model(model, "CPU", FLOAT32).create_infer_request()
    request.infer([image])
    return [np.array(request.get_output_tensor(index).data) for index in range(len(model.outputs))]


@pytest.mark.parametrize("active", ["clamp", "relu", ""])
@pytest.mark.parametrize("mean", [False, True])
def test_a_network_answers_as_before_with_fewer_channels(active: str, mean: bool) -> None:
    model = network(40, active=active, mean=mean)
    image = values(1, 8, 6, 6)
    before = answers(model, image)
    smaller = without_dead_channels(model)
    assert widths(smaller)[:2] == [32, 32]  # 24 are alive, and kernels compute 16 at once
    for old, new in zip(before, answers(smaller, image), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        network(0),
        network(15),  # all of the last block of 16 are needed
        network(CHANNELS),
        network(40, kernel=3),  # at the border a constant would count less
        network(40, shown=True),
    ],
)
def test_other_networks_stay_as_they_are(model: ov.Model) -> None:
    image = values(1, 8, 6, 6)
    before = answers(model, image)
    smaller = without_dead_channels(model)
    assert widths(smaller)[:2] == [CHANNELS, CHANNELS]
    for old, new in zip(before, answers(smaller, image), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_hand_takes_an_eighth_less_work(models_dir: Path) -> None:
    path = default_models(models_dir).get("hand_landmark_full").path
    whole, names = new_core().read_model(str(path)), ("Identity", "Identity_1")
    smaller = Excerpt(names).of(whole.clone())
    assert [width for width in widths(whole) if width == 1152] == [1152] * 8
    assert max(widths(smaller)) < 700
    image = RNG.random((1, 224, 224, 3), np.float32)
    indices = [index for index, port in enumerate(whole.outputs) if port.get_names() & set(names)]
    before = answers(whole, image)
    for index, new in zip(indices, answers(smaller, image), strict=True):
        np.testing.assert_allclose(new, before[index], atol=2e-4)  # in pixels of 224
