"""A real MLflow scoring server, from PyPI, in a virtual environment of its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from graph_server.assets import ensure_clip
from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.classify import UNKNOWN, DecisionOptions, FeatureSchema, MLflowClassifier, WindowSpec
from stream_client.classify.factory import open_classifier
from stream_client.classify.joints import JOINT
from stream_client.classify.models import schema_document
from stream_client.options import ClassifierOptions
from stream_client.transport.servable import LANDMARK_GRAPH
from tests.support.environments import interpreter_of
from tests.support.mlflow_server import MLflowServer, save_model

pytestmark = [pytest.mark.environment, pytest.mark.timeout(240)]
SCHEMA = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
WINDOW = WindowSpec(length_ms=500, overlap_ms=250, rate=20, pooling=("mean",))

SAVE = """
import sys
import mlflow
import numpy as np


class HandUp(mlflow.pyfunc.PythonModel):
    # Probability that the wrist is above the hips: the second column is its height, downwards.
    def predict(self, context, model_input, params=None):
        rows = np.asarray(model_input, dtype=float)
        up = (rows[:, 1] < 0).astype(float)
        return np.stack([up, 1 - up], axis=1)


mlflow.pyfunc.save_model(sys.argv[1], python_model=HandUp())
"""


@pytest.fixture(scope="module")
def python() -> Path:
    return interpreter_of("mlflow")


@pytest.fixture
def server(python: Path, tmp_path: Path) -> Iterator[MLflowServer]:
    serving = MLflowServer(python, save_model(python, SAVE, tmp_path), tmp_path / "log")
    yield serving
    serving.kill()


def person(wrist: float) -> npt.NDArray[np.float64]:
    points = np.zeros((33, 3))
    points[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1] = -100
    points[JOINT["left_wrist"], 1] = wrist
    return points


def test_a_scoring_server_labels_windows_and_its_death_is_unknown(server: MLflowServer) -> None:
    classifier = MLflowClassifier(
        server.url, ["up", "down"], schema=SCHEMA, window=WINDOW, decision=DecisionOptions(smoothing=0), timeout=10
    )

    def run(start: int, wrist: float) -> str:
        for index in range(start, start + 30):
            classifier.run_keypoint_pipeline(person(wrist), index * 33_333)
        return classifier.current_classification

    assert run(0, -50) == "up"
    assert run(30, 50) == "down"
    assert classifier.errors == 0
    server.kill()
    assert run(60, -50) == UNKNOWN
    assert classifier.errors > 0
    assert "did not answer" in str(classifier.last_error)


def test_a_scoring_server_killed_in_mid_run_leaves_a_stream_unknown(
    server: MLflowServer, models_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "schema.json").write_text(schema_document(SCHEMA, WINDOW, ()))
    classifier = open_classifier(
        ClassifierOptions(server.url, classifier_schema=tmp_path / "schema.json"), ["up", "down"]
    )
    results = []

    def take(result: Result) -> None:
        results.append(result)
        if result.label is not None and result.label.name != UNKNOWN and classifier.errors == 0:
            server.kill()

    graph = TransportOptions("embedded", model_name=LANDMARK_GRAPH)
    client = StreamClient(str(ensure_clip()), take, graph, classifier=classifier, options=RunOptions(limit_frames=220))
    assert client.run().ledger.delivered == 220
    labels = [result.label.name for result in results if result.label is not None]
    assert len(labels) == 220
    first = next(index for index, label in enumerate(labels) if label != UNKNOWN)
    after = labels[first + WINDOW.hop * 3 :]
    assert classifier.errors > 3
    assert set(after) == {UNKNOWN}
    assert "did not answer" in str(classifier.last_error)
