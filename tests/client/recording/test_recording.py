"""Recordings: real files, cut at a clock that the test sets."""

import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Frame, Label, Result, StreamInfo
from stream_client.publishing.options import SinkOptions
from stream_client.recording.index import FILE, RecordingIndex
from stream_client.recording.options import RecordingOptions
from stream_client.recording.sink import RecordingSink
from stream_client.sources.file import FileSource
from tests.support.relay import relay
from tests.support.video import picture, read_back, write_video

INFO = StreamInfo("test", 64, 48, Fraction(30))
NOON = datetime(2026, 3, 3, 12).timestamp()
PATTERN = "{stream}/%Y-%m-%d/%H-%M-%S.mp4"


def frames(count: int, first: int = 0, *, every: float = 1 / 30) -> Iterator[Result]:
    for index in range(first, first + count):
        image = picture(index)
        yield Result(Frame(index, round(index * every * 1e6), image, time.monotonic()), image, time=index * every)


def recording(
    folder: Path,
    wall: Callable[[], float] = lambda: NOON,
    pattern: str = PATTERN,
    *,
    segment: str = "1s",
    keep_for: str | None = None,
    keep_size: str | None = None,
) -> RecordingSink:
    given = RecordingOptions(segment, keep_for, keep_size)
    return RecordingSink(str(folder / pattern), given, video=SinkOptions(quality=40), stream="door", wall=wall)


def record(sink: RecordingSink, results: Iterator[Result], info: StreamInfo = INFO) -> None:
    sink.open(info)
    try:
        for result in results:
            assert sink.write(result)
    finally:
        sink.close()


def labeled(result: Result, name: str) -> Result:
    return replace(result, label=Label(name, 0.9, {}))


def files(folder: Path) -> list[str]:
    """The videos, hidden ones included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mp4"))


def rows(folder: Path) -> list[tuple[str, float, float, int, int]]:
    with closing(sqlite3.connect(folder / FILE)) as database:
        return list(database.execute("SELECT path, begin, end, frames, bytes FROM segments ORDER BY id"))


def test_files_are_cut_at_the_clock_and_each_is_whole(tmp_path: Path) -> None:
    sink = recording(tmp_path, lambda: NOON + 0.5)
    record(sink, frames(90))
    folder = tmp_path / "door"
    names = [f"2026-03-03/12-00-0{second}.mp4" for second in range(4)]
    assert files(folder) == names
    written = [read_back(folder / name) for name in names]
    assert [len(each) for each in written] == [15, 30, 30, 15]
    assert sink.kept == 90
    for each in written:
        assert [moment for moment, _ in each] == pytest.approx([index / 30 for index in range(len(each))], abs=1e-3)
    for number, (_, image) in enumerate(frame for each in written for frame in each):
        assert np.abs(image.astype(int) - picture(number)).mean() < 12
    assert [row[0] for row in rows(folder)] == names
    assert [row[1] - NOON for row in rows(folder)] == pytest.approx([0.5, 1, 2, 3], abs=1e-3)
    assert [row[2] - NOON for row in rows(folder)] == pytest.approx([1, 2, 3, 3.5], abs=1e-3)
    assert [row[4] for row in rows(folder)] == [(folder / name).stat().st_size for name in names]


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("pcm_u8", ".mp4"), ("libopus", ".webm")])
def test_sound_goes_on_across_cuts(tmp_path: Path, codec: str, suffix: str) -> None:
    source = write_video(tmp_path / "in.mkv", frames=90, audio=codec)
    sink = recording(tmp_path, pattern=f"%Y-%m-%d/%H-%M-%S{suffix}")
    relay(FileSource(source), sink)
    parts = sorted((tmp_path / "2026-03-03").iterdir())
    assert len(parts) == 3
    seconds = []
    for part in parts:
        with av.open(str(part)) as container:
            seconds.append(sum(frame.samples for frame in container.decode(audio=0)) / 48_000)
    assert seconds == pytest.approx([1, 1, 1], abs=0.06)
    assert sum(seconds) == pytest.approx(3, abs=0.1)


def test_the_oldest_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    record(recording(tmp_path), frames(150))
    sizes = [row[4] for row in rows(tmp_path / "door")]
    sink = recording(tmp_path, lambda: NOON + 86_400, keep_size=f"{sum(sizes[-3:]) + 100}")
    record(sink, frames(45))
    kept = files(tmp_path / "door")
    assert kept[-2:] == ["2026-03-04/12-00-00.mp4", "2026-03-04/12-00-01.mp4"]
    assert sum((tmp_path / "door" / name).stat().st_size for name in kept) <= sum(sizes[-3:]) + 100
    assert [row[0] for row in rows(tmp_path / "door")] == kept
    assert sink.kept == 45


def test_a_size_below_one_segment_is_said_and_the_newest_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(recording(tmp_path, keep_size="1KB"), frames(90))
    assert files(tmp_path / "door") == ["2026-03-03/12-00-02.mp4"]
    assert [record.message for record in caplog.records if "only the newest" in record.message]


def test_what_is_too_old_goes_with_its_folder(tmp_path: Path) -> None:
    record(recording(tmp_path), frames(60))
    sink = recording(tmp_path, lambda: NOON + 86_400, keep_for="1h")
    sink.open(INFO)
    assert not (tmp_path / "door" / "2026-03-03").exists()
    assert rows(tmp_path / "door") == []
    sink.close()


def test_a_clock_that_is_put_back_overwrites_nothing(tmp_path: Path) -> None:
    clock = NOON
    sink = recording(tmp_path, lambda: clock)
    sink.open(StreamInfo("camera", 64, 48, Fraction(30), live=True))
    for index, result in enumerate(frames(6)):
        clock = NOON + (0.2, 0.5, 1.2, 0.2, 0.5, 1.2)[index]
        sink.write(result)
    sink.close()
    counts = {name: len(read_back(tmp_path / "door" / name)) for name in files(tmp_path / "door")}
    assert sum(counts.values()) == 6
    assert set(counts) >= {"2026-03-03/12-00-00.mp4", "2026-03-03/12-00-00_2.mp4", "2026-03-03/12-00-01.mp4"}


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_comes_twice_in_autumn_has_two_files(tmp_path: Path) -> None:
    start = datetime(2026, 10, 25, 0, 0, tzinfo=timezone.utc).timestamp()  # 2:00, and again at 1:00 of UTC
    sink = recording(tmp_path, lambda: start, "%Y-%m-%d/%H-%M.mp4", segment="30m")
    record(sink, frames(24, every=300))
    names = ["02-00.mp4", "02-00_2.mp4", "02-30.mp4", "02-30_2.mp4"]
    assert files(tmp_path) == [f"2026-10-25/{name}" for name in names]


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.client.recording.test_recording import INFO, frames, recording
sink = recording(Path(sys.argv[1]))
sink.open(INFO)
for result in frames(int(sys.argv[2])):
    sink.write(result)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("count", [45, 31])
def test_what_a_killed_process_has_left_is_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path), str(count)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "door"
    assert len(files(folder)) == 2  # the second one is hidden
    sink = recording(tmp_path, lambda: NOON + 60)
    record(sink, frames(3))
    assert not list(folder.rglob(".*.mp4"))
    told = [record.message for record in caplog.records if "not finished" in record.message]
    assert len(told) == 1
    names = [row[0] for row in rows(folder)]
    assert files(folder) == names
    assert sum(row[3] for row in rows(folder)) == sum(len(read_back(folder / name)) for name in names)
    if count == 45:
        assert rows(folder)[1][3] >= 10
        assert b"moof" not in (folder / names[1]).read_bytes()


@pytest.fixture
def small_files() -> Iterator[None]:
    """As on a full disk: no file may grow beyond 200 kB."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_an_error_and_what_was_written_is_kept(tmp_path: Path) -> None:
    options = RecordingOptions(segment="1h")
    sink = RecordingSink(tmp_path / "%Y-%m-%d-%H.mp4", options, video=SinkOptions(quality=0), wall=lambda: NOON)
    noise = np.random.default_rng(0)

    def results() -> Iterator[Result]:
        for index in range(2000):
            image = noise.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            yield Result(Frame(index, 0, image, 0.0), image, time=index / 30)

    with pytest.raises(SinkError, match="failed: File too large"):
        record(sink, results())
    (row,) = rows(tmp_path)
    assert row[3] == sink.kept
    source = FileSource(tmp_path / row[0])  # it takes a last frame that is cut off
    source.open()
    assert sum(1 for _ in iter(source.read, None)) >= row[3] - 1 > 5
    source.close()


def test_a_stream_is_recorded_by_one_run_at_a_time(tmp_path: Path) -> None:
    first, second = recording(tmp_path), recording(tmp_path)
    first.open(INFO)
    with pytest.raises(SinkError, match=r"'door' is being recorded by another run.*\(stream_name\)"):
        second.open(INFO)
    second.close()
    first.close()
    second.open(INFO)
    second.close()


def test_an_index_that_is_removed_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The segment that is open, and the labels that last, are in the new one, beside those of another stream."""
    sink, other = recording(tmp_path, pattern="%Y-%m-%d/%H-%M-%S.mp4"), RecordingIndex(tmp_path)
    sink.open(INFO)
    for result in frames(20):
        sink.write(labeled(result, "falling"))
    (tmp_path / FILE).unlink()
    other.label("hall", "standing", NOON, NOON + 1, 0.5)
    other.finish(other.begin("hall", tmp_path / "hall.mp4", NOON), NOON + 1, 30, 1000)
    for result in frames(20, 20):
        sink.write(labeled(result, "falling"))
    sink.close()
    other.close()
    assert [(path, frames) for path, _, _, frames, _ in rows(tmp_path)] == [
        ("hall.mp4", 30),
        ("2026-03-03/12-00-00.mp4", 30),
        ("2026-03-03/12-00-01.mp4", 10),
    ]
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        spans = list(database.execute("SELECT stream, label, end > begin FROM labels ORDER BY stream"))
    assert spans == [("door", "falling", 1), ("hall", "standing", 1)]
    said = [record.getMessage() for record in caplog.records if "was removed: it is made again" in record.getMessage()]
    assert len(said) == 2  # once by each that had it open


def test_a_full_disk_is_said_with_a_remedy(tmp_path: Path) -> None:
    index = RecordingIndex(tmp_path)
    index._database.execute("PRAGMA max_page_count = 1")

    def fill() -> None:
        for number in range(1000):
            index.label("door", "falling" * 100, NOON + number, NOON + number, 1.0)

    with pytest.raises(SinkError, match=r"index\.sqlite: database or disk is full: make room there.*keep_size"):
        fill()
    index.close()


def test_an_index_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "door").mkdir()
    (tmp_path / "door" / FILE).write_bytes(b"no database at all" * 100)
    sink = recording(tmp_path)
    with pytest.raises(SinkError, match=r"index\.sqlite: file is not a database: move it away"):
        sink.open(INFO)
    sink.close()


@pytest.mark.parametrize(
    ("pattern", "options", "problem"),
    [
        ("out.mp4", {}, "has no time fields"),
        ("%Y-%m-%d/%H-%M.mp4", {"segment": "10s"}, "both have the name"),
        ("%H-%M.mp4", {"segment": "10m"}, "both have the name"),
        ("%d/%H-%M.mp4", {"segment": "10m"}, "both have the name"),
        ("%Y-%m-%d/%I-%M.mp4", {"segment": "10m"}, "both have the name"),
        ("%Y-%m-%d/%M.mp4", {"segment": "7m"}, "both have the name"),
        ("%Y-%m-%d/%H-%M-%S.avi", {}, "unknown extension"),
        ("{strem}/%Y-%m-%d/%H-%M-%S.mp4", {}, r"\{strem\} is no field: \{stream\} is the only one"),
        (PATTERN, {"segment": "2d"}, "out of range: 1s to 1d"),
        (PATTERN, {"segment": "0s"}, "no duration"),
        (PATTERN, {"segment": "ten"}, "no duration"),
        (PATTERN, {"segment": "10m", "keep_for": "9m"}, "shorter than one segment"),
        (PATTERN, {"keep_size": "1 football"}, "no size"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    tmp_path: Path, pattern: str, options: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        recording(tmp_path, pattern=pattern, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_quota_without_segments_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="recording in segments"):
        RecordingOptions(keep_for="14d")
