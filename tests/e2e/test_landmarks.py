"""Landmarks, and what is made of them, in a run of the client: real clip, embedded graph server."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from graph_server.resources import project_file
from stream_client import Result, RunOptions, StreamClient, TransportOptions
from stream_client.classify import LabelChange, PoseClassifier, TrainedModel, WindowSpec
from stream_client.training.buffer import TrainingBuffer
from stream_client.training.landmarks import GraphServerLandmarks
from stream_client.transport.servable import LANDMARK_GRAPH
from tests.support.client import run_client

CLASSIFIER = project_file("models/pose_classifier")


def test_landmarks_are_written_for_each_frame(person: Path, tmp_path: Path) -> None:
    files = [tmp_path / "l.jsonl", tmp_path / "l.parquet"]
    for file in files:
        done = run_client("--input_stream", person, "--landmarks_output", file, "--max_side", 300)
        assert done.returncode == 0, done.stderr
        assert "40 frames: 40 delivered" in done.stderr
    lines = [json.loads(line) for line in files[0].read_text().splitlines()]
    rows = parquet.read_table(files[1]).to_pylist()
    assert [line["frame"] for line in lines] == [row["frame"] for row in rows] == list(range(40))
    assert sum(line["pose"] is not None for line in lines) > 30
    for line, row in zip(lines, rows, strict=True):
        assert (line["pose"] is None) == (row["pose"] is None)
        if line["pose"] is not None:
            assert line["width"] == 442
            np.testing.assert_allclose(line["pose"], row["pose"], atol=1e-5)


def test_small_frames_give_landmarks_of_the_whole_frame(person: Path) -> None:
    def landmarks(max_side: int | None) -> list[Result]:
        graph = TransportOptions("embedded", model_name=LANDMARK_GRAPH)
        options = RunOptions(max_side=max_side, limit_frames=25)
        with StreamClient(str(person), transport=graph, options=options) as client:
            return [result for result in client if result.landmarks is not None]

    pairs = list(zip(landmarks(None), landmarks(300), strict=True))
    assert len(pairs) > 15
    for whole, small in pairs:
        assert whole.landmarks is not None
        assert small.landmarks is not None
        assert small.landmarks.size == whole.landmarks.size == (442, whole.image.shape[0])
        apart = small.landmarks.pixels()[:33, :2] - whole.landmarks.pixels()[:33, :2]
        assert np.median(np.linalg.norm(apart, axis=1)) < 8


def test_what_is_learnt_from_is_what_a_stream_of_the_clip_gives(
    person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_dir: Path
) -> None:
    rotated = tmp_path / "rotated.mp4"  # as a telephone held upright records it
    side = tmp_path / "side.mp4"
    ffmpeg = ("ffmpeg", "-v", "error", "-i")
    subprocess.run([*ffmpeg, person, "-vf", "transpose=1", "-crf", "10", side], check=True)
    subprocess.run([*ffmpeg, side, "-c", "copy", "-metadata:s:v:0", "rotate=90", rotated], check=True)
    graph = TransportOptions("embedded", model_name=LANDMARK_GRAPH)
    with StreamClient(str(rotated), transport=graph) as client:
        streamed = [result.landmarks for result in client]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with GraphServerLandmarks(models_dir=models_dir, hands=True) as find:
        track = find(rotated)
    found = [points for points in streamed if points is not None]
    assert len(found) > 20
    for index, points in enumerate(streamed):
        known = track.person(index)
        assert (known is None) == (points is None)
        if known is not None and points is not None:
            assert points.size[0] == 442
            np.testing.assert_allclose(known, points.pixels(), atol=1e-3)


def test_a_classifier_in_the_client_labels_counts_and_tells_changes(person: Path, tmp_path: Path) -> None:
    done = run_client(
        *("--input_stream", person, "--classifier", CLASSIFIER, "--count_repetitions", "standing"),
        *("--labels_output", tmp_path / "labels.jsonl", "--label_changes_output", "-"),
        *("--output_stream", tmp_path / "out.mp4"),
    )
    assert done.returncode == 0, done.stderr
    assert "standing: 0 repetitions" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    labels = [line["label"] for line in lines]
    assert len(labels) == 40
    assert set(labels) > {"unknown"}
    assert set(labels) <= {"unknown", *(CLASSIFIER / "labels.txt").read_text().split("\n")}
    assert {line["repetitions"] for line in lines} == {0}
    changes = [json.loads(line) for line in done.stdout.splitlines()]
    before = [None, *labels]
    assert [(c["frame"], c["label"]) for c in changes] == [
        (index, label) for index, label in enumerate(labels) if label != before[index]
    ]


def test_changes_are_events_of_the_classifier_in_a_running_stream(person: Path) -> None:
    classifier = PoseClassifier(TrainedModel.load(CLASSIFIER))
    changes: list[LabelChange] = []
    classifier.on_label_change.subscribe(changes.append)
    graph = TransportOptions("embedded", model_name=LANDMARK_GRAPH)
    client = StreamClient(str(person), transport=graph, classifier=classifier)
    client.run()
    assert changes
    assert changes[0].before == "unknown"
    assert classifier.prediction_processing_time > 0


def test_a_stream_fills_a_training_buffer_and_a_dry_run_prints_its_samples(person: Path) -> None:
    window = WindowSpec(length_ms=300, overlap_ms=200, rate=20)
    buffer = TrainingBuffer(window=window)
    graph = TransportOptions("embedded", model_name=LANDMARK_GRAPH)
    StreamClient(str(person), buffer, graph).run()
    samples = list(buffer)
    assert samples
    assert samples[0].landmarks.shape == (6, 75, 3)
    assert samples[0].label in (CLASSIFIER / "labels.txt").read_text()
    done = run_client("--input_stream", person, "--loop", "--limit_frames", 60, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert " s  " in done.stdout
    assert "landmarks 20x75x3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model_name", "holisticClassifier", "--classifier", CLASSIFIER), "gives no landmarks"),
        (("--model_name", "holisticTracking", "--landmarks_output", "l.jsonl"), "gives no landmarks"),
        (("--classifier", "nowhere"), "no model directory"),
        (("--classifier", "http://127.0.0.1:9"), "name them in a file (--labels)"),
        (("--classifier", CLASSIFIER, "--count_repetitions", "dancing"), "the model knows no 'dancing'"),
        (("--count_repetitions", "standing", "--output_stream", "none"), "need a classifier (--classifier)"),
        (("--landmarks_output", "landmarks.csv"), ".jsonl and .parquet"),
    ],
)
def test_what_cannot_work_is_one_line(person: Path, arguments: tuple[object, ...], message: str) -> None:
    done = run_client("--input_stream", person, "--output_stream", "none", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
