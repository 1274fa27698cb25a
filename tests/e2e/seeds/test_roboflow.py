"""Roboflow's stream with servables of the graph server."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream_client.compat.roboflow import Stream
from tests.e2e.test_detections import write_detector
from tests.support.graph_server import graph_server_process

pytestmark = pytest.mark.timeout(240)


def test_a_detector_on_a_server_gives_boxes_with_tracks(clip: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "names.txt").write_text("person\nbicycle\n")
    monkeypatch.setenv("LABELS", str(tmp_path / "names.txt"))
    monkeypatch.setenv("ACTIVE_LEARNING_ENABLED", "True")
    monkeypatch.setenv("ACTIVE_LEARNING_DIR", str(tmp_path / "unsure"))
    seen: list[dict[str, Any]] = []
    model = write_detector(tmp_path, second=0.55)
    with graph_server_process("--model_name", "detector", "--model_path", str(model)) as server:
        Stream(
            source=str(clip),
            model="detector",
            confidence=0.3,
            use_bytetrack=True,
            use_main_thread=True,
            on_prediction=lambda predictions, frame: seen.append(predictions),
            grpc_address=server.address,
        )
    assert len(seen) == 30
    person, bicycle = seen[-1]["predictions"]
    assert (person["class"], person["class_id"], person["tracker_id"]) == ("person", 0, 1)
    assert (person["x"], person["y"], person["width"], person["height"]) == (16, 20, 16, 24)
    assert bicycle["tracker_id"] == 2
    kept = json.loads((tmp_path / "unsure" / "annotations.json").read_text())
    assert {image["reason"][0] for image in kept["images"]} == {"uncertain"}


def test_a_graph_that_labels_gives_the_label_as_the_top_class(person: Path) -> None:
    seen: list[dict[str, Any]] = []
    Stream(
        source=str(person),
        model="holisticClassifier",
        use_main_thread=True,
        on_prediction=lambda predictions, frame: seen.append(predictions),
    )
    assert len(seen) == 40
    assert any(predictions.get("top") for predictions in seen)
