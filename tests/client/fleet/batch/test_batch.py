"""Batches with a real graph server: each video once, whatever happens in between."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stream_client.cli.batch import main
from stream_client.errors import ConfigurationError
from stream_client.fleet.batch.attempt import Attempt
from stream_client.fleet.batch.inputs import Video, find_videos
from stream_client.fleet.batch.job import Batch
from stream_client.fleet.batch.manifest import Record, ResultFolder, settings_hash
from stream_client.fleet.batch.options import BatchOptions
from stream_client.fleet.batch.pool import SpareWorkers, WorkerPool
from stream_client.fleet.batch.run import BatchSummary, claim, plan, run_batch
from tests.support.video import write_video
from tests.support.web_streams import WebStreams

FRAMES = 12


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Six videos, two with the same name, and a file that is none."""
    folder = tmp_path / "archive"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "b", "c", "d", "e", "sub/a"):
        write_video(folder / f"{name}.mp4", frames=FRAMES)
    (folder / "notes.txt").write_text("no video")
    return folder


def start(
    archive: Path,
    options: BatchOptions,
    address: str,
    *,
    on_start: object = None,
    make: Callable[..., WorkerPool] = WorkerPool,
    **settings: object,
) -> BatchSummary:
    given = {"drop_policy": "block", "grpc_address": address, "model_name": "passThrough", **settings}
    planned = plan(options, given, find_videos([str(archive)]))
    records: list[Record] = []
    pools: list[WorkerPool] = []

    def on_record(record: Record) -> None:
        records.append(record)
        if callable(on_start):
            on_start(pools[0], len(records))

    def make_pool(batch: Batch, videos: Sequence[Video], count: int | None) -> WorkerPool:
        pools.append(make(batch, videos, count))
        return pools[0]

    return run_batch(options, given, planned, on_record, make_pool)


def labels(output: Path) -> dict[str, list[int]]:
    """The frames of each video's labels."""
    files = sorted((output / "labels").iterdir())
    return {file.stem: [json.loads(line)["frame"] for line in file.read_text().splitlines()] for file in files}


def rows(output: Path) -> list[dict[str, object]]:
    table: list[dict[str, object]] = pq.read_table(output / "manifest.parquet").to_pylist()
    return table


def test_each_video_is_done_once_and_only_what_changed_is_done_again(
    archive: Path, tmp_path: Path, pass_through_server: str
) -> None:
    options = BatchOptions(output=tmp_path / "out", results=("labels", "video"), workers=2)
    first = start(archive, options, pass_through_server)
    assert (first.done, first.failed, first.left, first.frames) == (6, 0, 0, 6 * FRAMES)
    assert set(map(tuple, labels(options.output).values())) == {tuple(range(FRAMES))}
    assert len(list((options.output / "video").iterdir())) == 6
    assert [(row["status"], row["delivered"]) for row in rows(options.output)] == 6 * [("done", FRAMES)]
    assert not (options.output / ".work").exists()

    write_video(archive / "b.mp4", frames=FRAMES + 3)
    (archive / "c.mp4").unlink()
    os.remove(next((options.output / "video").glob("d-*")))
    second = start(archive, options, pass_through_server)
    assert (second.done, second.current) == (2, 3)
    assert len(rows(options.output)) == 6  # what is gone keeps its results

    other = start(archive, options, pass_through_server, max_side=32)
    assert (other.done, other.current) == (5, 0)


def test_a_killed_worker_loses_nothing(archive: Path, tmp_path: Path, pass_through_server: str) -> None:
    options = BatchOptions(output=tmp_path / "out", workers=2)

    def kill_one(pool: WorkerPool, records: int) -> None:
        if records in (1, 2):
            for pid in pool.pids[:1]:
                os.kill(pid, signal.SIGKILL)

    summary = start(archive, options, pass_through_server, on_start=kill_one)
    assert (summary.done, summary.failed) == (6, 0)
    assert set(map(tuple, labels(options.output).values())) == {tuple(range(FRAMES))}


def test_workers_that_wait_for_their_batch_are_taken_first_and_none_is_left(
    archive: Path, tmp_path: Path, pass_through_server: str
) -> None:
    options = BatchOptions(output=tmp_path / "out", workers=2)
    with SpareWorkers(3) as spares:
        waiting = [process.pid for process in spares.processes]
        os.kill(waiting[-1], signal.SIGKILL)  # it has died before it was needed
        used: set[int] = set()
        summary = start(
            archive,
            options,
            pass_through_server,
            on_start=lambda pool, records: used.update(pool.pids),
            make=partial(WorkerPool, spares=spares),
        )
        assert (summary.done, summary.failed) == (6, 0)
        assert waiting[1] in used
        assert [process.pid for process in spares.processes] == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in waiting)


def test_what_an_interrupted_batch_has_done_is_not_done_again(
    archive: Path, tmp_path: Path, pass_through_server: str
) -> None:
    options = BatchOptions(output=tmp_path / "out", workers=1)

    def interrupt(pool: WorkerPool, records: int) -> None:
        if records == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(archive, options, pass_through_server, on_start=interrupt)
    assert len(rows(options.output)) >= 2
    assert not (options.output / ".work").exists()
    before = {path: path.stat().st_mtime_ns for path in (options.output / "labels").iterdir()}
    rest = start(archive, options, pass_through_server)
    assert rest.current == len(before)
    assert rest.done + rest.current == 6
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_failures_are_counted_by_cause_and_end_a_batch_that_has_too_many(
    archive: Path, tmp_path: Path, pass_through_server: str
) -> None:
    for name in ("x", "y", "z"):
        (archive / f"{name}.mp4").write_bytes(b"no video at all" * 100)
    all_of_it = start(archive, BatchOptions(output=tmp_path / "out", workers=2), pass_through_server)
    assert (all_of_it.done, all_of_it.failed) == (6, 3)
    assert list(all_of_it.causes.values()) == [3]
    assert "not a video that can be read" in next(iter(all_of_it.causes))
    strict = BatchOptions(output=tmp_path / "strict", workers=1, max_failures=0)
    for path in archive.glob("[a-e].mp4"):
        path.rename(path.with_name(f"~{path.name}"))  # after the broken ones
    stopped = start(archive, strict, pass_through_server)
    assert stopped.failed == 1
    assert stopped.left > 0


def test_a_video_that_vanishes_is_a_failure_of_its_own(archive: Path, tmp_path: Path, pass_through_server: str) -> None:
    options = BatchOptions(output=tmp_path / "out", workers=1)
    given = {"drop_policy": "block", "grpc_address": pass_through_server, "model_name": "passThrough"}
    planned = plan(options, given, find_videos([str(archive)]))
    (archive / "e.mp4").unlink()
    summary = run_batch(options, given, planned)
    assert (summary.done, summary.failed) == (5, 1)
    assert list(summary.causes) == ["the video does not exist"]


def test_videos_are_found_once_in_folders_patterns_and_lists(archive: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"# two\n{archive}/a.mp4\n\n{archive}/sub\n")
    everything = find_videos([str(archive), f"{archive}/*.mp4", f"@{listed}"])
    assert len(everything) == 6
    assert len({video.key for video in everything}) == 6
    assert find_videos([f"@{listed}"]) == [Video(f"{archive}/a.mp4"), Video(f"{archive}/sub/a.mp4")]


@pytest.mark.parametrize(
    ("name", "text"), [("missing.mp4", "does not exist"), ("*.none", "no file matches"), ("@no.txt", "cannot read")]
)
def test_an_input_that_is_nothing_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        find_videos([name])


def test_remote_videos_are_fetched(archive: Path, tmp_path: Path, pass_through_server: str) -> None:
    with WebStreams(archive) as server:
        options = BatchOptions(output=tmp_path / "out", workers=1)
        given = {"drop_policy": "block", "grpc_address": pass_through_server, "model_name": "passThrough"}
        videos = find_videos([server.url("a.mp4"), server.url("none.mp4")])
        summary = run_batch(options, given, plan(options, given, videos))
    assert (summary.done, summary.failed) == (1, 1)
    assert "does not exist" in next(iter(summary.causes))


def test_two_batches_do_not_share_a_folder(tmp_path: Path) -> None:
    with claim(tmp_path / "out"), pytest.raises(ConfigurationError, match="another batch"), claim(tmp_path / "out"):
        pass


def test_a_record_that_is_half_written_is_none(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.write(Record("a", "/a.mp4", "done", "1"))
    assert folder.read("a") == Record("a", "/a.mp4", "done", "1")
    (tmp_path / "manifest" / "b.json").write_text('{"key": "b", "addr')
    assert folder.read("b") is None


def test_an_older_attempt_leaves_the_results_of_a_newer_one_alone(tmp_path: Path) -> None:
    folder, record = ResultFolder(tmp_path), Record("a", "/a.mp4", "done", "1")
    with Attempt(folder, "a") as older, Attempt(folder, "a") as newer:
        older.draft("labels").write_text("older")
        newer.draft("labels").write_text("newer")
        newer.publish(record, ("labels",))
        older.publish(replace(record, settings="0"), ("labels",))
        older.give_up(replace(record, status="failed"))
    assert folder.read("a") == record
    assert folder.place("labels", "a").read_text() == "newer"
    assert not list(folder.work.glob("*/*/*"))


def test_only_settings_that_change_results_count() -> None:
    labels = BatchOptions(output=Path())
    base = settings_hash({"model_name": "a", "grpc_address": "x:1"}, labels)
    assert base == settings_hash({"model_name": "a", "grpc_address": "y:2", "max_side": None}, labels)
    assert base != settings_hash({"model_name": "b"}, labels)
    assert base != settings_hash({"model_name": "a"}, BatchOptions(output=Path(), results=("labels", "video")))
    assert base != settings_hash({"model_name": "a"}, BatchOptions(output=Path(), split="1m"))


def test_the_command_says_what_it_did(
    archive: Path, tmp_path: Path, pass_through_server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(archive), "--output", str(tmp_path / "out"), "--grpc_address", pass_through_server]
    arguments += ["--model_name", "passThrough", "--workers", "1"]
    assert main(arguments) == 0
    assert set(map(tuple, labels(tmp_path / "out").values())) == {tuple(range(FRAMES))}  # what is written by default
    assert main(arguments) == 0
    (archive / "broken.mp4").write_bytes(b"nothing")
    assert main(arguments) == 1
    text = capfd.readouterr().err
    assert "6 videos, 0 have their results" in text
    assert "6 videos, 6 have their results" in text
    assert "1 x the video is not a video" in text
    assert "error: 1 of 7 videos has no results: run it again" in text
