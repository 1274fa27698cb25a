"""Live outputs that take what a file encodes: real files, real encoders."""

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client import RunOptions, StreamClient
from stream_client.errors import SinkError
from stream_client.frames import Frame, Image, Result, StreamInfo
from stream_client.publishing.encoder import PyavEncoder
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.leading import FollowingTap
from stream_client.publishing.options import SinkOptions
from stream_client.publishing.sharing import Tap, raw_frame
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.recording.options import RecordingOptions
from stream_client.recording.sink import RecordingSink
from stream_client.rtsp.h264 import parameter_sets, split_access_unit
from stream_client.sinks.factory import open_sink
from stream_client.sinks.video_file import FileSink
from stream_client.testing import echo
from stream_client.util.media import written_shape
from tests.support.rtsp_server import RtspServer
from tests.support.video import picture, read_back

INFO = StreamInfo("test", 64, 48, Fraction(30))


def result(index: int) -> Result:
    image = picture(index)
    return Result(Frame(index, round(index / 30 * 1e6), image, time.monotonic()), image, time=index / 30)


class Run:
    """A pool, the encoders that it makes, and a live output that may follow."""

    def __init__(self) -> None:
        self.pool = EncoderPool()
        self.own: list[PyavEncoder] = []
        self.pool.lead("same").wanted = True

    def file(self, path: Path) -> FileSink:
        sink = FileSink(path, lead=self.pool.lead("same"))
        sink.open(INFO)
        return sink

    def tap(self, image: Image) -> Tap:
        return self.pool.tap(self._make, "same", VideoTrack(written_shape(INFO, image), INFO.frame_rate), None)

    def _make(self, track: VideoTrack, limit: int | None) -> PyavEncoder:
        self.own.append(PyavEncoder(track, limit))
        return self.own[-1]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(FollowingTap, "ALONE_SECONDS", 0.0)
    return Run()


def both(sink: FileSink | RecordingSink, tap: Tap, indices: range) -> Iterator[PublishedFrame]:
    """What the output takes of frames that the file has first."""
    for index in indices:
        sink.write(result(index))
        yield from tap.encode(raw_frame(result(index)))


def decoded(frames: list[PublishedFrame]) -> list[Image]:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packets = [av.Packet(frame.data) for frame in frames]
    shown = [image for packet in [*packets, None] for image in decoder.decode(packet)]
    return [np.asarray(image.to_ndarray(format="rgb24"), np.uint8) for image in shown]


def are_pictures(images: list[Image], indices: list[int]) -> bool:
    return len(images) == len(indices) and all(
        np.abs(image.astype(int) - picture(index)).mean() < 12 for image, index in zip(images, indices, strict=True)
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_an_output_takes_what_the_file_encodes(run: Run, tmp_path: Path, suffix: str) -> None:
    sink, tap = run.file(tmp_path / f"out{suffix}"), run.tap(picture(0))
    taken = list(both(sink, tap, range(60)))
    tap.close()
    sink.close()
    assert [frame.index for frame in taken] == list(range(60))
    assert [frame.time for frame in taken] == [3000 * index for index in range(60)]
    assert are_pictures(decoded(taken), list(range(60)))
    written = read_back(tmp_path / f"out{suffix}")
    assert are_pictures([image for _, image in written], list(range(60)))
    assert [moment - written[0][0] for moment, _ in written] == pytest.approx(
        [index / 30 for index in range(60)], abs=1e-3
    )
    for image, frame in zip([image for _, image in written][5:], decoded(taken)[5:], strict=True):
        assert np.array_equal(image, frame)  # the same bits, once the output follows


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_parameter_sets_do_not_change_where_an_output_begins_to_follow(run: Run, tmp_path: Path, suffix: str) -> None:
    sink, tap = run.file(tmp_path / f"out{suffix}"), run.tap(picture(0))
    keys = [frame for frame in both(sink, tap, range(10)) if frame.key]
    tap.close()
    sink.close()
    assert len(keys) > 1  # its own encoder's, and the file's
    assert len({parameter_sets(split_access_unit(frame.data)) for frame in keys}) == 1


def test_nobody_follows_a_file_of_another_size_or_format(run: Run, tmp_path: Path) -> None:
    small = np.zeros((24, 32, 3), np.uint8)
    sink, other, tap = run.file(tmp_path / "out.mp4"), run.file(tmp_path / "out.webm"), run.tap(small)
    shown = Result(Frame(0, 0, small, 1.0), small)
    other.write(result(0))
    sink.write(result(0))
    assert tap.encode(raw_frame(shown))[0].key
    for each in (tap, sink, other):
        each.close()


def test_a_repeated_frame_is_not_in_the_file_and_the_output_finds_back(run: Run, tmp_path: Path) -> None:
    sink, tap = run.file(tmp_path / "out.mp4"), run.tap(picture(0))
    taken = list(both(sink, tap, range(5)))
    for _ in range(3):
        taken += tap.repeat(raw_frame(result(4)), 0.0)
    own = len(run.own)
    taken += both(sink, tap, range(5, 20))
    tap.close()
    sink.close()
    assert are_pictures([image for _, image in read_back(tmp_path / "out.mp4")], list(range(20)))
    indices = [frame.index for frame in taken]
    assert indices == [0, 1, 2, 3, 4, 4, 4, 4, *range(5, 20)]
    assert are_pictures(decoded(taken), indices)
    times = [frame.time for frame in taken]
    assert times == sorted(set(times))
    assert len(run.own) == own  # it follows again, with no other encoder


def test_an_output_that_skips_goes_on_with_a_key_frame(run: Run, tmp_path: Path) -> None:
    sink, tap = run.file(tmp_path / "out.mp4"), run.tap(picture(0))
    list(both(sink, tap, range(5)))
    for index in range(5, 10):
        sink.write(result(index))
    tap.restart()
    taken = list(both(sink, tap, range(10, 20)))
    tap.close()
    sink.close()
    assert taken[0].key
    assert are_pictures(decoded(taken), list(range(10, 20)))
    assert are_pictures([image for _, image in read_back(tmp_path / "out.mp4")], list(range(20)))


def test_a_file_that_is_late_is_not_waited_for(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FollowingTap, "LATE", 0.05)
    sink, tap = run.file(tmp_path / "out.mp4"), run.tap(picture(0))
    list(both(sink, tap, range(5)))
    taken = [frame for index in range(5, 10) for frame in tap.encode(raw_frame(result(index)))]
    assert [frame.index for frame in taken] == list(range(5, 10))
    assert are_pictures(decoded(taken), list(range(5, 10)))
    for index in range(5, 10):
        sink.write(result(index))
    tap.close()
    sink.close()
    assert are_pictures([image for _, image in read_back(tmp_path / "out.mp4")], list(range(10)))


def test_a_file_waits_for_no_output(run: Run, tmp_path: Path) -> None:
    sink, tap = run.file(tmp_path / "out.mp4"), run.tap(picture(0))
    list(both(sink, tap, range(5)))
    for index in range(5, 700):  # more than wait for an output
        sink.write(result(index))
    taken = tap.encode(raw_frame(result(699)))
    assert taken[0].key
    assert len(taken) <= 300
    tap.close()
    sink.close()
    assert len(read_back(tmp_path / "out.mp4")) == 700


def test_an_output_waits_for_the_file_s_thread(run: Run, tmp_path: Path) -> None:
    sink, tap = run.file(tmp_path / "out.mp4"), run.tap(picture(0))
    list(both(sink, tap, range(3)))
    results = [result(index) for index in range(3, 30)]
    thread = threading.Thread(target=lambda: [sink.write(one) for one in results])
    thread.start()
    taken = [frame for one in results for frame in tap.encode(raw_frame(one))]
    thread.join()
    tap.close()
    sink.close()
    assert [frame.index for frame in taken] == list(range(3, 30))
    assert len(read_back(tmp_path / "out.mp4")) == 30


def test_an_output_follows_a_recording_from_file_to_file(run: Run, tmp_path: Path) -> None:
    sink = RecordingSink(
        tmp_path / "%Y-%m-%d-%H-%M-%S.mp4", RecordingOptions("1s"), wall=lambda: 1e9, lead=run.pool.lead("same")
    )
    sink.open(INFO)
    tap = run.tap(picture(0))
    taken = list(both(sink, tap, range(75)))
    own = len(run.own)
    tap.close()
    sink.close()
    assert are_pictures(decoded(taken), list(range(75)))
    files = sorted(tmp_path.glob("*.mp4"))
    assert [len(read_back(path)) for path in files] == [30, 30, 15]
    assert own == 1
    assert sink.kept == 75


def test_of_two_files_one_leads(run: Run, tmp_path: Path) -> None:
    sinks, tap = [run.file(tmp_path / name) for name in ("a.mp4", "b.mkv")], run.tap(picture(0))
    taken = []
    for index in range(30):
        for sink in sinks:
            sink.write(result(index))
        taken += tap.encode(raw_frame(result(index)))
    tap.close()
    for sink in sinks:
        sink.close()
    assert are_pictures(decoded(taken), list(range(30)))
    assert [len(read_back(tmp_path / name)) for name in ("a.mp4", "b.mkv")] == [30, 30]


def test_a_full_disk_ends_the_file_and_not_the_output(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FollowingTap, "LATE", 0.05)
    (tmp_path / "out.ts").symlink_to("/dev/full")
    sink, tap = run.file(tmp_path / "out.ts"), run.tap(picture(0))
    taken: list[PublishedFrame] = []

    def fill() -> None:
        for index in range(100):
            taken.extend(tap.encode(raw_frame(result(index))))
            sink.write(result(index))

    with pytest.raises(SinkError, match="No space left"):
        fill()
    sink.close()
    count = taken[-1].index + 1
    for index in range(count, count + 5):
        taken += tap.encode(raw_frame(result(index)))
    tap.close()
    assert [frame.index for frame in taken] == list(range(count + 5))
    assert are_pictures(decoded(taken), list(range(count + 5)))


@pytest.mark.parametrize(
    ("options", "follows"),
    [
        (SinkOptions(), True),
        (SinkOptions(encoder="pyav:libx264"), True),
        (SinkOptions(bitrate=500), False),
    ],
)
def test_options_say_who_may_follow(tmp_path: Path, options: SinkOptions, follows: bool) -> None:
    pool = EncoderPool()
    file = open_sink(f"{tmp_path}/out.mp4", options, pool=pool)
    lead = pool.lead(("pyav", options.quality))
    assert not lead.wanted
    open_sink(f"{tmp_path}/live/index.m3u8", options, pool=pool)
    assert lead.wanted is follows
    file.open(INFO)
    file.write(result(0))
    assert lead.leads(VideoTrack(written_shape(INFO, picture(0)), INFO.frame_rate)) is follows
    file.close()


def test_a_run_has_every_frame_in_its_file_whatever_its_outputs_do(tmp_path: Path) -> None:
    with RtspServer(publish=["out"]) as server:
        outputs = [server.url("publish/out"), f"{tmp_path}/live/index.m3u8", f"{tmp_path}/out.mp4"]
        client = StreamClient("testsrc:320x240@30", outputs, echo, options=RunOptions(limit_frames=90))
        summary = client.run()
    kept = summary.outputs["file out.mp4"].sent
    assert kept == summary.ledger.delivered == len(read_back(tmp_path / "out.mp4"))
    for output in summary.outputs.values():
        assert output.sent + output.skipped + output.lost == summary.ledger.delivered
        assert output.sent > 0
