"""A trained model, entered in a configuration, answers in the graph."""

from pathlib import Path

from graph_server.resources import project_file
from stream_client import StreamClient
from stream_client.embedded import EmbeddedOptions
from stream_client.options import RunOptions
from stream_client.training.load import load_dataset
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
