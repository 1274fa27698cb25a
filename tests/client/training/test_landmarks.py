"""Landmarks for training, found by a real graph server."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream_client.errors import ConnectError, SourceCodecError, SourceError, SourceNotFoundError
from stream_client.training.landmarks import GraphServerLandmarks
from tests.support.video import write_video


@pytest.fixture(scope="module")
def finder(models_dir: Path) -> Iterator[GraphServerLandmarks]:
    with GraphServerLandmarks(models_dir=models_dir) as landmarks:
        yield landmarks


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_landmarks_of_a_clip_are_found_once(finder: GraphServerLandmarks, clip: Path, cache: Path) -> None:
    track = finder(clip)
    assert track.landmarks.shape == (30, 75, 3)
    assert track.person(0) is None  # a test pattern, nobody in it
    assert np.array_equal(track.timestamps, np.round(np.arange(30) * 1e6 / 30).astype(np.int64))
    with GraphServerLandmarks(models_dir=Path("nowhere")) as no_server:
        assert np.array_equal(no_server(clip).timestamps, track.timestamps)
    assert not list(cache.rglob(".part-*"))


def test_a_photo_that_may_not_be_read_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str = "r") -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / "a.jpg").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with (
        GraphServerLandmarks(models_dir=Path("nowhere")) as landmarks,
        pytest.raises(SourceError, match=r"cannot read .*a\.jpg: Permission denied"),
    ):
        landmarks(tmp_path / "a.jpg")


def test_landmarks_of_a_slower_stream_are_found_in_its_frames_alone(finder: GraphServerLandmarks, clip: Path) -> None:
    assert finder(clip, 4).timestamps.tolist() == [round(index * 1e6 / 30) for index in range(0, 30, 4)]


def test_of_a_fast_clip_as_many_frames_are_taken_as_are_learnt_from(models_dir: Path, clip: Path) -> None:
    with GraphServerLandmarks(models_dir=models_dir, rate=15) as finder:
        assert finder(clip).timestamps.tolist() == [round(index * 1e6 / 30) for index in range(0, 30, 2)]
        assert finder(clip, 3).timestamps.tolist() == [round(index * 1e6 / 30) for index in range(0, 30, 6)]


def test_time_begins_with_the_clip_whatever_its_container_counts_from(
    finder: GraphServerLandmarks, tmp_path: Path
) -> None:
    recording = write_video(tmp_path / "clip.ts", frames=5, rate=10)  # MPEG-TS begins at 1.4 s
    assert finder(recording).timestamps.tolist() == [0, 100_000, 200_000, 300_000, 400_000]


def test_what_is_no_video_is_said_to_be_none(finder: GraphServerLandmarks, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        finder(tmp_path / "absent.mp4")
    path = tmp_path / "text.mp4"
    path.write_text("{}")
    with pytest.raises(SourceCodecError, match=r"is not a video that can be read: [^()]*$"):
        finder(path)


def test_without_hands_a_person_has_a_pose_alone(finder: GraphServerLandmarks, person: Path) -> None:
    track = finder(person, 4)
    assert not np.isnan(track.landmarks[:, :33]).all()
    assert np.isnan(track.landmarks[:, 33:]).all()


def test_clips_are_prepared_several_at_once_and_a_broken_one_is_left_for_later(
    finder: GraphServerLandmarks, clip: Path, cache: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    clips = [write_video(tmp_path / f"{size}.mp4", frames=6, width=size) for size in (48, 64, 80)]
    finder.prepare([broken, *clips], lambda track: (len(track.timestamps) // 2,))
    assert len(list(cache.rglob("*.npz"))) == 6  # all frames, and every third, of each that can be read
    with GraphServerLandmarks(models_dir=Path("nowhere")) as no_server:
        assert [len(no_server(path, every).timestamps) for path in clips for every in (1, 3)] == [6, 2] * 3
    with pytest.raises(SourceCodecError):
        finder.prepare([broken], lambda track: (), strict=True)


def test_an_interrupt_ends_what_is_prepared(models_dir: Path, tmp_path: Path, cache: Path) -> None:
    clips = [write_video(tmp_path / f"{size}.mp4", frames=2000, width=size) for size in (48, 64)]

    def interrupted() -> None:
        while sum(thread.name == "sender" for thread in threading.enumerate()) < min(2, os.cpu_count() or 1):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def threads() -> list[str]:
        return sorted(thread.name for thread in threading.enumerate() if thread.name != "tqdm_monitor")

    before = threads()
    killer = threading.Thread(target=interrupted)
    with GraphServerLandmarks(models_dir=models_dir) as landmarks:
        killer.start()
        with pytest.raises(KeyboardInterrupt):
            landmarks.prepare(clips, lambda track: ())
        killer.join()
        assert not any("clip_" in thread.name for thread in threading.enumerate())
    assert threads() == before
    for kept in cache.rglob("*.npz"):  # on a busy machine, a clip may end before it is interrupted
        with np.load(kept) as arrays:
            assert len(arrays["timestamps"]) == 2000


def test_a_server_that_does_not_start_is_quoted_in_one_line(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    landmarks = GraphServerLandmarks(models_dir=tmp_path / "file" / "models")
    with pytest.raises(ConnectError, match="--models_dir") as caught, landmarks:
        landmarks(clip)
    assert "\n" not in str(caught.value)
