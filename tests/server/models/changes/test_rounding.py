"""Networks that compute in bfloat16 in part: where they are cut, and how their weights are rounded."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as ops
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from graph_server.cli.landmarks import default_models
from graph_server.holistic.networks import Network
from graph_server.models.changes.halves import halves
from graph_server.models.changes.rounded_weights import diffused, with_rounded_weights
from graph_server.models.precision import may_round
from kserve_wire.openvino_core import new_core

Array = npt.NDArray[np.float32]
RNG = np.random.default_rng(1)
HAND = ("Identity", "Identity_1")
FINITE = st.floats(-1e6, 1e6, width=32)


def values(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def answers(models: list[ov.Model], image: Array) -> list[Array]:
    """What models say of which each takes the output of the one before."""
    found = [image]
    for model in models:
        request = new_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
        request.infer([found[0]])
        found = [np.array(request.get_output_tensor(index).data) for index in range(len(model.outputs))]
    return found


def pyramid() -> ov.Model:
    """Maps of 8x8 with 3, 6 and 2 channels, then of 4x4; the 6 channels are added to their own square root."""
    image = ops.parameter([1, 3, 8, 8], np.float32, name="x")
    wide = ops.relu(ops.convolution(image, ops.constant(values(6, 3, 1, 1)), [1, 1], [0, 0], [0, 0], [1, 1]))
    both = ops.add(wide, ops.sqrt(wide))
    narrow = ops.convolution(both, ops.constant(values(2, 6, 1, 1)), [1, 1], [0, 0], [0, 0], [1, 1])
    small = ops.convolution(narrow, ops.constant(values(4, 2, 2, 2)), [2, 2], [0, 0], [0, 0], [1, 1])
    result = ops.relu(small)
    result.output(0).get_tensor().set_names({"y"})
    return ov.Model([result, ops.reduce_mean(result, ops.constant(np.array([2, 3])))], [image], "m")


def test_a_network_is_cut_where_the_fewest_channels_go_on() -> None:
    whole, image = pyramid(), values(1, 3, 8, 8)
    first, rest = halves(whole.clone(), 8)
    assert first.outputs[0].get_shape() == [1, 2, 8, 8]
    assert rest.outputs[0].get_names() == {"y"}
    for ours, theirs in zip(answers([first, rest], image), answers([whole], image), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_network_without_such_maps_is_not_cut() -> None:
    with pytest.raises(ValueError, match="m has no place to cut at 5x5"):
        halves(pyramid(), 5)


@given(arrays(np.float32, (3, 40), elements=FINITE))
def test_rounded_weights_keep_the_sum_of_a_channel(weights: Array) -> None:
    rounded = diffused(weights, 1)
    assert not (rounded.view(np.uint32) & 0xFFFF).any()
    # What is left is the rounding of the last weight, at most 2**-8 of it, and of float32's additions.
    left = np.abs(rounded.astype(np.float64).sum(axis=1) - weights.astype(np.float64).sum(axis=1))
    assert (left <= 2.0**-7 * np.abs(weights).max(axis=1) + 1e-30).all()


@given(arrays(np.float32, (20, 1), elements=FINITE))
def test_a_single_weight_is_rounded_to_the_nearest(weights: Array) -> None:
    nearest = diffused(weights, 1)
    step = (nearest.view(np.uint32) + np.uint32(1 << 16)).view(np.float32) - nearest
    assert (np.abs(nearest - weights) <= np.abs(step) / 2).all()


def test_ties_go_to_the_even_value() -> None:
    ties = np.array([[1 + 2**-8], [1 + 3 * 2**-8]], np.float32)
    assert diffused(ties, 1).tolist() == [[1.0], [1 + 2**-6]]


@pytest.mark.parametrize("transposed", [True, False])
def test_the_columns_of_a_matrix_are_its_channels(transposed: bool) -> None:
    weights = values(30, 4)
    image = ops.parameter([1, 30], np.float32)
    product = ops.matmul(image, ops.constant(weights.T.copy() if transposed else weights), False, transposed)
    (found,) = answers([with_rounded_weights(ov.Model([product], [image], "m"))], np.ones((1, 30), np.float32))
    np.testing.assert_allclose(found[0], weights.sum(axis=0), atol=2**-7 * np.abs(weights).max())


def test_the_hands_network_hardly_changes(models_dir: Path) -> None:
    model = default_models(models_dir).get("hand_landmark_full")
    parts, exact = Network(model, HAND, rounded_from=28), Network(model, HAND)
    parts.pixels[:] = exact.pixels[:] = RNG.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    (points, presence), (their_points, their_presence) = parts.run(), exact.run()
    assert np.abs(points - their_points).max() < 2.24  # of 224 pixels
    assert abs(float(presence.item() - their_presence.item())) < 0.05
    assert model.precision == ("bf16 f32" if may_round(model.plugin_config) else "f32")


@pytest.mark.parametrize(
    ("keys", "processor", "may"),
    [
        ({"EXECUTION_MODE_HINT": "PERFORMANCE"}, "bf16", True),
        ({"EXECUTION_MODE_HINT": "PERFORMANCE"}, "f32", False),
        ({"EXECUTION_MODE_HINT": "ACCURACY"}, "bf16", False),
        ({}, "bf16", False),
    ],
)
def test_only_a_configuration_that_allows_it_rounds(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], processor: str, may: bool
) -> None:
    monkeypatch.setattr("graph_server.models.precision.default_precision", lambda: processor)
    assert may_round({"INFERENCE_PRECISION_HINT": "f32", **keys}) is may
