"""A trained model, entered in a configuration, answers in the graph."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from graph_server.resources import project_file
from stream_client import StreamClient
from stream_client.embedded import EmbeddedOptions
from stream_client.frames import Image
from stream_client.options import RunOptions
from stream_client.sources.file import FileSource
from stream_client.training.load import load_dataset
from stream_client.training.result import Training
from stream_client.training.serve import add_to_configuration
from stream_client.training.train import TrainOptions, train
from tests.client.training.test_tables import pose_line, write
from tests.conftest import shared


def test_the_graph_answers_with_the_labels_that_were_trained(tmp_path: Path, models_dir: Path) -> None:
    labels = ("first", "second", "third")
    lines = [pose_line(f"frame__v{index}__0.jpg", labels[index % 3], index) for index in range(30)]
    dataset = load_dataset(write(tmp_path / "poses.csv", lines))
    training = train(dataset, tmp_path / "trained", data="made up", options=TrainOptions(("extra trees",)))
    config = tmp_path / "config" / "config.json"
    config.parent.mkdir()
    config.write_text(project_file("server_config/config.json").read_text())
    (config.parent / "graphs").symlink_to(project_file("graphs"))
    (config.parent / "models").symlink_to(models_dir)
    assert add_to_configuration(training, config) == ["pose_classifier", "no_person_scores"]

    client = StreamClient(
        str(shared("clips/sign-again.mkv")),
        embedded=EmbeddedOptions(config_path=config),
        options=RunOptions(limit_frames=6),
    )
    with client:
        results = list(client)
    assert [result.frame.index for result in results] == list(range(6))
    for result in results:
        assert result.label is not None
        assert tuple(result.label.scores) == labels
        assert abs(sum(result.label.scores.values()) - 1) < 1e-3


@pytest.mark.timeout(180)
def test_a_stream_changes_to_the_next_version_without_losing_a_frame(tmp_path: Path, models_dir: Path) -> None:
    labels = ("first", "second", "third")

    def trained(shift: int) -> Training:
        lines = [pose_line(f"frame__v{index}__0.jpg", labels[(index + shift) % 3], index) for index in range(30)]
        # The classes are named in the order of their first row.
        dataset = load_dataset(write(tmp_path / "poses.csv", sorted(lines, key=lambda line: line.split(",")[1])))
        return train(dataset, tmp_path / "trained", TrainOptions(("small MLP",)), data="made up")

    training = trained(0)
    config = tmp_path / "config" / "config.json"
    config.parent.mkdir()
    config.write_text(project_file("server_config/config.json").read_text())
    (config.parent / "graphs").symlink_to(project_file("graphs"))
    (config.parent / "models").symlink_to(models_dir)
    add_to_configuration(training, config)
    source = FileSource(shared("clips/sign-again.mkv"))
    source.open()
    frame = source.read()
    assert frame is not None
    image = frame.image.copy()
    source.close()
    done = False

    def frames() -> Iterator[Image]:
        deadline = time.monotonic() + 90
        while not done and time.monotonic() < deadline:
            yield image

    embedded = EmbeddedOptions(config_path=config, arguments=("--file_system_poll_wait_seconds", "1"))
    scores: list[npt.NDArray[np.float64]] = []
    with StreamClient(frames(), embedded=embedded) as client:
        for result in client:
            assert result.label is not None
            scores.append(np.array(list(result.label.scores.values())))
            if len(scores) == 5:
                assert trained(1).version == 2
            done = np.abs(scores[-1] - scores[0]).max() > 0.1
        assert client.summary is not None
        ledger = client.summary.ledger
    assert done
    assert ledger.delivered == ledger.entered == len(scores)
