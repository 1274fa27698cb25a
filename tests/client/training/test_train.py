import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stream_client.classify import UNKNOWN, DecisionOptions, FeatureSchema, TrainedModel, WindowSpec
from stream_client.cli import train as train_command
from stream_client.cli.command import main
from stream_client.errors import ConfigurationError, SourceCodecError
from stream_client.training import selection, windows
from stream_client.training.clips import Track
from stream_client.training.dataset import Dataset
from stream_client.training.estimators import CANDIDATES, Scores, equally_accurate, grouped_folds
from stream_client.training.evaluate import timeline
from stream_client.training.landmarks import GraphServerLandmarks
from stream_client.training.load import load_dataset
from stream_client.training.result import Training
from stream_client.training.serve import add_to_configuration
from stream_client.training.train import TrainOptions, train
from stream_client.training.windows import ClipOptions
from tests.client.training.movements import FRAME_RATE, waving, write_annotations
from tests.client.training.test_tables import poses

WINDOW = WindowSpec(length_ms=600, overlap_ms=400, rate=20)
LABELS = {"waving left": "left", "waving right": "right", "standing": None}


def find(path: Path, every: int) -> Track:
    """The landmarks that a clip of this name would have."""
    return waving(LABELS[path.parent.name], seed=int(path.stem), rate=FRAME_RATE / every)


@pytest.fixture(scope="module", autouse=True)
def few_variations() -> Iterator[None]:
    """One for each frame rate: made-up people need no more, and each takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_VARIANTS", 3)
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in LABELS:
        (folder / name).mkdir()
        for number in range(3):
            (folder / name / f"{number}.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    dataset = load_dataset(clips, ClipOptions(window=WINDOW), find=find)
    out = tmp_path_factory.mktemp("models") / "waving"
    return train(
        dataset,
        out,
        data="made up",
        options=TrainOptions(
            (
                "logistic regression",
                "extra trees",
            )
        ),
    )


def test_movements_are_learnt_from_folders_of_clips(trained: Training) -> None:
    assert trained.labels == ("standing", "waving left", "waving right", UNKNOWN)
    assert trained.best.accuracy > 0.95
    assert trained.best.confusion.sum() > 100
    assert trained.steadiness[trained.best.name] > 0.95


def test_models_within_two_standard_errors_of_the_best_count_as_equal() -> None:
    def scores(name: str, *right: int) -> Scores:
        return Scores(name, tuple(np.array([[count, 100 - count], [0, 0]]) for count in right), np.zeros((0, 2)))

    forest, plain, poor = scores("forest", 92, 84), scores("plain", 85, 84), scores("poor", 79, 79)
    assert forest.standard_error == pytest.approx(0.04)
    assert equally_accurate([poor, plain, forest]) == [forest, plain]


def test_of_equally_accurate_models_the_steadiest_over_frame_rates_is_taken(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset(clips, ClipOptions(window=WINDOW), find=find)
    monkeypatch.setattr(selection, "equally_accurate", list)
    given = iter((0.8, 0.9))
    monkeypatch.setattr(selection, "steadiness", lambda *_: next(given))
    training = train(
        dataset,
        tmp_path / "m",
        data="x",
        options=TrainOptions(
            (
                "logistic regression",
                "extra trees",
            )
        ),
    )
    assert training.steadiness == {"logistic regression": 0.8, "extra trees": 0.9}
    assert training.best.name == "extra trees"


def test_clips_of_few_frames_a_second_are_learnt_as_they_are(clips: Path) -> None:
    seen = set()

    def slow(path: Path, every: int) -> Track:
        seen.add(every)
        return waving(LABELS[path.parent.name], seed=int(path.stem), rate=10 / every)

    assert load_dataset(clips, ClipOptions(window=WINDOW), find=slow).streams == ()
    assert seen == {1}


def test_the_model_directory_has_what_ovms_and_people_need(trained: Training) -> None:
    assert (trained.folder / "waving.onnx").is_file()
    assert (trained.folder / "labels.txt").read_text().splitlines() == list(trained.labels)
    card = (trained.folder / "README.md").read_text()
    assert "never split a clip" in card
    assert "would have claimed" in card
    assert f"labels are the same after {trained.steadiness[trained.best.name]:.1%} of the windows" in card
    with Image.open(trained.folder / "confusion.png") as picture:
        assert picture.width > 200


def test_the_trained_model_labels_a_person_it_never_saw(trained: Training) -> None:
    model = TrainedModel.load(trained.out)
    assert (model.schema, model.window) == (FeatureSchema(), WINDOW)
    for label, side in LABELS.items():
        points = timeline(model, waving(side, seed=77), DecisionOptions())
        assert points[-1].label == label


@pytest.mark.parametrize("rate", [10, 12, 15, 30])
def test_a_model_stays_valid_at_other_frame_rates(trained: Training, rate: float) -> None:
    model = TrainedModel.load(trained.out)
    points = timeline(model, waving("left", seed=78, rate=rate), DecisionOptions())
    assert points[-1].label == "waving left"


def test_a_schema_from_another_model_is_refused(trained: Training, clips: Path, tmp_path: Path) -> None:
    other = train(
        load_dataset(clips, ClipOptions(window=replace(WINDOW, rate=10)), find=find),
        tmp_path / "other",
        data="made up",
        options=TrainOptions(("logistic regression",)),
    )
    (other.folder / "schema.json").write_text((trained.folder / "schema.json").read_text())
    with pytest.raises(ConfigurationError, match="do not belong together"):
        TrainedModel.load(other.out)


def test_an_edited_schema_is_refused(trained: Training, tmp_path: Path) -> None:
    folder = tmp_path / "edited"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "m.onnx").write_bytes((trained.folder / "waving.onnx").read_bytes())
    (folder / "labels.txt").write_text((trained.folder / "labels.txt").read_text())
    content = json.loads((trained.folder / "schema.json").read_text())
    content["window"]["length_ms"] = 700
    (folder / "schema.json").write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="was changed after training"):
        TrainedModel.load(folder)


def test_single_poses_become_a_model_for_the_graph(tmp_path: Path) -> None:
    training = train(
        load_dataset(poses(tmp_path / "poses.csv", videos=8)),
        tmp_path / "pose",
        data="x",
        options=TrainOptions(("small MLP",)),
    )
    assert training.model.graph.input[0].name == "pose_landmarks"
    model = TrainedModel.load(training.out)
    points = np.random.default_rng(0).normal(0, 50, (3, 33, 3))
    assert model.schema is not None
    answer = model.predict(model.schema.compute(points, np.zeros(3)))
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-4)


def test_serving_enters_the_model_in_the_configuration(trained: Training, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_config_list": [{"config": {"name": "other", "base_path": "x"}}]}))
    for _ in range(2):
        assert add_to_configuration(trained, config) == ["waving"]
    entries = json.loads(config.read_text())["model_config_list"]
    assert [entry["config"]["name"] for entry in entries] == ["other", "waving"]
    assert entries[1]["config"]["base_path"] == str(trained.out.resolve())  # not below the file: in full
    assert entries[1]["config"]["plugin_config"]["INFERENCE_PRECISION_HINT"] == "f32"


def test_serving_a_pose_model_brings_as_many_zeros_as_it_has_labels(tmp_path: Path) -> None:
    training = train(
        load_dataset(poses(tmp_path / "poses.csv", videos=8)),
        tmp_path / "pose",
        data="x",
        options=TrainOptions(("extra trees",)),
    )
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"model_config_list": [{"config": {"name": "pose_classifier", "base_path": "../models/x"}}]})
    )
    assert add_to_configuration(training, config) == ["pose_classifier", "no_person_scores"]
    entries = {item["config"]["name"]: item["config"] for item in json.loads(config.read_text())["model_config_list"]}
    assert entries["pose_classifier"]["base_path"] == "pose"
    assert {entry["plugin_config"]["INFERENCE_PRECISION_HINT"] for entry in entries.values()} == {"f32"}
    assert (tmp_path / entries["no_person_scores"]["base_path"] / "1" / "no_person_scores.onnx").is_file()


def test_a_pickle_is_read_only_when_allowed_and_with_a_warning(trained: Training, tmp_path: Path) -> None:
    import pickle

    folder = tmp_path / "pickled"
    folder.mkdir()
    for name in ("labels.txt", "schema.json"):
        (folder / name).write_text((trained.folder / name).read_text())
    width = len(WINDOW.names(FeatureSchema().names))
    rows = np.random.default_rng(0).normal(size=(30, width))
    estimator = CANDIDATES["logistic regression"]().fit(rows, np.arange(30) % 4)
    (folder / "model.pkl").write_bytes(pickle.dumps(estimator))
    with pytest.raises(ConfigurationError, match=r"\(allow_pickle\)$"):
        TrainedModel.load(folder)
    with pytest.warns(RuntimeWarning, match="runs the code in it"):
        model = TrainedModel.load(folder, allow_pickle=True)
    np.testing.assert_allclose(model.predict(rows), estimator.predict_proba(rows.astype(np.float32)), atol=1e-6)


def test_the_command_trains_on_a_table_and_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = poses(tmp_path / "poses.csv", videos=8)
    arguments = ["--data", str(data), "--out", str(tmp_path / "m"), "--model", "logistic regression"]
    assert train_command.main([*arguments, "--rename", "up=standing"]) == 0
    out = capsys.readouterr().out
    assert "split by source video" in out
    assert "a split by row would have claimed" in out
    assert (tmp_path / "m/1/labels.txt").read_text() == "standing\ndown\n"


def test_augmentation_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = poses(tmp_path / "poses.csv", videos=8)
    arguments = ["--data", str(data), "--out", str(tmp_path / "m"), "--model", "logistic regression"]
    assert train_command.main([*arguments]) == 0
    assert "logistic regression, plain" in capsys.readouterr().out
    assert train_command.main([*arguments, "--no_augmentation"]) == 0
    assert "plain" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent"], "absent does not exist (--data)"),
        (["--data", "."], "holds no labeled data"),
        (["--data", ".", "--window_ms", "-5"], "window: length"),
        (["--data", ".", "--rename", "x"], "--rename takes OLD=NEW"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments, "--out", "m"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("stream_client.cli.train", "stream_client.training"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["train", "--data", "x", "--out", "y"]) == 2
    assert "pip install 'ovms-stream-client[train]'" in capsys.readouterr().err


def test_clips_without_windows_become_a_model_for_the_graph(clips: Path, tmp_path: Path) -> None:
    dataset = load_dataset(clips, find=find)
    assert dataset.split == "clip"
    training = train(dataset, tmp_path / "poses", data="made up", options=TrainOptions(("logistic regression",)))
    assert training.model.graph.input[0].name == "pose_landmarks"
    assert training.best.accuracy > 0.9
    points = timeline(TrainedModel.load(training.out), waving("left", seed=79), DecisionOptions())
    assert points[-1].label == "waving left"


def annotated(folder: Path, clips: int) -> Path:
    """Clips with spans of both labels, and time without a label."""
    folder.mkdir()
    for number in range(clips):
        (folder / f"{number}.mp4").touch()
        spans = [(0.0, 1.2, "waving left"), (1.3, 2.9, "standing still")]
        write_annotations(folder / f"{number}.json", spans, name=f"{number}.mp4")
    return folder


def test_annotated_clips_are_not_split_where_each_label_is_in_several(tmp_path: Path) -> None:
    def dataset(clips: int) -> Dataset:
        folder = annotated(tmp_path / str(clips), clips)
        return load_dataset(
            folder, ClipOptions(window=WINDOW), find=lambda path, every: waving("left", seed=int(path.stem))
        )

    several = dataset(3)
    assert several.split == "clip"
    assert len(set(several.groups.tolist())) == 3
    assert not [warning for warning in several.warnings if "recording" in warning]
    one = dataset(1)
    assert "too short to be divided: it is learned, and its accuracy cannot be measured" in one.warnings[0]
    with pytest.raises(ConfigurationError, match="nothing to hold out"):
        train(one, tmp_path / "m", data="x")


def test_a_label_called_unknown_takes_the_unlabelled_time_too(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.mp4").touch()
        spans = [(0.0, 1.0, "wave"), (1.0, 2.0, UNKNOWN)]
        write_annotations(tmp_path / f"{number}.json", spans, name=f"{number}.mp4")
    dataset = load_dataset(
        tmp_path, ClipOptions(window=WINDOW, background=UNKNOWN), find=lambda path, every: waving("left", seconds=5)
    )
    assert dataset.labels == (UNKNOWN, "wave")


def test_a_person_is_never_on_both_sides_of_a_fold(clips: Path) -> None:
    dataset = load_dataset(clips, ClipOptions(window=WINDOW, group_by=r"/(\d)"), find=find)
    assert dataset.split == "person or session"
    assert len(set(dataset.groups.tolist())) == 3
    for train_rows, test_rows in grouped_folds(dataset):
        assert not set(dataset.groups[train_rows]) & set(dataset.groups[test_rows])
    with pytest.raises(ConfigurationError, match=r"is not found in 'standing/0.mp4' \(group_by\)"):
        load_dataset(clips, ClipOptions(window=WINDOW, group_by="anna|bob"), find=find)
    with pytest.raises(ConfigurationError, match="not a regular expression"):
        load_dataset(clips, ClipOptions(window=WINDOW, group_by="("), find=find)


def test_a_clip_with_nobody_in_it_is_told(clips: Path) -> None:
    def without_zero(path: Path, every: int) -> Track:
        track = find(path, every)
        return replace(track, landmarks=np.full_like(track.landmarks, np.nan)) if path.stem == "0" else track

    dataset = load_dataset(clips, ClipOptions(window=WINDOW), find=without_zero)
    assert len(dataset.warnings) == 4
    assert dataset.warnings[3] == "6 of 9 clips are used"
    assert dataset.warnings[0].endswith(
        "standing/0.mp4 gives no sample: nobody is seen in it for 600 ms within a label"
    )


def test_a_broken_clip_is_skipped_and_named_or_ends_a_strict_training(clips: Path) -> None:
    def broken(path: Path, every: int) -> Track:
        if path.stem == "0":
            raise SourceCodecError(f"{path} is not a video")
        return find(path, every)

    dataset = load_dataset(clips, ClipOptions(window=WINDOW), find=broken)
    assert len(dataset.warnings) == 4
    assert dataset.warnings[0] == f"skipped: {clips}/standing/0.mp4 is not a video"
    assert len(set(dataset.groups.tolist())) == 6
    with pytest.raises(SourceCodecError):
        load_dataset(clips, ClipOptions(window=WINDOW, strict=True), find=broken)


def test_one_clip_a_class_is_held_out_by_time_with_a_gap_between_the_blocks(tmp_path: Path) -> None:
    for name in ("standing", "waving left"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.mp4").touch()
    dataset = load_dataset(tmp_path, ClipOptions(window=WINDOW), find=find)
    assert dataset.split == "clip or block of time"
    assert dataset.warnings[0].endswith("blocks of its time are held out, so its accuracy is of that recording")
    for train_rows, test_rows in grouped_folds(dataset):
        for target in (0, 1):
            apart = [
                max(dataset.origins[a].start, dataset.origins[b].start)
                - min(dataset.origins[a].end, dataset.origins[b].end)
                for a in train_rows[dataset.targets[train_rows] == target]
                for b in test_rows[dataset.targets[test_rows] == target]
            ]
            assert min(apart) >= 500_000  # a window is 550 ms from its first sample to its last
    training = train(dataset, tmp_path / "m", data="x", options=TrainOptions(("logistic regression",)))
    assert training.best.accuracy > 0.9
    assert (training.folder / "README.md").read_text().count("its accuracy is of that recording") == 2


@pytest.mark.parametrize(
    ("seconds", "rate", "why"),
    [
        (0.2, FRAME_RATE, "it lasts 160 ms, and a window is 400 ms long"),
        (5, 1, "its frames are 1000 ms apart, and 300 are the most"),
    ],
)
def test_a_clip_too_short_or_of_too_few_frames_says_so(
    clips: Path, tmp_path: Path, seconds: float, rate: int, why: str
) -> None:
    def odd(path: Path, every: int) -> Track:
        return waving(None, seconds, rate=rate) if path.name == "0.mp4" else find(path, every)

    options = ClipOptions(window=replace(WINDOW, length_ms=400, overlap_ms=200), vary=False)
    dataset = load_dataset(clips, options, find=odd)
    assert any(note.endswith(f"0.mp4 gives no sample: {why}") for note in dataset.warnings)


def test_photos_alone_teach_poses_and_beside_clips_they_are_skipped(clips: Path, tmp_path: Path) -> None:
    def still(path: Path, every: int) -> Track:
        track = waving(LABELS[path.parent.name], seconds=1.0, seed=int(path.stem) if path.stem.isdigit() else 0)
        return replace(track, timestamps=track.timestamps[:1], landmarks=track.landmarks[:1])

    for name in ("standing", "waving left"):
        (tmp_path / name).mkdir()
        for number in range(5):
            (tmp_path / name / f"{number}.jpg").touch()
    dataset = load_dataset(tmp_path, ClipOptions(window=WINDOW, poses_of_photos=True), find=still)
    assert dataset.window is None
    assert dataset.rows.shape == (10, 99)
    assert dataset.split == "clip"
    assert "'standing', 'waving left' have photos only, so single poses are learned" in dataset.warnings[0]

    def both(path: Path, every: int) -> Track:
        return still(path, every) if path.suffix == ".jpg" else find(path, every)

    mixed = load_dataset([clips, tmp_path], ClipOptions(window=WINDOW, poses_of_photos=True), find=both)
    assert mixed.window == WINDOW
    assert "10 photos skipped: photos have no movement (window_ms 0 learns poses)" in mixed.warnings


def test_a_class_without_a_sample_is_left_out_and_its_clips_are_named(clips: Path) -> None:
    def nobody_stands(path: Path, every: int) -> Track:
        track = find(path, every)
        return replace(track, landmarks=np.full_like(track.landmarks, np.nan)) if "standing" in str(path) else track

    dataset = load_dataset(clips, ClipOptions(window=WINDOW), find=nobody_stands)
    assert dataset.labels == ("waving left", "waving right")
    assert "no usable sample of 'standing': the model does not know it" in " ".join(dataset.warnings)

    def nobody(path: Path, every: int) -> Track:
        track = find(path, every)
        return replace(track, landmarks=np.full_like(track.landmarks, np.nan))

    with pytest.raises(ConfigurationError, match=r"no usable sample.*standing/0\.mp4 gives no sample"):
        load_dataset(clips, ClipOptions(window=WINDOW), find=nobody)


def test_a_second_training_is_a_second_version_and_both_can_be_loaded(clips: Path, tmp_path: Path) -> None:
    dataset = load_dataset(clips, ClipOptions(window=WINDOW), find=find)
    made = [train(dataset, tmp_path / "m", data="x", options=TrainOptions(("logistic regression",))) for _ in range(2)]
    assert [training.version for training in made] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["1", "2"]
    for folder in (tmp_path / "m", tmp_path / "m/1"):
        assert TrainedModel.load(folder).labels == (*dataset.labels, UNKNOWN)
    (tmp_path / "m/2/schema.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"m/2/schema\.json"):
        TrainedModel.load(tmp_path / "m")
    assert TrainedModel.load(tmp_path / "m/1").labels == (*dataset.labels, UNKNOWN)


def test_labels_that_no_clip_has_are_named(clips: Path) -> None:
    with pytest.raises(ConfigurationError, match="no jumping among the labels standing, waving left, waving right"):
        load_dataset(clips, ClipOptions(window=WINDOW, labels=("standing", "jumping")), find=find)


def test_the_shape_of_hands_is_learnt_on_request(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GraphServerLandmarks, "__call__", lambda self, path, every=1: find(path, every))
    arguments = ["--data", str(clips), "--out", str(tmp_path / "m"), "--model", "logistic regression"]
    train_command.run([*arguments, "--hands"])
    schema = TrainedModel.load(tmp_path / "m").schema
    assert isinstance(schema, FeatureSchema)
    assert schema.hands == ("left_hand", "right_hand")
    with pytest.raises(ConfigurationError, match="--hands"):
        train_command.run([*arguments, "--hands", "--window_ms", "0"])


def test_a_configuration_that_cannot_be_read_is_found_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--data", str(tmp_path / "absent"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--serve", str(tmp_path / "config.json")]) == 2
    assert "config.json: FileNotFoundError" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_labels_that_differ_in_capitals_are_named(tmp_path: Path) -> None:
    for name in ("Jump/1.mp4", "jump/2.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    options = ClipOptions(window=WindowSpec(300, 200), vary=False)
    dataset = load_dataset(tmp_path, options, find=lambda path, every: waving("left", seconds=2))
    assert "'Jump', 'jump' differ in capitals only, and are learned apart" in dataset.warnings
