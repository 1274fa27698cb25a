import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier

from stream_client.classify import UNKNOWN, FeatureSchema, TrainedModel, WindowSpec
from stream_client.classify.models import schema_document
from stream_client.classify.raw_pose import RawPose
from stream_client.cli.command import main
from stream_client.cli.evaluate import run
from stream_client.errors import ConfigurationError, SourceCodecError
from stream_client.training.clips import LabelledClip, Span, Track
from stream_client.training.evaluate import Evaluation, TimelinePoint, agreement, compare, timeline_plot
from stream_client.training.judged import evaluation_html, write_evaluation
from tests.client.training.movements import waving, write_annotations


def points(labels: str, step: float = 0.1) -> list[TimelinePoint]:
    names = {"a": "a", "b": "b", ".": UNKNOWN}
    return [TimelinePoint(i * step, names[letter], 1.0, i * step) for i, letter in enumerate(labels)]


def test_delays_count_against_accuracy_and_are_reported() -> None:
    result = compare(points("..aaaa.bbb"), [Span(0.05, 0.55, "a"), Span(0.65, 0.95, "b")])
    assert result.accuracy == pytest.approx(7 / 8)
    assert result.delays == (pytest.approx(0.15), pytest.approx(0.05))
    assert result.found == 2
    assert result.mean_delay == pytest.approx(0.1)
    assert result.false_changes == 0


def test_a_span_that_was_never_detected_has_no_delay() -> None:
    result = compare(points("bbbb"), [Span(0, 0.35, "a")])
    assert result.delays == (None,)
    assert (result.found, result.accuracy, result.false_changes) == (0, 0.0, 1)
    assert np.isnan(result.mean_delay)
    assert result.false_changes_a_minute == pytest.approx(1 / (0.3 / 60))


def test_a_label_that_lags_behind_its_span_is_no_false_change() -> None:
    spans = [Span(0, 0.5, "a"), Span(0.5, 1.0, "b")]
    assert compare(points(".....aa.bb"), spans).false_changes == 0
    assert compare(points("a.b......."), spans).false_changes == 1


def test_agreement_is_a_share_of_time() -> None:
    assert agreement(points("aaaaabbbbb"), points("aaaaabbbbb")) == 1.0
    assert agreement(points("aaaaabbbbb."), points("aaaaaaaaaa.")) == pytest.approx(0.5, abs=0.01)
    assert agreement(points("aabb.", 0.2), points("aaaabbbb..", 0.1)) == pytest.approx(1.0, abs=0.02)


def test_the_picture_shows_both_timelines(tmp_path: Path) -> None:
    timeline_plot(points("aab.b"), [Span(0, 0.2, "a")], ["a", "b"], tmp_path / "t.png")
    with Image.open(tmp_path / "t.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colors = np.unique(pixels, axis=0).astype(int)
    assert np.count_nonzero(np.ptp(colors, axis=1) > 80) >= 2


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / "absent"), "clip.mp4"]) == 2
    assert "no model directory" in capsys.readouterr().err


def model_of_one_label(tmp_path: Path) -> Path:
    schema = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
    window = WindowSpec(length_ms=200, overlap_ms=100, rate=20, pooling=("mean",))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "labels.txt").write_text("up\ndown\n")
    (tmp_path / "model" / "schema.json").write_text(schema_document(schema, window, ()))
    with (tmp_path / "model" / "model.pkl").open("wb") as file:
        pickle.dump(DummyClassifier(strategy="constant", constant="up").fit([[0.0]] * 2, ["up", "down"]), file)
    return tmp_path / "model"


def test_the_same_clip_in_another_form_is_compared_over_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_annotations(tmp_path / "clip.annotations.json", [(0.0, 2.0, "up")])
    (tmp_path / "clip.mp4").touch()
    arguments = [str(model_of_one_label(tmp_path)), str(tmp_path / "clip.mp4"), "--allow_pickle"]
    with pytest.warns(RuntimeWarning, match="runs the code in it"):
        run([*arguments, "--agree_with", "half.mp4"], find=lambda path, every: waving("left"))
    assert "half.mp4: the same label for 100.0% of the time" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="for a single video"):
        run([str(tmp_path / "model"), "one.mp4", "other.mp4", "--agree_with", "half.mp4"])


def test_a_clip_that_cannot_be_read_does_not_end_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        path = tmp_path / "clips" / "up" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def find(path: Path, every: int) -> Track:
        if path.name == "a.mp4":
            raise SourceCodecError(f"{path} is not a video")
        return waving("left")

    arguments = [str(model_of_one_label(tmp_path)), str(tmp_path / "clips"), "--allow_pickle"]
    with pytest.warns(RuntimeWarning, match="runs the code in it"):
        results = run(arguments, find=find)
    assert [Path(name).name for name in results] == ["b.mp4"]
    printed = capsys.readouterr().out
    assert f"note: skipped: {tmp_path}/clips/up/a.mp4 is not a video" in printed
    assert f"{tmp_path}/clips/up/b.mp4: accuracy " in printed
    with pytest.raises(ConfigurationError, match=r"it has no folder \(report\)"):
        run([*arguments, "--report", str(tmp_path / "absent" / "report.html")])


@pytest.mark.parametrize("window", [None, WindowSpec(length_ms=200, overlap_ms=100, rate=20, pooling=("mean",))])
def test_a_report_of_folders_of_clips_shows_what_was_taken_for_what(tmp_path: Path, window: WindowSpec | None) -> None:
    schema = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",)) if window else RawPose()
    model = TrainedModel.from_callable(lambda rows: np.tile([0.2, 0.8], (len(rows), 1)), ["up", "down"], schema, window)
    clips = [LabelledClip(tmp_path / "up" / "a.mp4", (Span(0.0, float("inf"), "up"),), whole=True)]
    text = evaluation_html(model, clips, lambda path, every: waving("left"), "title", pictures=False)
    assert "<strong>up</strong>, taken for <strong>down</strong>" in text
    assert "data:image/jpeg;base64," in text
    write_evaluation(text, tmp_path / "report.html")
    with pytest.raises(ConfigurationError, match=r"cannot write .*\(report\)"):
        write_evaluation(text, tmp_path / "absent" / "report.html")


def test_what_labels_do_not_agree_on_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "clip.mp4").touch()
    rows = ["video,start,end,label,annotator", "clip.mp4,0,2,up,anna", "clip.mp4,0,1,up,ben", "clip.mp4,1,2,down,ben"]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join([*rows, "other.mp4,0,3,down,ben"]))
    arguments = [str(model_of_one_label(tmp_path)), str(tmp_path / "clip.mp4"), "--allow_pickle"]
    arguments += ["--annotations", str(labels)]

    def evaluated(*more: str) -> Evaluation:
        with pytest.warns(RuntimeWarning, match="runs the code in it"):
            (result,) = run([*arguments, *more], find=lambda path, every: waving("left")).values()
        return result

    assert len(evaluated().delays) == 1
    assert "in 1.0 of 2.0 labeled seconds (50%), left out (anna, ben do not agree" in capsys.readouterr().out
    assert [evaluated("--annotator", name).accuracy > 0.8 for name in ("anna", "ben")] == [True, False]
