import json
from pathlib import Path

import pytest

from stream_client.errors import ConfigurationError
from stream_client.review.recording import read_recording

POSE = [[0.1, 0.2, 0.3, 0.9, 0.9]] * 33
ROW = {"frame": 0, "time": 0.0, "width": 64, "height": 48, "pose": POSE, "pose_world": [[0, 0, 0]] * 33}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_landmarks_and_labels_of_a_run_are_joined_by_their_frame(tmp_path: Path) -> None:
    landmarks = write(tmp_path / "l.jsonl", ROW, {**ROW, "frame": 3, "time": 0.1, "pose": None, "pose_world": None})
    labels = write(tmp_path / "labels.jsonl", {"frame": 3, "label": "up"}, {"frame": 1, "label": "down"})
    recording = read_recording(landmarks, labels)
    assert [row["label"] for row in recording.rows] == [None, "up"]
    assert recording.rows[0]["pose"][0] == [0.1, 0.2, 0.3]
    assert recording.rows[1]["pose"] is None
    assert recording.labels == ["up"]


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([ROW]), tmp_path / "l.parquet")
    assert len(read_recording(tmp_path / "l.parquet").rows) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no frame"),
        ("{", "line 1: no JSON"),
        ('{"frame": 0}', "row 1: no row of a landmarks file"),
        (json.dumps({**ROW, "pose": [[0, 0, 0]]}), "33 points"),
        ("[1]", "row 1"),
        (json.dumps({**ROW, "time": float("nan")}), "row 1: frame, time, width and height are numbers"),
        (json.dumps({**ROW, "frame": [1]}), "row 1: frame, time, width and height are numbers"),
        (json.dumps({**ROW, "width": 0}), "above 0"),
        (json.dumps({**ROW, "pose": "x" * 33}), "a pose has 33 points"),
        (json.dumps({**ROW, "pose": [{"x": 0}] * 33}), "a pose has points of three numbers"),
        (json.dumps({**ROW, "pose": [[0.1, "b", 0.1]] * 33}), "a pose has points of three numbers"),
        (json.dumps({**ROW, "left_hand": [[0, 0, 0]]}), "a left_hand has 21 points"),
    ],
)
def test_other_files_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.jsonl").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_recording(tmp_path / "l.jsonl")


@pytest.mark.parametrize("row", [[1], {"frame": [1]}, {"frame": 0, "label": {"name": "up"}}])
def test_labels_that_are_none_are_refused_with_their_row(tmp_path: Path, row: object) -> None:
    landmarks, labels = write(tmp_path / "l.jsonl", ROW), write(tmp_path / "labels.jsonl", row)
    with pytest.raises(ConfigurationError, match=r"labels\.jsonl, row 1: no row of a labels file"):
        read_recording(landmarks, labels)


def test_a_file_that_is_no_parquet_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "l.parquet").write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_recording(tmp_path / "l.parquet")
