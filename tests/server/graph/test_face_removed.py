"""The graph of the project without its face node: it draws no face and does not run the face's models."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import default_models
from graph_server.errors import ConfigError
from graph_server.graph.definition import parse_graph
from graph_server.models.repository import UsedModels
from tests.conftest import ROOT, shared
from tests.support.graphs import run_graph
from tests.support.video import rgb

TEXT = (ROOT / "graphs" / "holistic_classifier" / "graph.pbtxt").read_text()
FACE_INPUT = '  input_stream: "FACE_LANDMARKS:face_landmarks"\n'


def _without_face_node() -> str:
    start = TEXT.index('node {\n  calculator: "FaceLandmarksFromPoseCpu"')
    return TEXT[:start] + TEXT[TEXT.index("}\n", start) + 2 :]


def _drawn(text: str, frame: npt.NDArray[np.uint8], models: UsedModels) -> npt.NDArray[np.uint8]:
    drawn: npt.NDArray[np.uint8] = run_graph(text, [("first_input_video", 1, frame)], models=models)["output"][0][1]
    return drawn


def test_a_graph_without_the_face_node_draws_no_face_and_does_not_use_its_models(models_dir: Path) -> None:
    with av.open(str(shared("clips/sign-again.mkv"))) as container:
        frame = rgb(next(container.decode(video=0)))
    whole, part = UsedModels(default_models(models_dir)), UsedModels(default_models(models_dir))
    with_face = _drawn(TEXT, frame, whole)
    without = _drawn(_without_face_node().replace(FACE_INPUT, ""), frame, part)
    assert whole.used.keys() - part.used.keys() == {"face_detection", "face_landmark"}
    rows, columns = np.nonzero((with_face != without).any(axis=2))
    # Only the mesh of 468 points is missing: it is in the upper half, and narrower than a third of the frame.
    assert len(rows) > 400
    assert rows.max() < frame.shape[0] / 2
    assert columns.max() - columns.min() < frame.shape[1] / 3


def test_a_graph_that_draws_the_landmarks_of_a_missing_face_node_fails_at_load() -> None:
    with pytest.raises(ConfigError, match=r'"HolisticTrackingToRenderData" .* no node produces input stream'):
        parse_graph(_without_face_node(), source="test", registry=REGISTRY)
