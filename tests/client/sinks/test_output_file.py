"""Outputs do not harm what was there, and notice when they are gone."""

import os
import shutil
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from stream_client.errors import SinkError
from stream_client.frames import Frame, Label, Result, StreamInfo
from stream_client.sinks.base import Sink
from stream_client.sinks.label_changes import LabelChangesSink
from stream_client.sinks.labels import LabelsSink
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sinks.video_file import FileSink
from tests.support.video import picture, read_back

INFO = StreamInfo("test", 64, 48, Fraction(30))
KINDS: list[tuple[Callable[[Path], Sink], str]] = [
    (FileSink, "out.mp4"),
    (FileSink, "out.mkv"),
    (LabelsSink, "labels.jsonl"),
    (LabelChangesSink, "changes.jsonl"),
    (LandmarksSink, "landmarks.jsonl"),
    (LandmarksSink, "landmarks.parquet"),
]
every_kind = pytest.mark.parametrize(("make", "name"), KINDS, ids=[name for _, name in KINDS])


def result(index: int, label: str | None = None) -> Result:
    image = picture(index)
    frame = Frame(index, index * 33_333, image, 0.0)
    return Result(frame, image, None if label is None else Label(label, 1.0, {label: 1.0}), time=index / 30)


@every_kind
def test_what_was_there_stays_when_nothing_comes(make: Callable[[Path], Sink], name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("of yesterday")
    sink = make(path)
    sink.open(INFO)
    assert path.read_text() == "of yesterday"
    sink.close()
    assert path.read_text() == "of yesterday"
    assert os.listdir(tmp_path) == [name]


@every_kind
def test_a_frame_replaces_what_was_there(make: Callable[[Path], Sink], name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("of yesterday")
    path.chmod(0o600)
    sink = make(path)
    sink.open(INFO)
    sink.write(result(0))
    sink.close()
    assert not path.read_bytes().startswith(b"of yesterday")
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == [name]


@every_kind
def test_an_output_that_is_deleted_in_the_run_is_an_error(
    make: Callable[[Path], Sink], name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    sink = make(folder / name)
    sink.open(INFO)
    sink.write(result(0))
    shutil.rmtree(folder)

    def go_on() -> None:
        try:
            for index in range(1, 5):
                sink.write(result(index))
        finally:
            sink.close()

    with pytest.raises(SinkError, match=f"{name} was deleted while it was written"):
        go_on()


def test_a_file_that_is_deleted_after_its_last_frame_is_an_error(tmp_path: Path) -> None:
    sink = LabelsSink(tmp_path / "labels.jsonl")
    sink.open(INFO)
    sink.write(result(0))
    (tmp_path / "labels.jsonl").unlink()
    with pytest.raises(SinkError, match="was deleted"):
        sink.close()


def test_a_file_that_is_moved_away_is_written_on(tmp_path: Path) -> None:
    sink = LabelsSink(tmp_path / "labels.jsonl")
    sink.open(INFO)
    sink.write(result(0))
    (tmp_path / "labels.jsonl").rename(tmp_path / "labels.1.jsonl")
    sink.write(result(1))
    sink.close()
    assert (tmp_path / "labels.1.jsonl").read_text().count("\n") == 2


def test_a_link_stays_a_link_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out.mp4").symlink_to(tmp_path / "disk" / "recording.mp4")
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(INFO)
    for index in range(5):
        sink.write(result(index))
    sink.close()
    assert (tmp_path / "out.mp4").is_symlink()
    assert len(read_back(tmp_path / "disk" / "recording.mp4")) == 5


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".mp4")
    sink = FileSink(path)
    sink.open(INFO)
    sink.write(result(0))
    sink.close()
    assert len(read_back(path)) == 1


def test_names_that_cannot_be_are_one_clear_line(tmp_path: Path) -> None:
    for sink in (FileSink(tmp_path / ("n" * 300 + ".mp4")), LabelsSink(tmp_path / ("n" * 300))):
        with pytest.raises(SinkError, match="File name too long"):
            sink.open(INFO)
        sink.close()


def test_devices_are_written_directly() -> None:
    sink = LabelsSink("/dev/null")
    sink.open(INFO)
    sink.write(result(0))
    sink.close()
    assert not Path("/dev/null").is_file()


def test_changes_of_a_label_that_never_comes_are_an_empty_file(tmp_path: Path) -> None:
    sink = LabelChangesSink(tmp_path / "changes.jsonl")
    sink.open(INFO)
    sink.write(result(0))
    sink.close()
    assert (tmp_path / "changes.jsonl").read_text() == ""


def test_a_pipe_gets_the_video(tmp_path: Path) -> None:
    pipe = tmp_path / "out.mkv"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    sink = FileSink(pipe)
    sink.open(INFO)
    for index in range(5):
        sink.write(result(index))
    sink.close()
    reader.join(10)
    (tmp_path / "copy.mkv").write_bytes(received[0])
    assert len(read_back(tmp_path / "copy.mkv")) == 5
