from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError, SourceNotFoundError
from stream_client.training.clips import (
    Span,
    chosen,
    find_clips,
    read_annotations,
)
from stream_client.training.cutting import unlabelled
from tests.client.training.movements import write_annotations


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
    with pytest.raises(ConfigurationError, match=r"out of good, left, right \(labels\)"):
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


def test_labels_fit_in_a_line_of_the_label_file(tmp_path: Path) -> None:
    spans = read_annotations(write_annotations(tmp_path / "a.json", [(0, 1, "left\n step/ü "), (1, 2, "b")]))
    assert spans[0].label == "left step/ü"
    with pytest.raises(ConfigurationError, match="the span from 1 s has no label"):
        read_annotations(write_annotations(tmp_path / "a.json", [(0, 1, "a"), (1, 2, " ")]))


def test_unlabelled_time_is_cut_into_pieces_outside_the_spans() -> None:
    spans = (Span(1.0, 2.0, "a"), Span(2.1, 3.0, "b"))
    pieces = unlabelled(spans, 10.0, 0.5, "unknown")
    assert pieces[0] == Span(0.0, 1.0, "unknown")
    assert pieces[-1].end == pytest.approx(10.0)
    assert all(piece.end <= 1.0 or piece.start >= 3.0 for piece in pieces)
    assert all(0.5 <= piece.end - piece.start <= 2.0 for piece in pieces)
