"""What is found in recordings."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from stream_client.errors import ConfigurationError
from stream_client.events.read import parse_rules
from stream_client.events.sink import EventsSink
from stream_client.frames import Label, Landmarks, Person, Result
from stream_client.recording.event_output import IndexOutput
from stream_client.recording.options import RecordingOptions
from stream_client.recording.search import Query, find, found_row
from stream_client.recording.sink import RecordingSink
from stream_client.util.amounts import moment
from tests.client.recording.test_recording import INFO, NOON, frames, record, recording
from tests.support.client import run_here
from tests.support.video import read_back


def labeled(*parts: tuple[str | None, int], first: int = 0) -> Iterator[Result]:
    """Frames with a label each; a part is a label and a number of frames."""
    names = [name for name, count in parts for _ in range(count)]
    for result, name in zip(frames(len(names), first), names, strict=True):
        yield replace(result, label=None if name is None else Label(name, 0.9, {name: 0.9}))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Three seconds from noon on in three files; somebody falls from 1.5 s to 2.5 s."""
    record(recording(tmp_path), labeled(("standing", 45), ("falling", 30), (None, 15)))
    return tmp_path


def test_a_label_is_found_in_its_file_at_its_time(recordings: Path) -> None:
    (found,) = find(recordings, Query(label="falling"))
    assert (found.stream, found.kind, found.name) == ("door", "label", "falling")
    assert (found.begin - NOON, (found.end or 0) - NOON) == pytest.approx((1.5, 2.5), abs=0.04)
    assert found.file == recordings / "door" / "2026-03-03" / "12-00-01.mp4"
    assert found.offset == pytest.approx(0.5, abs=0.001)
    assert found.score == 0.9
    assert len(read_back(found.file)) == 30


def test_a_span_that_began_before_is_found_where_the_time_asked_for_begins(recordings: Path) -> None:
    (found,) = find(recordings, Query(label="falling", since=NOON + 2.2))
    assert found.file == recordings / "door" / "2026-03-03" / "12-00-02.mp4"
    assert found.offset == pytest.approx(0.2, abs=0.001)
    assert find(recordings, Query(label="falling", since=NOON + 2.6)) == []
    assert find(recordings, Query(label="falling", until=NOON + 1.4)) == []
    assert find(recordings, Query(label="falling", stream="hall")) == []


def test_a_label_that_flickers_is_one_span(tmp_path: Path) -> None:
    record(recording(tmp_path), labeled(*[("falling", 1), ("standing", 1)] * 45))
    assert len(find(tmp_path, Query(label="falling"))) == 1
    assert len(find(tmp_path, Query(label="standing"))) == 1


def test_labels_of_persons_are_found(tmp_path: Path) -> None:
    def results() -> Iterator[Result]:
        landmarks = Landmarks(np.zeros((33, 4), np.float32), np.zeros((33, 3), np.float32), (64, 48))
        for result in frames(30):
            person = Person(2, landmarks, (0, 0, 9, 9), Label("waving", 0.8, {}))
            yield replace(result, label=Label("standing", 0.9, {}), persons=(person,))

    record(recording(tmp_path), results())
    assert len(find(tmp_path, Query(label="waving"))) == 1


def test_streams_side_by_side_are_found_together_by_time(tmp_path: Path) -> None:
    for stream, begin in (("hall", NOON + 0.2), ("door", NOON)):
        options = RecordingOptions("1s")
        pattern = tmp_path / "{stream}" / "%Y-%m-%d-%H-%M-%S.mp4"
        sink = RecordingSink(pattern, options, stream=stream, wall=partial(float, begin))
        record(sink, labeled(("falling", 10)))
    assert [each.stream for each in find(tmp_path, Query(label="falling"))] == ["door", "hall"]
    assert [each.stream for each in find(tmp_path, Query(label="falling", limit=1))] == ["hall"]
    assert [each.kind for each in find(tmp_path, Query(stream="hall"))] == ["file"]


def test_what_is_being_written_plays_and_is_said_to_be_so(tmp_path: Path) -> None:
    sink = recording(tmp_path)
    sink.open(INFO)
    for result in labeled(("falling", 20)):
        sink.write(result)
    (found,) = find(tmp_path, Query(label="falling"))
    assert not found.complete
    assert found.file is not None
    assert len(read_back(found.file)) > 10
    sink.close()
    (found,) = find(tmp_path, Query(label="falling"))
    assert found.complete
    assert found.file == tmp_path / "door" / "2026-03-03" / "12-00-00.mp4"


def test_events_are_found_by_the_recordings_clock(tmp_path: Path) -> None:
    sink = recording(tmp_path)
    rules = parse_rules({"rule": [{"name": "fall", "label": "falling"}]})
    events = EventsSink(rules, [IndexOutput(sink)], folder=tmp_path / "events")
    results = list(labeled(("standing", 40), ("falling", 20), ("standing", 30)))
    sink.open(INFO)
    events.open(INFO)
    for result in results:
        sink.write(result)
        events.write(result)
    events.close()
    sink.close()
    (found,) = find(tmp_path, Query(event="fall"))
    assert (found.begin - NOON, (found.end or 0) - NOON) == pytest.approx((40 / 30, 2), abs=0.04)
    assert found.file == tmp_path / "door" / "2026-03-03" / "12-00-01.mp4"
    assert found.offset == pytest.approx(1 / 3, abs=0.001)


def test_labels_go_with_the_files_that_had_them(recordings: Path) -> None:
    sink = recording(recordings, lambda: NOON + 86_400, keep_for="1h")
    record(sink, labeled(("plank", 10)))
    assert find(recordings, Query(label="falling")) == []
    assert len(find(recordings, Query(label="plank"))) == 1


def test_a_file_that_somebody_removed_is_no_answer(recordings: Path) -> None:
    for path in recordings.rglob("*.mp4"):
        path.unlink()
    (found,) = find(recordings, Query(label="falling"))
    assert (found.file, found.offset) == (None, None)
    record(recording(recordings, lambda: NOON + 86_400, keep_for="20h"), iter(()))
    assert find(recordings, Query()) == []


def test_the_command_prints_file_offset_and_time(recordings: Path) -> None:
    done = run_here("find", recordings, "--label", "falling", "--json")
    (row,) = json.loads(done.stdout)
    (found,) = find(recordings, Query(label="falling"))
    assert row == found_row(found)
    assert row["offset"] == 0.5
    assert moment(row["begin"], 0, "since") == pytest.approx(NOON + 1.5, abs=0.001)
    text = run_here("find", recordings, "--label", "falling", "--since", "2026-03-03").stdout
    assert str(found.file) in text.splitlines()[1]
    assert run_here("find", recordings, "--label", "falling", "--since", "2h").stdout == "nothing found\n"
    assert len(run_here("find", recordings).stdout.splitlines()) == 4


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--since", "yesterday"], "'yesterday' is no moment"),
        (["--since", "1h", "--until", "2h"], "since is after until"),
        (["--limit", "0"], "out of range"),
    ],
)
def test_what_cannot_be_asked_is_one_line(recordings: Path, flags: list[str], problem: str) -> None:
    done = run_here("find", recordings, *flags)
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no recordings: name the folder in which index\.sqlite is"):
        find(tmp_path, Query())
    (tmp_path / "index.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(ConfigurationError, match=r"cannot read .*; move it away"):
        find(tmp_path, Query())


def test_a_reader_that_has_enough_is_no_error(recordings: Path) -> None:
    record(recording(recordings, lambda: NOON + 60), labeled(*[("falling", 1), (None, 31)] * 100))
    command = [sys.executable, "-m", "stream_client", "find", str(recordings), "--label", "falling", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_run_records_and_is_searched(tmp_path: Path, clip: Path, pass_through_server: str) -> None:
    (tmp_path / "rules.toml").write_text("[[rule]]\nname = 'later'\nwhen = 'time >= 0.5'\n")
    flags = ["--grpc_address", pass_through_server, "--model_name", "passThrough", "--input_stream", clip]
    flags += ["--output_stream", tmp_path / "rec" / "{stream}" / "%Y-%m-%d" / "%H-%M-%S.mp4", "--segment", "1s"]
    flags += ["--events", tmp_path / "rules.toml", "--events_dir", tmp_path / "events", "--stream_name", "door"]
    began = time.time()
    done = run_here(*flags)
    assert done.returncode == 0, done.stderr
    (found,) = find(tmp_path / "rec", Query(event="later"))
    assert found.begin >= began + 0.5
    assert found.file is not None
    assert found.file.is_relative_to(tmp_path / "rec" / "door")
    assert sum(len(read_back(each.file)) for each in find(tmp_path / "rec", Query()) if each.file) > 15
