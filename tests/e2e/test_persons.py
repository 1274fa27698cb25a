"""Several persons, from a video file to labels, through the graph of calculators and through the Python node."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from graph_server.assets import ensure_clip, shipped_mounts
from graph_server.config.server_config import read_config
from graph_server.resources import project_file
from graph_server.server import GraphServer, ServerOptions
from stream_client import Result, RunOptions, StreamClient, StreamClientError, TransportOptions
from stream_client.classify import FeatureSchema, PoseClassifier, TrainedModel, WindowSpec
from stream_client.sinks.labels import label_row
from tests.conftest import ROOT

FRAMES = 16


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clip, smaller: one person walks past, another one walks on a roof."""
    path = tmp_path_factory.mktemp("clips") / "street.mp4"
    size = ("-vf", "scale=884:-2", "-frames:v", str(FRAMES))
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "3", "-i", ensure_clip(), *size, path], check=True)
    return path


@pytest.fixture(scope="module", params=["config.json", "config_python.json"])
def persons(models_dir: Path, request: pytest.FixtureRequest) -> Iterator[TransportOptions]:
    """A server with the graph, of calculators or of one Python node."""
    path = ROOT / "server_config" / request.param
    mounts = {**shipped_mounts(path, models_dir), "graphs": project_file("graphs")}
    server = GraphServer(read_config(path, mounts), ServerOptions(port=0))
    server.start()
    try:
        yield TransportOptions(server.address, model_name="holisticPersons")
    finally:
        server.stop(0)


@pytest.fixture(scope="module")
def found(street: Path, persons: TransportOptions) -> list[Result]:
    with StreamClient(street, transport=persons) as client:
        return list(client)


def test_each_person_has_landmarks_a_label_and_a_box(found: list[Result]) -> None:
    assert len(found) == FRAMES
    last = found[-1]
    assert [person.number for person in last.persons] == [1, 2]
    height, width = last.image.shape[:2]
    for person in last.persons:
        left, top, right, bottom = person.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        shoulders = person.landmarks.pose[11:13, :2] * (width, height)
        assert ((shoulders > (left, top)) & (shoulders < (right, bottom))).all()
        assert person.label is not None
        assert person.landmarks.pose_world.shape == (33, 3)
    roof, street = sorted(last.persons, key=lambda person: person.box[1])
    assert roof.box[3] < street.box[3]
    assert last.landmarks is last.persons[0].landmarks
    assert not np.array_equal(last.image, last.frame.image)


@pytest.mark.parametrize("persons", ["config.json"], indirect=True)
def test_somebody_hidden_for_a_second_keeps_number_and_window(tmp_path: Path, persons: TransportOptions) -> None:
    path = tmp_path / "hidden.mp4"
    gone = "drawbox=x=0:y=230:w=640:h=266:color=gray:t=fill:enable=between(n\\,8\\,16)"
    size = ("-vf", f"fps=10,scale=884:-2,{gone}", "-frames:v", "22")
    subprocess.run(["ffmpeg", "-v", "error", "-ss", "3", "-i", ensure_clip(), *size, path], check=True)
    window = WindowSpec(length_ms=400, overlap_ms=300, rate=20, pooling=("mean",))
    schema = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
    model = TrainedModel.from_callable(lambda rows: np.ones((len(rows), 1)), ["walks"], schema, window)
    with StreamClient(path, transport=persons, classifier=PoseClassifier(model)) as client:
        labels = [{each.number: each.label.name for each in result.persons if each.label} for result in client]
    assert labels[7][1] == "walks"
    assert all(1 not in found for found in labels[8:17])
    assert any(labels[8:17])  # the other person is seen all the time
    back = [found[1] for found in labels[17:] if 1 in found]
    assert len(back) >= 3
    assert set(back) == {"walks"}


@pytest.mark.parametrize("persons", ["config.json"], indirect=True)
def test_a_run_says_how_many_persons_are_followed(street: Path, persons: TransportOptions) -> None:
    one = replace(persons, side_packets=("max_persons=1",))
    with StreamClient(street, transport=one) as client:
        results = list(islice(client, 6))
    assert {len(result.persons) for result in results} == {1}
    assert results[-1].outputs["person_ids"].array.tolist() == [1]
    for text in ("max_persons=0", "max_persons=many", "max_persons=true"):
        refused = StreamClient(street, transport=replace(persons, side_packets=(text,)))
        with pytest.raises(StreamClientError, match="a whole number from 1 to 32"):
            refused.run()


def test_persons_are_detections_with_tracks_and_stand_in_the_labels(found: list[Result]) -> None:
    last = found[-1]
    assert last.detections is not None
    assert last.detections.track_ids is not None
    assert last.detections.track_ids.tolist() == [1, 2]
    rows = label_row(last)["persons"]
    assert isinstance(rows, list)
    assert [row["person"] for row in rows] == [1, 2]
    assert all(row["label"] and len(row["box"]) == 4 for row in rows)


def test_a_classifier_of_the_client_labels_each_person_on_small_frames(
    street: Path, persons: TransportOptions, found: list[Result]
) -> None:
    model = TrainedModel.load(ROOT / "models" / "pose_classifier")
    options = RunOptions(max_side=800)
    with StreamClient(street, transport=persons, options=options, classifier=PoseClassifier(model)) as client:
        last = list(client)[-1]
    assert last.image.shape == found[-1].image.shape
    for small, full in zip(last.persons, found[-1].persons, strict=True):
        np.testing.assert_allclose(small.landmarks.pose[11:13, :2], full.landmarks.pose[11:13, :2], atol=0.02)
        assert small.label is not None
        assert small.label.name in {*model.labels, "unknown"}
