"""Sources on real videos."""

import re
import threading
import traceback
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.errors import (
    ConfigurationError,
    SourceCodecError,
    SourceError,
    SourceNotFoundError,
)
from stream_client.frames import Frame
from stream_client.sources.base import Source
from stream_client.sources.camera import camera_error, camera_input, is_camera
from stream_client.sources.factory import open_source
from stream_client.sources.feed import LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.file import FileSource
from stream_client.sources.live import LiveSource
from stream_client.sources.network import network_source
from stream_client.sources.options import SourceOptions
from stream_client.util.redact import redact
from tests.support.video import picture, write_video


def _frames(source: Source) -> list[Frame]:
    source.open()
    try:
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
        return frames
    finally:
        source.close()


def test_a_file_gives_every_frame_with_its_time(clip: Path) -> None:
    source = FileSource(clip)
    info = source.open()
    source.close()
    assert (info.width, info.height, info.frame_rate, info.live, info.frame_count) == (64, 48, Fraction(30), False, 30)
    frames = _frames(FileSource(clip))
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.timestamp for frame in frames] == [round(index * 1e6 / 30) for index in range(30)]
    assert abs(int(frames[7].image[30, 30, 0]) - int(picture(7)[30, 30, 0])) < 12


def test_variable_frame_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5, 0.6]
    frames = _frames(FileSource(write_video(tmp_path / "vfr.mp4", frames=5, times=times)))
    assert [frame.timestamp / 1e6 for frame in frames] == pytest.approx(times, abs=1e-4)


@pytest.mark.parametrize(("degrees", "shape"), [(90, (64, 48, 3)), (180, (48, 64, 3)), (270, (64, 48, 3))])
def test_rotated_files_come_upright(tmp_path: Path, degrees: int, shape: tuple[int, ...]) -> None:
    import subprocess

    plain = write_video(tmp_path / "plain.mp4", frames=2)
    turned = tmp_path / "turned.mp4"
    ffmpeg = ("ffmpeg", "-v", "error", "-i")
    subprocess.run([*ffmpeg, plain, "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", turned], check=True)
    upright = tmp_path / "upright.png"
    subprocess.run(["ffmpeg", "-v", "error", "-i", turned, "-frames:v", "1", upright], check=True)
    with av.open(str(upright)) as container:
        expected = next(container.decode(video=0)).to_ndarray(format="rgb24")
    image = _frames(FileSource(turned))[0].image
    assert image.shape == shape
    assert np.abs(image.astype(int) - expected).mean() < 6


def test_a_loop_goes_on_with_rising_timestamps(clip: Path) -> None:
    source = FileSource(clip, loop=True)
    source.open()
    frames = [source.read() for _ in range(70)]
    source.close()
    timestamps = [frame.timestamp for frame in frames if frame is not None]
    assert len(timestamps) == 70
    assert timestamps == sorted(set(timestamps))
    assert timestamps[30] - timestamps[29] == 33_333


def test_a_real_time_file_is_live_and_can_be_interrupted(clip: Path) -> None:
    source = FileSource(clip, realtime=True)
    info = source.open()
    first = source.read()
    assert info.live
    assert first is not None
    assert first.timestamp >= info.start > 1_600_000_000_000_000
    threading.Timer(0.05, source.interrupt).start()
    while source.read() is not None:
        pass
    source.close()


def test_a_truncated_file_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", frames=60)
    data = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    frames = _frames(FileSource(tmp_path / "cut.mkv"))
    assert 10 < len(frames) < 60


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_file_whose_first_frame_is_late_has_not_ended_early(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / f"late.{suffix}", frames=30, times=[3 + index / 30 for index in range(30)])
    assert len(_frames(FileSource(path))) == 30
    assert not caplog.records


@pytest.mark.parametrize(
    ("suffix", "told"), [("mp4", "packets cannot be decoded"), ("mkv", "ended after .* s of the 4.0 s")]
)
def test_damage_inside_a_file_is_told_and_what_can_be_read_is(
    suffix: str, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_video(tmp_path / f"damaged.{suffix}", frames=120, width=320, height=240)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(data)
    frames = _frames(FileSource(path))
    assert 0 < len(frames) < 120
    assert re.search(told, caplog.text)
    if suffix == "mp4":  # its index leads past the damage
        assert frames[-1].timestamp > 3_900_000


def test_a_whole_file_is_no_cause_for_warnings(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(_frames(FileSource(clip))) == 30
    assert caplog.text == ""


def test_unusable_files_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    cases = [
        ("missing.mp4", SourceNotFoundError, "does not exist"),
        (".", SourceError, "is a folder"),
        ("empty.mp4", SourceCodecError, "not a video"),
        ("text.mp4", SourceCodecError, "not a video"),
        ("sound.m4a", SourceCodecError, "no video stream"),
    ]
    for name, kind, text in cases:
        source = FileSource(tmp_path / name)
        with pytest.raises(kind, match=text) as caught:
            source.open()
        source.close()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("spec", "camera"), [("0", True), ("12", True), ("webcam", True), ("/dev/video3", True)])
def test_cameras_are_told_from_files(spec: str, camera: bool) -> None:
    assert is_camera(spec) is camera


@pytest.mark.parametrize("spec", ["0.mp4", "video0", "rtsp://host/0", "a/1"])
def test_other_sources_are_not_cameras(spec: str) -> None:
    assert not is_camera(spec)


def test_a_camera_that_is_not_there_is_one_clear_line() -> None:
    source = open_source("97")
    with pytest.raises(SourceNotFoundError, match=r"camera 97 \(/dev/video97\) is not there; cameras found: "):
        source.open()
    source.close()


def test_camera_options_go_to_the_device() -> None:
    live = camera_input("2", width=1280, height=720, frame_rate=25)
    assert live.options == {"video_size": "1280x720", "framerate": "25"}
    with pytest.raises(ConfigurationError, match="go together"):
        camera_input("2", width=1280)


def test_a_capture_device_is_read_live() -> None:
    device = LiveInput("test pattern", "testsrc=size=64x48:rate=100", "lavfi")
    source = LiveSource(FfmpegFeed(device, camera_error))
    info = source.open()
    frames = [source.read() for _ in range(5)]
    source.close()
    timestamps = [frame.timestamp for frame in frames if frame is not None]
    assert (info.live, info.width, info.height) == (True, 64, 48)
    assert timestamps == sorted(set(timestamps))
    assert timestamps[0] > 1_600_000_000_000_000


def test_a_capture_device_that_ends_is_the_end() -> None:
    device = LiveInput("short", "testsrc=size=64x48:rate=100:duration=0.05", "lavfi")
    source = LiveSource(FfmpegFeed(device, camera_error))
    frames = _frames(source)
    assert 1 <= len(frames) <= 5


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http"])
def test_a_stream_that_nobody_serves_is_one_line_and_even_its_traceback_hides_the_password(scheme: str) -> None:
    source = network_source(f"{scheme}://user:geheim@127.0.0.1:9/x", timeout=2, reconnect_timeout=0)
    with pytest.raises(SourceError, match=rf"{scheme}://\*\*\*@127.0.0.1:9/x") as caught:
        source.open()
    source.close()
    assert "geheim" not in "".join(traceback.format_exception(caught.value))


def test_credentials_are_redacted_in_any_text() -> None:
    text = redact("opening rtsp://me:pa:ss@host:554/a?b=c failed, http://plain/ did not")
    assert text == "opening rtsp://***@host:554/a?b=*** failed, http://plain/ did not"


def test_a_file_may_be_called_like_a_protocol(tmp_path: Path) -> None:
    source = FileSource(write_video(tmp_path / "http:a.mp4", frames=2))
    assert source.open().frame_count == 2
    source.close()


def test_a_live_source_that_is_to_be_paced_is_live_already(caplog: pytest.LogCaptureFixture) -> None:
    assert open_source("testsrc", SourceOptions(realtime=True)).open().live
    assert "testsrc has a pace of its own already: realtime is for files" in caplog.messages
