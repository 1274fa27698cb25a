"""What is read as a file and what as a live stream, over real HTTP servers and pipes."""

import io
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stream_client.errors import SourceError
from stream_client.frames import Frame, StreamInfo
from stream_client.sinks.video_file import FileSink
from stream_client.sources.base import Source
from stream_client.sources.factory import open_source
from stream_client.sources.file import FileSource
from stream_client.sources.network import network_source
from tests.support.relay import relay
from tests.support.video import picture, read_back, write_video
from tests.support.web_streams import WebStreams, at_once, mjpeg, paced

PERIOD = 33_333


def read_all(source: Source, pause: float = 0.0) -> tuple[StreamInfo, list[Frame]]:
    info = source.open()
    try:
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
            time.sleep(pause)
        return info, frames
    finally:
        source.close()


def ffmpeg(*arguments: object) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def assert_whole(frames: list[Frame], count: int, rate: int = 30) -> None:
    assert [frame.index for frame in frames] == list(range(count))
    times = [frame.timestamp for frame in frames]
    assert times == pytest.approx([index * 1e6 / rate for index in range(count)], abs=20)


def assert_paced(frames: list[Frame]) -> None:
    """They came in one burst, and are given at the pace of their timestamps, also on a busy machine."""
    first, last = frames[0], frames[-1]
    wanted = (last.index - first.index) * PERIOD / 1e6
    assert len(frames) == 60
    assert last.captured - first.captured > 0.8 * wanted
    assert (last.timestamp - first.timestamp) / 1e6 == pytest.approx(wanted, abs=1.0)
    assert all(after.timestamp - before.timestamp > 1000 for before, after in pairwise(frames))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_video(tmp_path / "v.mp4", frames=90, audio="aac")
    ffmpeg("-i", tmp_path / "v.mp4", "-c", "copy", tmp_path / "v.ts")
    hls = ("-c", "copy", "-hls_time", "1", "-hls_segment_filename", tmp_path / "part%d.ts")
    ffmpeg("-i", tmp_path / "v.mp4", *hls, "-hls_playlist_type", "vod", tmp_path / "recorded.m3u8")
    return tmp_path


@pytest.mark.parametrize("name", ["v.mp4", "v.ts", "recorded.m3u8"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_recording_behind_http_is_read_like_a_file_however_slow_the_reader(
    folder: Path, name: str, ranges: bool
) -> None:
    with WebStreams(folder, ranges=ranges) as server:
        info, frames = read_all(network_source(server.url(name), reconnect_timeout=0), pause=0.005)
    assert (info.live, info.start) == (False, 0)
    assert_whole(frames, 90)


@pytest.mark.parametrize("name", ["v.mp4", "v.ts"])
def test_a_server_that_closes_connections_without_saying_so_costs_no_frame(folder: Path, name: str) -> None:
    with WebStreams(folder, protocol="HTTP/1.1") as server:
        _, frames = read_all(network_source(server.url(name), timeout=5))
    assert_whole(frames, 90)


def test_a_recording_whose_server_does_not_say_its_length_has_an_end(folder: Path) -> None:
    ffmpeg("-i", folder / "v.mp4", "-c", "copy", "-movflags", "faststart", folder / "front.mp4")
    streams = {"front": at_once((folder / "front.mp4").read_bytes(), "video/mp4")}
    with WebStreams(folder, streams) as server:
        info, frames = read_all(network_source(server.url("front"), timeout=5, reconnect_timeout=5))
    assert not info.live
    assert_whole(frames, 90)


def test_a_recording_that_breaks_off_is_continued_without_a_frame_twice(folder: Path) -> None:
    with WebStreams(folder) as server:
        size = (folder / "v.ts").stat().st_size
        server.cuts = [size // 2, size // 4]
        _, frames = read_all(network_source(server.url("v.ts"), timeout=5))
    assert_whole(frames, 90)


def test_a_recording_is_read_from_its_start_after_a_loss_and_old_frames_are_left_out(folder: Path) -> None:
    with WebStreams(folder, ranges=False) as server:
        server.cuts = [(folder / "v.ts").stat().st_size // 2]
        _, frames = read_all(network_source(server.url("v.ts"), timeout=5, reconnect_timeout=20))
    assert_whole(frames, 90)


def test_a_local_playlist_is_a_file(folder: Path) -> None:
    info, frames = read_all(open_source(folder / "recorded.m3u8"))
    assert not info.live
    assert_whole(frames, 90)


def test_a_live_playlist_is_paced_by_its_timestamps(folder: Path) -> None:
    playlist = (folder / "recorded.m3u8").read_text().replace("#EXT-X-ENDLIST", "").replace("VOD", "EVENT")
    (folder / "live.m3u8").write_text(playlist)
    with WebStreams(folder) as server:
        source = network_source(server.url("live.m3u8"), timeout=5)
        info = source.open()
        frames = [source.read() for _ in range(60)]
        source.close()
    assert info.live
    assert info.start > 1_600_000_000_000_000
    assert_paced([frame for frame in frames if frame is not None])


@pytest.mark.parametrize("name", ["v.mp4", "recorded.m3u8"])
def test_the_sound_of_a_recording_behind_http_comes_along(folder: Path, name: str) -> None:
    out = folder / "out.mp4"
    with WebStreams(folder) as server:
        relay(network_source(server.url(name), reconnect_timeout=0), FileSink(out))
    assert sound_seconds(out) == pytest.approx(3.0, abs=0.1)


def test_the_sound_of_a_live_stream_comes_along_in_step(folder: Path) -> None:
    out = folder / "out.mkv"
    with WebStreams(folder, {"live.ts": at_once((folder / "v.ts").read_bytes())}) as server:
        times = relay(network_source(server.url("live.ts"), timeout=5, reconnect_timeout=0), FileSink(out), limit=60)
    assert times[0] == 0
    assert sound_seconds(out) == pytest.approx(times[-1], abs=0.6)


def test_the_sound_of_a_live_stream_goes_on_after_a_loss(folder: Path) -> None:
    out = folder / "out.mkv"
    with WebStreams(folder, {"live.ts": at_once((folder / "v.ts").read_bytes())}) as server:
        times = relay(network_source(server.url("live.ts"), timeout=5), FileSink(out), limit=150)
    assert sound_seconds(out) == pytest.approx(times[-1], abs=1.0)


def jpegs(count: int) -> list[bytes]:
    made = []
    for index in range(count):
        buffer = io.BytesIO()
        Image.fromarray(picture(index)).save(buffer, "JPEG")
        made.append(buffer.getvalue())
    return made


@pytest.mark.parametrize("rate", [5, 40])
def test_an_mjpeg_camera_has_the_times_of_arrival(tmp_path: Path, rate: int) -> None:
    count = 3 * rate
    with WebStreams(tmp_path, {"cam": mjpeg(jpegs(count), rate)}) as server:
        source = network_source(server.url("cam"), timeout=5, reconnect_timeout=0)
        info = source.open()
        frames = [source.read() for _ in range(count // 2)]
        source.close()
    assert info.live
    got = [frame for frame in frames if frame is not None]
    assert all(
        abs((after.timestamp - before.timestamp) / 1e6 - (after.captured - before.captured)) < 0.03
        for before, after in pairwise(got)
    )


@pytest.mark.parametrize(("codec", "name", "rate"), [("libx264", "cam.h264", 10), ("libx265", "cam.hevc", 40)])
def test_raw_video_has_the_times_of_arrival_also_of_frames_from_before_it_was_open(
    tmp_path: Path, codec: str, name: str, rate: int
) -> None:
    """FFmpeg makes 25 frames a second up for it, and reads some 50 frames before it gives the first."""
    count = 70
    raw = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240", "-frames:v", count, "-c:v", codec, "-preset", "ultrafast",
           "-tune", "zerolatency", raw)  # fmt: skip
    with av.open(str(raw)) as container:
        units = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    sent: list[float] = []
    with WebStreams(tmp_path, {"live": ("video/h264", paced(units, rate, sent))}) as server:
        source = network_source(server.url("live"), timeout=10, reconnect_timeout=0)
        source.keep_all()
        info = source.open()
        # The last one is complete only when the next begins.
        times = [frame.timestamp for frame in (source.read() for _ in range(count - 2)) if frame is not None]
        source.close()
    assert (info.live, info.frame_rate, len(times)) == (True, None, count - 2)
    assert all(after > before for before, after in pairwise(times))
    left = sent[-count:-2]  # of the connection that was read, if there was one before
    assert [(time - times[0]) / 1e6 for time in times] == pytest.approx([each - left[0] for each in left], abs=0.5)


def test_a_block_policy_keeps_every_frame_of_a_live_stream(tmp_path: Path) -> None:
    with WebStreams(tmp_path, {"cam": mjpeg(jpegs(60), 200)}) as server:
        source = network_source(server.url("cam"), timeout=5, reconnect_timeout=0)
        source.keep_all()
        source.open()
        frames: list[Frame] = []

        def read_slowly() -> None:
            for frame in iter(source.read, None):
                frames.append(frame)
                time.sleep(0.02)

        with pytest.raises(SourceError):  # a camera that ends is lost
            read_slowly()
        source.close()
    assert [frame.index for frame in frames] == list(range(60))


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Path]:
    """A FIFO into which another process writes a transport stream of 100 frames with sound."""
    write_video(tmp_path / "in.ts", frames=100, rate=25, audio="aac")
    fifo = tmp_path / "fifo.ts"
    os.mkfifo(fifo)
    with subprocess.Popen(["dd", "status=none", f"if={tmp_path / 'in.ts'}", f"of={fifo}"]) as writer:
        yield fifo
        writer.kill()


def test_a_pipe_is_read_once_and_its_sound_comes_along(piped: Path, tmp_path: Path) -> None:
    relay(FileSource(piped), FileSink(tmp_path / "out.mp4"), FileSink(tmp_path / "second.mkv"))
    assert len(read_back(tmp_path / "out.mp4")) == len(read_back(tmp_path / "second.mkv")) == 100
    assert sound_seconds(tmp_path / "out.mp4") == pytest.approx(4.0, abs=0.1)
    assert sound_seconds(tmp_path / "second.mkv") == pytest.approx(4.0, abs=0.1)


def test_a_pipe_cannot_be_repeated(piped: Path) -> None:
    source = FileSource(piped, loop=True)
    with pytest.raises(SourceError, match="can be read once only"):
        source.open()
    source.close()
    read_all(FileSource(piped))


def test_a_pipe_that_nobody_writes_to_can_be_stopped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "quiet.ts")
    source = FileSource(tmp_path / "quiet.ts")
    threading.Timer(0.1, source.interrupt).start()
    with pytest.raises(SourceError, match="stopped"):
        source.open()
    source.close()
    with (tmp_path / "quiet.ts").open("wb"):  # lets the thread that waits for a writer end
        pass


def test_a_file_that_is_deleted_and_replaced_is_read_to_its_end_with_its_sound(tmp_path: Path) -> None:
    path = write_video(tmp_path / "in.mkv", frames=60, audio="aac")
    source = FileSource(path)
    original = source.open

    def open_and_replace() -> StreamInfo:
        found = original()
        path.unlink()
        write_video(path, frames=3)
        return found

    source.open = open_and_replace  # type: ignore[method-assign]
    assert len(relay(source, FileSink(tmp_path / "out.mp4"))) == 60
    assert sound_seconds(tmp_path / "out.mp4") == pytest.approx(2.0, abs=0.1)


def sound_seconds(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def test_the_cover_of_a_song_is_no_video(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "cover.png")
    song = tmp_path / "song.mp3"
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c:v", "copy",
           "-disposition:v", "attached_pic", song)  # fmt: skip
    source = FileSource(song)
    with pytest.raises(SourceError, match="no video stream"):
        source.open()
    source.close()


def test_a_stream_without_a_length_that_comes_at_once_is_paced_by_its_timestamps(folder: Path) -> None:
    with WebStreams(folder, {"live.ts": at_once((folder / "v.ts").read_bytes())}) as server:
        source = network_source(server.url("live.ts"), timeout=5, reconnect_timeout=0)
        info = source.open()
        frames = [frame for frame in (source.read() for _ in range(60)) if frame is not None]
        source.close()
    assert info.live
    assert_paced(frames)
