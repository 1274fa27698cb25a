"""The time line of recordings, by numbers and in files that were joined, cut and changed."""

import subprocess
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_client.sinks.video_file import FileSink
from stream_client.sound.packets import SoundFeed, SoundPackets
from stream_client.sound.rule import SoundRule
from stream_client.sources.file import FileSource
from stream_client.sources.key_frames import key_frames
from stream_client.sources.timeline import Continuity, MediaTimes
from tests.support.relay import relay
from tests.support.video import read_back, write_video

PERIOD = 40_000
VIDEO, AUDIO = 0, 1


def shifted(parts: list[tuple[int, int]], *, jumps: bool = True) -> list[int]:
    """The times of a video's packets after the shift; a part is where it begins and how many packets it has."""
    line = Continuity(jumps=jumps)
    raw = [start + PERIOD * number for start, count in parts for number in range(count)]
    return [time + line.shift(VIDEO, time, PERIOD, video=True) for time in raw]


@given(st.lists(st.tuples(st.integers(0, 95_000_000_000), st.integers(1, 20)), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_parts_that_begin_anywhere_become_one_line_without_a_step_back(parts: list[tuple[int, int]]) -> None:
    times = shifted(parts)
    assert all(0 < after - before <= Continuity.LONGEST_GAP for before, after in pairwise(times))


def test_a_time_that_begins_anew_goes_on_where_it_was() -> None:
    assert shifted([(1_400_000, 50), (1_400_000, 50)]) == [1_400_000 + PERIOD * number for number in range(100)]


def test_a_long_gap_is_kept_where_the_container_has_an_index() -> None:
    assert shifted([(0, 2), (60_000_000, 2)], jumps=False)[2] == 60_000_000
    assert shifted([(0, 2), (60_000_000, 2)], jumps=True)[2] == 2 * PERIOD


def test_sound_that_comes_late_from_before_the_joint_keeps_its_place() -> None:
    line = Continuity(jumps=True)
    for number in range(50):
        line.shift(VIDEO, PERIOD * number, PERIOD, video=True)
    for number in range(90):
        line.shift(AUDIO, 20_000 * number, 20_000, video=False)
    assert line.shift(VIDEO, 0, PERIOD, video=True) == 2_000_000  # the next part
    assert line.shift(AUDIO, 1_800_000, 20_000, video=False) == 0
    assert line.shift(AUDIO, 0, 20_000, video=False) == 2_000_000


@given(st.lists(st.none() | st.integers(-(10**12), 10**12), min_size=1, max_size=60))
def test_frames_have_rising_times_from_zero_whatever_their_timestamps(stamps: list[int | None]) -> None:
    line = MediaTimes(PERIOD)
    times = [line.place(stamp) for stamp in stamps]
    assert times[0] == 0
    assert all(after > before for before, after in pairwise(times))


def test_timestamps_that_are_missing_at_the_start_are_made_up() -> None:
    line = MediaTimes(PERIOD)
    stamps = [None, None, None, 1_120_000, 1_160_000]
    assert [line.place(stamp) for stamp in stamps] == [PERIOD * number for number in range(5)]
    assert line.zero == 1_000_000


# --- files


def part(
    path: Path, *, codec: str = "aac", rate: int = 48_000, channels: int = 2, offset: float = 0.0, first_id: int = 256
) -> Path:
    """A transport stream of 50 frames, 2 s, with a tone."""
    video = write_video(path.with_suffix(".mp4"), frames=50, rate=25)
    tone = ("-f", "lavfi", "-i", f"sine=d=2:r={rate}", "-c:v", "copy", "-c:a", codec, "-ac", str(channels))
    command: list[str | Path] = ["ffmpeg", "-v", "error", "-y", "-i", video, *tone, "-output_ts_offset", str(offset)]
    ids = ("-streamid", f"0:{first_id}", "-streamid", f"1:{first_id + 1}")
    subprocess.run([*command, *ids, path], check=True)
    return path


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(each.read_bytes() for each in parts))
    return path


def loudness(path: Path, begin: float, end: float) -> float:
    """The root mean square of the sound between two times."""
    squares: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            assert frame.time is not None
            if begin <= frame.time < end:
                squares.append(float(np.square(np.asarray(frame.to_ndarray(), np.float64)).mean()))
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def assert_plays(path: Path, frames: int) -> None:
    times = [time for time, _ in read_back(path)]
    assert len(times) == frames
    assert all(0.005 < after - before < 0.1 for before, after in pairwise(times))
    assert times[-1] == pytest.approx((frames - 1) / 25, abs=0.1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    "second",
    [
        pytest.param({}, id="begins anew"),
        pytest.param({"first_id": 600}, id="other ids"),
        pytest.param({"offset": 1.98}, id="overlaps by 20 ms"),
        pytest.param({"offset": 5000.0}, id="jumps by hours"),
        pytest.param({"offset": 2.0, "rate": 44_100, "channels": 1}, id="other rate and channels"),
        pytest.param({"offset": 2.0, "codec": "mp2", "rate": 44_100}, id="other codec"),
    ],
)
def test_joined_recordings_are_written_whole(tmp_path: Path, suffix: str, second: dict[str, object]) -> None:
    first, other = part(tmp_path / "1.ts"), part(tmp_path / "2.ts", **second)  # type: ignore[arg-type]
    out = tmp_path / f"out.{suffix}"
    relay(FileSource(joined(tmp_path / "in.ts", first, other)), FileSink(out))
    assert_plays(out, 100)
    assert loudness(out, 0.2, 1.8) > 0.05
    if "codec" not in second:
        assert loudness(out, 2.2, 3.8) > 0.05


def test_three_joined_recordings_of_different_kinds_are_written_whole(tmp_path: Path) -> None:
    parts = [
        part(tmp_path / "1.ts"),
        part(tmp_path / "2.ts", rate=44_100, channels=1),
        part(tmp_path / "3.ts", offset=5000.0, rate=32_000),
    ]
    out = tmp_path / "out.mp4"
    relay(FileSource(joined(tmp_path / "in.ts", *parts)), FileSink(out))
    assert_plays(out, 150)
    assert all(loudness(out, begin + 0.2, begin + 1.8) > 0.05 for begin in (0, 2, 4))


def test_a_hole_in_the_sound_is_silent_and_what_follows_stays_in_step(tmp_path: Path) -> None:
    first, third = part(tmp_path / "1.ts"), part(tmp_path / "3.ts", offset=4.0)
    silent = tmp_path / "2.ts"
    command: list[str | Path] = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        part(tmp_path / "s.ts", offset=2.0),
        "-copyts",
        "-an",
        "-c",
        "copy",
    ]
    subprocess.run([*command, "-muxdelay", "0", "-muxpreload", "0", silent], check=True)
    out = tmp_path / "out.mp4"
    relay(FileSource(joined(tmp_path / "in.ts", first, silent, third)), FileSink(out))
    assert_plays(out, 150)
    assert loudness(out, 2.3, 3.7) < 0.001
    assert loudness(out, 4.3, 5.7) > 0.05


def test_a_playlist_with_a_discontinuity_is_one_recording(tmp_path: Path) -> None:
    part(tmp_path / "1.ts")
    part(tmp_path / "2.ts", offset=77.0)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", "1.ts", "#EXT-X-DISCONTINUITY", "#EXTINF:2,", "2.ts"]
    (tmp_path / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST\n"]))
    out = tmp_path / "out.mp4"
    relay(FileSource(tmp_path / "list.m3u8"), FileSink(out))
    assert_plays(out, 100)
    assert loudness(out, 2.2, 3.8) > 0.05


def test_a_recording_that_was_cut_at_its_start_is_read(tmp_path: Path) -> None:
    begun = part(tmp_path / "1.ts").read_bytes()[188 * 20 + 77 :]
    (tmp_path / "cut.ts").write_bytes(begun + part(tmp_path / "2.ts", offset=2.0).read_bytes())
    times = relay(FileSource(tmp_path / "cut.ts"))
    assert len(times) >= 50
    assert all(0.01 < after - before < 0.1 for before, after in pairwise(times))


PICTURES = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=2"]
B_FRAMES = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0"]


def test_an_avi_with_b_frames_has_the_times_of_its_frames(tmp_path: Path) -> None:
    path = tmp_path / "in.avi"
    subprocess.run([*PICTURES, *B_FRAMES, path], check=True)
    assert relay(FileSource(path)) == pytest.approx([number / 25 for number in range(50)])
    assert key_frames(path) is None


def test_timestamps_in_decoding_order_are_not_taken_for_those_of_frames(tmp_path: Path) -> None:
    made, path = tmp_path / "made.mp4", tmp_path / "in.mkv"
    subprocess.run([*PICTURES, *B_FRAMES, made], check=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", made, "-c", "copy", "-bsf:v", "setts=pts=DTS", path], check=True)
    times = relay(FileSource(path))
    assert len(times) == 50
    settled = times[4:]  # the first that step back show it
    assert [after - before for before, after in pairwise(settled)] == pytest.approx([0.04] * (len(settled) - 1))
    assert key_frames(path) is None


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_video_behind_the_sound_keeps_its_last_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in.{suffix}"
    sound_first = ["-f", "lavfi", "-i", "sine=d=2", "-map", "1:a", "-map", "0:v", "-c:a", "aac"]
    subprocess.run([*PICTURES, *sound_first, *B_FRAMES, path], check=True)
    assert len(relay(FileSource(path))) == 50


@pytest.mark.parametrize(("layout", "codec"), [("7.1", "aac"), ("7.1(wide)", "pcm_s24le")])
def test_sound_of_many_channels_is_carried(tmp_path: Path, layout: str, codec: str) -> None:
    made, path = write_video(tmp_path / "made.mp4", frames=50, rate=25), tmp_path / "in.mkv"
    tone = ["-f", "lavfi", "-i", "sine=d=2", "-af", f"aformat=channel_layouts={layout}", "-c:v", "copy", "-c:a", codec]
    subprocess.run(["ffmpeg", "-v", "error", "-i", made, *tone, path], check=True)
    rule = SoundRule(frozenset(), "aac")
    source = FileSource(path)
    sound = source.open().sound
    assert sound is not None
    packets = SoundPackets(SoundFeed(sound, rule), 0.0)
    while source.read() is not None:
        pass
    source.close()
    found = [*packets.take(2.0), *packets.end()]
    assert sum(packet.duration for packet in found) == pytest.approx(2, abs=0.1)
