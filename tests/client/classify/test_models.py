"""Models of other libraries."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from graph_server.resources import project_file
from kserve_wire.openvino_core import new_core
from stream_client.classify.models import TrainedModel
from stream_client.errors import ConfigurationError

ROWS = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
CLASSES = (ROWS[:, 0] > 0).astype(int)


@pytest.mark.parametrize("estimator", [LogisticRegression(), XGBClassifier(n_estimators=10, n_jobs=1)])
def test_estimators_give_a_probability_for_every_label(estimator: Any) -> None:
    model = TrainedModel.from_estimator(estimator.fit(ROWS, CLASSES), ("left", "right", "never seen"))
    scores = model.predict(ROWS)
    assert scores.shape == (200, 3)
    assert scores.sum(axis=1) == pytest.approx(np.ones(200), abs=1e-6)
    assert not scores[:, 2].any()
    assert (scores.argmax(axis=1) == CLASSES).mean() > 0.9


def test_an_estimator_without_probabilities_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no predict_proba"):
        TrainedModel.from_estimator(object(), ("a", "b"))


def test_the_clients_classifier_computes_in_float32_on_every_processor() -> None:
    folder = project_file("models/pose_classifier")
    rows = np.random.default_rng(0).normal(0, 50, (5, 195)).astype(np.float32)
    compiled = new_core().compile_model(
        str(folder / "1" / "pose_classifier.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    expected = np.concatenate([compiled(row[None])[0] for row in rows])
    np.testing.assert_allclose(TrainedModel.load(folder).predict(rows), expected, atol=1e-6)
