"""Long videos in parts: joined, they are what the whole video gives; with a real graph server."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from stream_client.errors import ConfigurationError
from stream_client.fleet.batch.inputs import Video
from stream_client.fleet.batch.join import join_landmarks
from stream_client.fleet.batch.manifest import Record
from stream_client.fleet.batch.options import BatchOptions
from stream_client.fleet.batch.run import plan
from stream_client.fleet.batch.steps import run_task
from stream_client.fleet.batch.tasks import Parts, Task, Work
from stream_client.frames import Frame, Landmarks, Result, StreamInfo
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.sources.file import FileSource
from stream_client.sources.key_frames import key_frames
from stream_client.sources.span import Span
from tests.support.batches import batch, do
from tests.support.video import read_back, write_video

FRAMES, RATE = 40, 10


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Four seconds with B-frames, a key frame each half second, and sound."""
    return write_video(tmp_path / "long.mp4", frames=FRAMES, rate=RATE, key_frames=5, audio="aac")


def rows(output: Path, key: str) -> list[dict[str, object]]:
    """What labels say, but for the time that it took."""
    lines = (output / "labels" / f"{key}.jsonl").read_text().splitlines()
    return [{**json.loads(line), "latency_ms": None} for line in lines]


def sound(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]


def test_joined_parts_are_what_the_whole_video_gives(video: Path, tmp_path: Path, pass_through_server: str) -> None:
    found = Video(str(video))
    whole = batch(tmp_path / "whole", pass_through_server, "labels", "video", split=None)
    parts = replace(whole, output=tmp_path / "parts", split=1.0)
    one, joined = do(whole, found), do(parts, found)
    assert (joined.status, joined.frames, joined.delivered) == ("done", FRAMES, FRAMES)
    assert (joined.checksum, joined.size) == (one.checksum, one.size)
    assert rows(parts.output, found.key) == rows(whole.output, found.key)
    files = [each.output / "video" / f"{found.key}.mp4" for each in (whole, parts)]
    expected, got = map(read_back, files)
    assert [time for time, _ in got] == [time for time, _ in expected]
    for (_, before), (_, after) in zip(expected, got, strict=True):
        assert np.abs(before.astype(int) - after).mean() < 3  # each part is encoded anew
    assert sound(files[1]) == sound(files[0])
    assert not (parts.output / ".parts" / found.key).exists()


def test_parts_that_are_done_are_not_done_again(video: Path, tmp_path: Path, pass_through_server: str) -> None:
    found, what = Video(str(video)), batch(tmp_path / "out", pass_through_server, "labels")
    assert run_task(what, Task(found)) == Parts((0, 1, 2, 3))
    run_task(what, Task(found, 2))
    assert run_task(what, Task(found)) == Parts((0, 1, 3))
    assert run_task(replace(what, settings_hash="2"), Task(found)) == Parts((0, 1, 2, 3))
    run_task(what, Task(found))
    run_task(what, Task(found, 2))
    write_video(video, frames=FRAMES + 1, rate=RATE, key_frames=5)
    record = run_task(what, Task(found, 3))
    assert isinstance(record, Record)
    assert (record.status, record.error) == ("failed", "it was changed while it was read")
    assert run_task(what, Task(found)) == Parts((0, 1, 2, 3))
    video.unlink()
    failed = do(what, found)
    assert (failed.key, failed.status, failed.error) == (found.key, "failed", "the video does not exist")


def test_a_part_that_fails_ends_its_video_alone(tmp_path: Path) -> None:
    one, two = Video("/one.mp4"), Video("/two.mp4")
    work = Work([one, two])
    first = work.take()
    assert first == Task(one)
    work.answer(first, Parts((0, 1, 2)))
    tasks = [work.take(), work.take()]
    assert tasks == [Task(one, 0), Task(one, 1)]
    record = work.answer(Task(one, 1), Record("00001", "/one.mp4", "failed", "1", error="broken"))
    assert record is not None
    assert (record.key, record.error) == (one.key, "broken")
    assert work.answer(Task(one, 0), Record("00000", "/one.mp4", "done", "1")) is None
    assert work.take() == Task(two)
    assert work.take(wait=False) is None
    assert work.left == 1
    assert work.answer(Task(two), Record(two.key, "/two.mp4", "done", "1")) is not None
    assert work.take() is None


def test_landmarks_of_parts_are_counted_on(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.parquet" for name in ("one", "two", "joined", "whole")]
    for path, indices in zip(files, (range(3, 300), range(40, 60), None, range(317)), strict=True):
        if indices is not None:
            write_landmarks(path, indices)
    join_landmarks(files[:2], files[2])
    expected, got = pq.read_table(files[3]), pq.read_table(files[2])
    assert got.schema == expected.schema
    assert got.column("frame") == expected.column("frame")
    assert got.column("pose").to_pylist()[297] == [[40.0, 0.0, 0.0, 0.0, 0.0]]


def write_landmarks(path: Path, indices: range) -> None:
    sink, image = LandmarksSink(path), np.zeros((2, 2, 3), np.uint8)
    sink.open(StreamInfo("clip", 2, 2))
    for index in indices:
        pose = np.array([[index, 0, 0, 0, 0]], np.float32)
        pose_world = np.zeros((1, 3), np.float32)
        frame = Frame(index, index, image, 0.0)
        sink.write(Result(frame, image, None, {}, index / RATE, landmarks=Landmarks(pose, pose_world, size=(2, 2))))
    sink.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_spans_of_a_file_are_all_of_it(name: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, frames=FRAMES, rate=RATE, key_frames=7)
    found = key_frames(path)
    assert found is not None
    assert len(found.times) > FRAMES // 7
    spans = [Span(found.zero, begin, end) for begin, end in zip(found.times, [*found.times[1:], None], strict=True)]
    pieces = [frame for span in spans for frame in frames_of(path, span)]
    assert pieces == list(frames_of(path, None))


def frames_of(path: Path, span: Span | None) -> Iterator[tuple[int, bytes]]:
    source = FileSource(path, span=span)
    source.open()
    while (frame := source.read()) is not None:
        yield frame.timestamp, np.asarray(frame.image).tobytes()
    source.close()


def test_what_cannot_be_cut_is_done_whole(video: Path, tmp_path: Path, pass_through_server: str) -> None:
    joined = tmp_path / "joined.ts"  # its times begin anew in the middle
    piece = write_video(tmp_path / "piece.ts", frames=FRAMES, rate=RATE, key_frames=5)
    joined.write_bytes(2 * piece.read_bytes())
    record = do(batch(tmp_path / "out", pass_through_server, "labels"), Video(str(joined)))
    assert (record.status, record.frames) == ("done", 2 * FRAMES)
    assert key_frames(joined) is None
    short = write_video(tmp_path / "short.mp4", frames=12, rate=RATE, key_frames=5)
    assert run_task(batch(tmp_path / "out", pass_through_server), Task(Video(str(short)))) != Parts((0, 1))
    assert key_frames(tmp_path / "none.mp4") is None


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"count_repetitions": "squat"}, "repetitions"), ({"tracker": "bytetrack"}, "tracks")],
)
def test_what_counts_over_a_whole_video_is_not_cut(settings: dict[str, object], text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=text) as raised:
        plan(BatchOptions(output=tmp_path, split="10m"), settings, [])
    assert raised.value.option == "split"


@pytest.mark.parametrize("split", ["5s", "never"])
def test_a_part_is_longer_than_its_overlap(split: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        BatchOptions(output=tmp_path, split=split)
    assert raised.value.option == "split"
