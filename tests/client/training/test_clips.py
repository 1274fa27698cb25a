import json
from pathlib import Path

import numpy as np
import pytest
from tests.client.training.movements import write_annotations

from stream_client.errors import ConfigurationError, SourceCodecError, SourceNotFoundError, StreamClientError
from stream_client.training.clips import (
    Span,
    chosen,
    find_clips,
    graph_server_landmarks,
    join_parts,
    read_annotations,
)
from stream_client.training.windows import unlabelled


def test_annotations_are_about_the_video_that_they_name_or_that_has_their_stem(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "dance.annotations.json", [(0, 1, "a")], name="elsewhere.webm")
    with pytest.raises(SourceNotFoundError, match=r"elsewhere\.webm, and neither that nor dance"):
        find_clips(path)
    (tmp_path / "dance.webm").touch()
    assert find_clips(path)[0].path.name == "dance.webm"
    (tmp_path / "elsewhere.webm").touch()
    assert find_clips(path)[0].path.name == "elsewhere.webm"


def test_a_folder_a_class_and_annotation_files_may_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "jump").mkdir()
    (tmp_path / "jump" / "1.mp4").touch()
    (tmp_path / "jump" / "notes.txt").touch()
    (tmp_path / "clip.mp4").touch()
    write_annotations(tmp_path / "clip.json", [(1, 2, "b"), (0, 1, "a")])
    clips = find_clips(tmp_path)
    assert [(clip.path.name, clip.whole) for clip in clips] == [("1.mp4", True), ("clip.mp4", False)]
    assert clips[1].spans == (Span(0, 1, "a"), Span(1, 2, "b"))


def test_labels_that_overlap_have_to_be_chosen_from() -> None:
    spans = [Span(0, 2, "left"), Span(0, 2, "good"), Span(2, 3, "right")]
    with pytest.raises(ConfigurationError, match=r"out of good, left, right \(--labels\)"):
        chosen(spans, None, Path("x.json"))
    assert chosen(spans, ["left", "right"], Path("x.json")) == (spans[0], spans[2])


@pytest.mark.parametrize(
    "content", ["", "{}", '{"annotations": [{}]}', '{"annotations": [{"label": "a", "metadata": null}]}', "[]"]
)
def test_a_bad_annotation_file_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="cannot read annotations") as caught:
        read_annotations(path)
    assert "\n" not in str(caught.value)


def test_a_span_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ends at 1 s, before it starts"):
        read_annotations(write_annotations(tmp_path / "a.json", [(2, 1, "a")]))


def test_unlabelled_time_is_cut_into_pieces_outside_the_spans() -> None:
    spans = (Span(1.0, 2.0, "a"), Span(2.1, 3.0, "b"))
    pieces = unlabelled(spans, 10.0, 0.5, "unknown")
    assert pieces[0] == Span(0.0, 1.0, "unknown")
    assert pieces[-1].end == pytest.approx(10.0)
    assert all(piece.end <= 1.0 or piece.start >= 3.0 for piece in pieces)
    assert all(0.5 <= piece.end - piece.start <= 2.0 for piece in pieces)


def test_image_landmarks_have_pixels_on_every_axis() -> None:
    parts = {
        "pose": np.full((2, 33, 4), 0.5, np.float32),
        "pose_world": np.full((2, 33, 4), 0.1, np.float32),
        "left_hand": np.full((2, 21, 3), np.nan, np.float32),
        "right_hand": np.full((2, 21, 3), 0.25, np.float32),
    }
    points = join_parts(parts, 640, 480, space="image")
    assert points[0, 0].tolist() == [320, 240, 320]
    assert np.isnan(points[0, 33:54]).all()
    assert points[0, 54].tolist() == [160, 120, 160]
    assert join_parts(parts, 640, 480, space="world")[0, 0, 0] == pytest.approx(0.1)


def test_the_graph_server_finds_landmarks_once_for_a_clip(
    clip: Path, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    track = graph_server_landmarks(clip, models_dir=models_dir)
    assert track.landmarks.shape == (30, 75, 3)
    assert track.person(0) is None  # a test pattern, nobody in it
    assert np.array_equal(track.timestamps, np.round(np.arange(30) * 1e6 / 30).astype(np.int64))
    # The second time not even the interpreter of the server is there.
    monkeypatch.setattr("sys.executable", "/nonexistent")
    assert len(graph_server_landmarks(clip).timestamps) == 30
    assert not list((tmp_path / "cache").rglob(".part-*"))


def test_landmarks_of_a_slower_stream_are_found_in_its_frames_alone(
    clip: Path, models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    track = graph_server_landmarks(clip, 4, models_dir=models_dir)
    assert track.timestamps.tolist() == [round(index * 1e6 / 30) for index in range(0, 30, 4)]


def test_what_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        graph_server_landmarks(tmp_path / "absent.mp4")
    path = tmp_path / "text.mp4"
    path.write_text(json.dumps({}))
    with pytest.raises(SourceCodecError, match="is not a video that can be read"):
        graph_server_landmarks(path)


def test_a_server_that_fails_is_quoted_in_one_line(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "file").touch()
    with pytest.raises(StreamClientError, match=r"no landmarks of .*--models_dir") as caught:
        graph_server_landmarks(clip, models_dir=tmp_path / "file" / "models")
    assert "\n" not in str(caught.value)
