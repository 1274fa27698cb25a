"""Landmarks and changes of the label, in files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Frame, Label, Landmarks, Result, StreamInfo
from stream_client.sinks.label_changes import LabelChangesSink
from stream_client.sinks.landmarks import LandmarksSink

INFO = StreamInfo("test", 64, 48)
IMAGE = np.zeros((48, 64, 3), np.uint8)


def person(index: int) -> Landmarks:
    pose = np.full((33, 5), index / 1000, np.float32)
    hand = np.full((21, 3), 0.25, np.float32)
    return Landmarks(pose, np.full((33, 3), -0.5, np.float32), (64, 48), right_hand=hand)


def result(index: int, landmarks: Landmarks | None = None, label: str | None = None) -> Result:
    said = None if label is None else Label(label, 0.8, {label: 0.8})
    return Result(Frame(index, index * 40_000, IMAGE, 0.0), IMAGE, said, {}, index * 0.04, landmarks=landmarks)


def test_json_lines_have_a_row_a_frame_and_null_for_what_is_not_seen(tmp_path: Path) -> None:
    sink = LandmarksSink(tmp_path / "l.jsonl")
    sink.open(INFO)
    sink.write(result(0))
    sink.write(result(1, person(1)))
    rows = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    sink.close()
    sink.close()
    assert rows[0] == {
        "frame": 0, "time": 0.0, "width": 64, "height": 48,
        "pose": None, "pose_world": None, "left_hand": None, "right_hand": None, "face": None,
    }  # fmt: skip
    assert rows[1]["time"] == 0.04
    assert rows[1]["pose"] == [[0.001] * 5] * 33
    assert rows[1]["pose_world"][32] == [-0.5] * 3
    assert rows[1]["left_hand"] is None
    assert rows[1]["right_hand"] == [[0.25] * 3] * 21


def test_parquet_holds_the_same_rows_however_many(tmp_path: Path) -> None:
    from pyarrow import parquet

    sink = LandmarksSink(tmp_path / "l.parquet")
    sink.open(INFO)
    for index in range(600):
        sink.write(result(index, person(index) if index % 2 else None))
    sink.close()
    table = parquet.read_table(tmp_path / "l.parquet")
    assert table.column("frame").to_pylist() == list(range(600))
    assert str(table.schema.field("pose").type) == "list<element: list<element: float>>"
    poses = table.column("pose").to_pylist()
    assert poses[0] is None
    np.testing.assert_allclose(poses[599], np.full((33, 5), 0.599), rtol=1e-6)


def test_other_extensions_are_refused_before_the_run() -> None:
    with pytest.raises(ConfigurationError, match=r"\.jsonl and \.parquet"):
        LandmarksSink("landmarks.csv")


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"ovms-stream-client\[parquet\]"):
        LandmarksSink("landmarks.parquet")


@pytest.mark.parametrize("name", ["l.jsonl", "l.parquet"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*nowhere"):
        LandmarksSink(tmp_path / "nowhere" / name).open(INFO)


def test_changes_of_the_label_are_written_once_each(tmp_path: Path) -> None:
    sink = LabelChangesSink(tmp_path / "c.jsonl")
    sink.open(INFO)
    for index, label in enumerate([None, "a", "a", "b", "b", None, "b"]):
        assert sink.write(result(index, label=label))
    sink.close()
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["before"], line["label"]) for line in lines] == [
        (1, None, "a"), (3, "a", "b"), (5, "b", None), (6, None, "b"),
    ]  # fmt: skip
    assert lines[0] == {"frame": 1, "time": 0.04, "before": None, "label": "a", "score": 0.8}
    with pytest.raises(SinkError, match="nowhere"):
        LabelChangesSink(tmp_path / "nowhere" / "c.jsonl").open(INFO)


def test_changes_go_to_standard_output_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    sink = LabelChangesSink("-")
    sink.open(INFO)
    sink.write(result(0, label="a"))
    sink.close()
    assert json.loads(capsys.readouterr().out)["label"] == "a"
