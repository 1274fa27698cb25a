"""Which streams a student learns from, and how they become samples."""

import math
from pathlib import Path

import pytest

from stream_client.distill.collection import collect
from stream_client.distill.options import DistillOptions
from stream_client.distill.samples import PoseSample
from stream_client.distill.streams import Stream, named_streams
from stream_client.errors import ConfigurationError, StreamClientError
from tests.support.puppet import PuppetTeacher, write_bars
from tests.support.waiting import wait_until


def videos(folder: Path, count: int) -> list[str]:
    paths = [folder / f"{number}.mp4" for number in range(count)]
    for path in paths:
        path.touch()
    return [str(path) for path in paths]


def uses(streams: list[Stream]) -> list[tuple[str, str]]:
    return [(Path(stream.address).name, stream.use) for stream in streams]


def test_one_of_five_streams_is_held_out_and_comes_first(tmp_path: Path) -> None:
    videos(tmp_path, 7)
    streams = named_streams([str(tmp_path)])
    assert uses(streams)[:2] == [("4.mp4", "hold_out"), ("6.mp4", "hold_out")]
    assert {use for _, use in uses(streams)[2:]} == {"train"}
    assert len(streams) == 7


def test_what_is_named_is_held_out_instead(tmp_path: Path) -> None:
    names = videos(tmp_path, 3)
    assert uses(named_streams([str(tmp_path)], [names[0]])) == [
        *(("0.mp4", "hold_out"), ("1.mp4", "train"), ("2.mp4", "train")),
    ]
    with pytest.raises(ConfigurationError, match="every source is held out"):
        named_streams(names, names)


def test_of_a_single_stream_parts_of_its_time_are_held_out() -> None:
    (stream,) = named_streams(["rtsp://me:secret@camera/live"])
    assert stream.use == "both"
    assert "secret" not in stream.name
    held = [stream.held_out(at * 100_000) for at in range(50)]
    assert held == [at % 15 >= 12 for at in range(50)]


def test_streams_become_samples_and_what_fails_is_skipped_and_named(tmp_path: Path) -> None:
    walk = write_bars(tmp_path / "walk.mp4", [0.1 * index for index in range(30)])
    empty = write_bars(tmp_path / "empty.mp4", [math.nan] * 5)
    held_out = write_bars(tmp_path / "held.mp4", [1.0] * 12)
    (tmp_path / "text.mp4").write_text("no video")
    streams = [
        Stream(str(held_out), "held", "hold_out"),
        *(Stream(str(path), path.name) for path in (walk, empty, tmp_path / "text.mp4")),
    ]
    seen: list[tuple[PoseSample, bool]] = []
    options = DistillOptions(rate=5)
    with collect(lambda: streams, PuppetTeacher(), options, lambda *each: seen.append(each)) as collection:
        held = collection.wait(16)
        collection.producer.wait(30)
        collection.memory.wait(0)
        assert len(collection.memory) == 15  # 30 frames at 10 a second, 5 of them a second
    assert len(held) == 6
    assert [number for _, number in seen] == [True] * 6 + [False] * 15
    first = seen[6][0]
    assert (first.source, first.timestamp) == ("walk.mp4", 0)
    assert first.joints[-1, 0] == pytest.approx(0.5, abs=0.01)
    reasons = [failed.reason for failed in collection.producer.failed]
    assert len(reasons) == 2
    assert reasons[0] == "no person was seen in empty.mp4"
    assert "text.mp4" in reasons[1]
    assert [stream.name for stream in collection.producer.used] == ["held", "walk.mp4"]


def test_with_loop_the_streams_go_on_until_the_end_of_the_block(tmp_path: Path) -> None:
    walk = write_bars(tmp_path / "walk.mp4", [0.1 * index for index in range(10)])
    held_out = write_bars(tmp_path / "held.mp4", [1.0] * 5)
    seen: list[bool] = []
    streams = [Stream(str(held_out), "held", "hold_out"), Stream(str(walk), "walk")]
    options = DistillOptions(loop=True)
    with collect(lambda: streams, PuppetTeacher(), options, lambda _, held: seen.append(held)) as collection:
        wait_until(lambda: collection.memory.wait(0) or collection.memory.seen >= 30, seconds=30)
        assert not collection.producer.done
    assert collection.producer.done
    assert sum(seen) == 5


def test_a_stream_may_be_taken_in_part(tmp_path: Path) -> None:
    walk = write_bars(tmp_path / "walk.mp4", [0.1 * index for index in range(40)])
    seen: list[PoseSample] = []
    options = DistillOptions(stream_seconds=1.5)
    with collect(
        lambda: [Stream(str(walk), "walk")], PuppetTeacher(), options, lambda sample, _: seen.append(sample)
    ) as collection:
        assert collection.producer.wait(30)
    assert [sample.timestamp for sample in seen] == [number * 100_000 for number in range(15)]


def test_where_nobody_is_seen_the_reasons_are_said(tmp_path: Path) -> None:
    empty = write_bars(tmp_path / "empty.mp4", [math.nan] * 5)
    streams = [Stream(str(empty), "empty.mp4", "both")]
    with (
        collect(lambda: streams, PuppetTeacher(), DistillOptions()) as collection,
        pytest.raises(StreamClientError, match=r"no person was seen to learn from: no person was seen in empty\.mp4"),
    ):
        collection.wait(16)


def test_a_server_that_is_not_there_ends_the_work() -> None:
    class Unreachable(PuppetTeacher):
        def __init__(self) -> None:
            self.transport = "127.0.0.1:1"  # type: ignore[assignment]

    with (
        collect(lambda: [Stream("testsrc", "testsrc", "both")], Unreachable(), DistillOptions()) as collection,
        pytest.raises(StreamClientError, match=r"127\.0\.0\.1:1"),
    ):
        collection.wait(1)
