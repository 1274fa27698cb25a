"""What was never shown is unknown, and the exported model says the same as the guard."""

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.classify.decision import UNKNOWN
from stream_client.training.calibration import calibration_error, temperature_of, tempered, thresholds_of
from stream_client.training.estimators import calm, fit
from stream_client.training.guard import Guard, fit_parts, scaled
from stream_client.training.onnx_export import feature_model
from stream_client.training.onnx_finish import Finish
from stream_client.training.views import View, seen
from tests.client.training.test_onnx_export import DIGEST, dataset, infer

WIDTHS: dict[View, int] = {"limbs": 99, "steps": 32, "rows": 12}


def guarded(view: View, rows: npt.NDArray[np.float32], targets: npt.NDArray[np.intp]) -> Guard:
    half = np.arange(len(rows)) % 2 == 0
    rng = np.random.default_rng(0)
    guard = fit_parts(view, rows[half], targets[half], rng)
    return scaled(guard, guard.raw(rows[~half]))


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("view", list(WIDTHS))
def test_an_exported_model_is_calibrated_and_guarded_as_it_was_fitted(view: View, unknown: bool) -> None:
    data = dataset(3, WIDTHS[view])
    labels = ("a", "b", UNKNOWN) if unknown else ("a", "b", "c")
    with calm():
        estimator = fit("extra trees", data, np.arange(100))
    guard = guarded(view, data.rows, data.targets)
    finish = Finish(1.7, guard)
    model = feature_model(estimator, labels, WIDTHS[view], DIGEST, finish)
    far = np.random.default_rng(1).normal(0, 300, (20, WIDTHS[view])).astype(np.float32)
    rows = np.concatenate([data.rows[:60], far])
    answer = infer(model, rows)
    known = guard.known(rows)[:, None]
    expected = tempered(estimator.predict_proba(rows), 1.7) * known
    if unknown:
        expected[:, 2] += 1 - known[:, 0]
    else:
        expected = np.concatenate([expected, 1 - known], axis=1)
    assert finish.labels(labels)[-1] == UNKNOWN
    # A row on a border of a tree may fall on its other side in float32.
    assert np.mean(np.abs(answer - expected) < 1e-2) > 0.99
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-4)


def test_three_of_a_hundred_known_rows_are_given_up_and_others_are_unknown() -> None:
    data = dataset(3, count=1200)
    guard = guarded("rows", data.rows, data.targets)
    assert np.mean(guard.known(data.rows[1::2]) < 0.5) == pytest.approx(0.03, abs=0.01)
    other = data.rows[:200] * np.where(np.arange(12) % 2, -1, 1).astype(np.float32) * 3
    assert np.mean(guard.known(other) < 0.5) > 0.9


def test_a_view_does_not_depend_on_the_size_of_a_movement() -> None:
    rows = np.random.default_rng(0).normal(0, 1, (5, 32)).astype(np.float32)
    np.testing.assert_allclose(seen("steps", rows)[:, :-1], seen("steps", rows * 3)[:, :-1], atol=1e-2)


def test_probabilities_that_claim_too_much_are_made_less_certain() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 2000)
    said = np.where(rng.random(2000) < 0.8, targets, 1 - targets)  # right in 80 %
    probabilities = np.where(np.arange(2)[None] == said[:, None], 0.99, 0.01)
    temperature = temperature_of(probabilities, targets)
    assert temperature > 1.5
    before, _ = calibration_error(probabilities, targets)
    after, points = calibration_error(tempered(probabilities, temperature), targets)
    assert before > 0.15
    assert after < 0.03
    assert sum(count for _, _, count in points) == 2000


def test_thresholds_are_where_precision_and_recall_are_best() -> None:
    targets = np.array([0] * 50 + [1] * 50)
    first = np.concatenate([np.linspace(0.7, 0.95, 50), np.linspace(0.05, 0.5, 50)])
    found = thresholds_of(np.stack([first, 1 - first], axis=1), targets, ["a", "b"])
    assert 0.5 < found["a"].enter <= 0.7
    assert found["a"].exit <= found["a"].enter - 0.1
    assert 0.4 <= found["b"].enter <= 0.5
