"""Sinks: real files, a real window."""

import json
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.errors import ConfigurationError, SinkError
from stream_client.frames import Frame, Label, Result, Stamps, StreamInfo
from stream_client.sinks.base import Sink
from stream_client.sinks.labels import LabelsSink
from stream_client.sinks.screen import ScreenSink
from stream_client.sinks.video_file import FileSink
from stream_client.sources.file import FileSource
from tests.support.display import screenshot, virtual_display
from tests.support.relay import relay, result_of
from tests.support.video import picture, read_back, write_video

INFO = StreamInfo("test", 64, 48, Fraction(30))


def result(
    index: int, time: float | None = None, width: int = 64, height: int = 48, label: Label | None = None
) -> Result:
    seconds = index / 30 if time is None else time
    image = picture(index, width, height)
    frame = Frame(index, round(seconds * 1e6), image, 1.0)
    return Result(frame, image, label, {}, seconds, Stamps(captured=1.0, delivered=1.0412))


def _write(sink: Sink, results: list[Result], info: StreamInfo = INFO) -> None:
    sink.open(info)
    try:
        for one in results:
            assert sink.write(one)
    finally:
        sink.close()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".m4v", ".ts", ".webm"])
def test_a_file_plays_at_the_speed_of_its_source(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    _write(FileSink(path), [result(index) for index in range(30)])
    frames = read_back(path)
    assert [time for time, _ in frames] == pytest.approx([index / 30 for index in range(30)], abs=1e-3)
    with av.open(str(path)) as container:
        assert container.streams.video[0].base_rate == 30
        assert container.streams.video[0].codec_context.name == ("vp9" if suffix == ".webm" else "h264")
    assert np.abs(frames[9][1].astype(int) - picture(9)).mean() < 12


def test_a_fragmented_file_stays_in_fragments_and_an_ordinary_one_does_not(tmp_path: Path) -> None:
    results = [result(index) for index in range(150)]
    for name, fragmented in (("fragments.mp4", True), ("ordinary.mp4", False)):
        _write(FileSink(tmp_path / name, fragmented=fragmented), results)
        assert len(read_back(tmp_path / name)) == 150
    fragments = (tmp_path / "fragments.mp4").read_bytes()
    assert fragments.index(b"moov") < fragments.index(b"moof") < fragments.index(b"mdat")
    assert fragments.count(b"moof") > 2
    assert b"stts" in (tmp_path / "ordinary.mp4").read_bytes()[-20_000:]


def test_variable_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5]
    _write(FileSink(tmp_path / "out.mp4"), [result(index, time) for index, time in enumerate(times)])
    assert [time for time, _ in read_back(tmp_path / "out.mp4")] == pytest.approx(times, abs=1e-3)


def test_odd_sizes_can_be_written(tmp_path: Path) -> None:
    _write(FileSink(tmp_path / "out.mp4"), [result(index, width=63, height=47) for index in range(3)])
    assert read_back(tmp_path / "out.mp4")[0][1].shape == (48, 64, 3)


def test_a_changed_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    _write(FileSink(tmp_path / "out.mp4"), [result(0), result(1, width=128, height=96)])
    assert [image.shape for _, image in read_back(tmp_path / "out.mp4")] == [(48, 64, 3)] * 2


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mkv", ".ts", ".webm"])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "pcm_s16le", "pcm_u8"])
def test_audio_is_carried_over(tmp_path: Path, codec: str, suffix: str) -> None:
    source = write_video(tmp_path / "in.mkv", audio=codec)
    path = tmp_path / f"out{suffix}"
    relay(FileSource(source), FileSink(path))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        seconds = sum(frame.samples for frame in container.decode(stream)) / 48_000
    assert seconds == pytest.approx(1.0, abs=0.08)
    assert [time for time, _ in read_back(path)] == pytest.approx([index / 30 for index in range(30)], abs=1e-3)


def test_audio_that_begins_late_stays_with_its_pictures(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", audio="pcm_u8", audio_start=0.5)
    relay(FileSource(source), FileSink(tmp_path / "out.mkv"))
    with av.open(str(tmp_path / "out.mkv")) as container:
        first = next(container.decode(audio=0))
    assert first.pts is not None
    assert first.time_base is not None
    assert float(first.pts * first.time_base) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("frames", [6, 30, 75])
@pytest.mark.parametrize("audio", [None, "aac"])
def test_an_unfinished_file_is_playable_but_for_its_last_frames(tmp_path: Path, frames: int, audio: str | None) -> None:
    source = FileSource(write_video(tmp_path / "in.mkv", frames=120, audio=audio))
    sink = FileSink(tmp_path / "out.mp4")
    sink.open(source.open())
    for _ in range(frames):
        frame = result_of(source)
        assert frame is not None
        sink.write(frame)
    source.close()
    shutil.copy(tmp_path / "out.mp4", tmp_path / "killed.mp4")
    sink.close()
    assert len(read_back(tmp_path / "killed.mp4")) >= frames - 5
    assert len(read_back(tmp_path / "out.mp4")) == frames


def test_no_result_leaves_no_file(tmp_path: Path) -> None:
    _write(FileSink(tmp_path / "out.mp4"), [])
    assert not (tmp_path / "out.mp4").exists()


def test_paths_that_cannot_be_written_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown extension '\.avi'; \.mp4"):
        FileSink(tmp_path / "out.avi")
    for sink in (FileSink(tmp_path / "no" / "out.mp4"), LabelsSink(tmp_path / "no" / "labels.jsonl")):
        with pytest.raises(SinkError, match=r"cannot write .*No such file"):
            sink.open(INFO)
        sink.close()


def test_the_input_is_not_overwritten(clip: Path) -> None:
    sink = FileSink(clip)
    before = clip.read_bytes()
    with pytest.raises(SinkError, match="is the input as well"):
        sink.open(StreamInfo("clip", 64, 48, path=str(clip)))
    sink.close()
    assert clip.read_bytes() == before


@pytest.fixture
def small_files() -> Iterator[None]:
    """As on a full disk: no file may grow beyond 600 kB."""
    import signal

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_is_an_error_and_what_was_written_is_playable(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.mp4", quality=0)
    sink.open(INFO)
    noise = np.random.default_rng(0)

    def fill() -> None:
        for index in range(2000):
            image = noise.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            sink.write(Result(Frame(index, 0, image, 0.0), image, None, {}, index / 30))

    with pytest.raises(SinkError, match="failed"):
        fill()
    sink.close()
    source = FileSource(tmp_path / "out.mp4")
    source.open()
    count = 0
    while source.read() is not None:
        count += 1
    source.close()
    assert count > 50


def test_labels_are_one_json_object_a_line_and_flushed(tmp_path: Path) -> None:
    sink = LabelsSink(tmp_path / "labels.jsonl")
    sink.open(INFO)
    sink.write(result(0, label=Label("standing", 0.97, {"standing": 0.97, "plank": 0.03})))
    first = json.loads((tmp_path / "labels.jsonl").read_text())
    sink.write(result(1))
    sink.close()
    second = json.loads((tmp_path / "labels.jsonl").read_text().splitlines()[1])
    assert first == {
        "frame": 0,
        "time": 0.0,
        "label": "standing",
        "score": 0.97,
        "scores": {"standing": 0.97, "plank": 0.03},
        "latency_ms": 41.2,
    }
    assert (second["label"], second["score"], second["scores"]) == (None, None, None)
    assert second["time"] == pytest.approx(1 / 30, abs=1e-6)


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A virtual screen."""
    with virtual_display("320x240x24") as name:
        monkeypatch.setenv("DISPLAY", name)
        monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
        yield name


@pytest.mark.usefixtures("display")
def test_the_screen_shows_the_picture_and_a_key_ends_it(tmp_path: Path) -> None:
    sink = ScreenSink("a window")
    sink.open(StreamInfo("test", 160, 120))
    shown = result(20, width=160, height=120)
    for _ in range(5):
        assert sink.write(shown)
        time.sleep(0.05)
    screen = screenshot(tmp_path / "screen.png")
    colors = {tuple(pixel) for pixel in screen.reshape(-1, 3)[::7].tolist()}
    assert (80, 120, 200) in colors
    # Without a window manager the keys go to the window under the pointer.
    subprocess.run(["xdotool", "mousemove", "60", "60", "sleep", "0.2", "key", "q"], check=True)
    answers = []
    for _ in range(40):
        answers.append(sink.write(shown))
        if not answers[-1]:
            break
        time.sleep(0.05)
    sink.close()
    assert answers[-1] is False


def test_without_a_display_the_error_names_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    sink = ScreenSink()
    with pytest.raises(SinkError, match=r"no display.*\(sinks.*\)$"):
        sink.open(INFO)
    sink.close()
