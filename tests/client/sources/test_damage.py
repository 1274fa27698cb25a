"""Frames that lost packets: found, counted, left out."""

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from stream_client.frames import Frame
from stream_client.pipeline.damaged_frames import DamagedFrames
from stream_client.rtsp.h264 import RtpPacketiser, parameter_sets, session_description, split_access_unit
from stream_client.rtsp.messages import interleaved
from stream_client.sinks.labels import LabelsSink
from stream_client.sources.camera import camera_error
from stream_client.sources.feed import LiveInput
from stream_client.sources.ffmpeg_feed import FfmpegFeed
from stream_client.sources.file import FileSource
from stream_client.sources.live import LiveSource
from stream_client.sources.network import network_connection
from tests.support.client import run_here
from tests.support.kserve_server import ScriptedServer
from tests.support.relay import relay
from tests.support.scripted_rtsp import ScriptedRtsp
from tests.support.video import write_video

KEY_INTERVAL = 10


class Packets:
    """The RTP packets of 30 frames of noise, a key frame every tenth, each frame several packets."""

    def __init__(self, folder: Path) -> None:
        path = folder / "noise.mp4"
        noise = ("-f", "lavfi", "-i", "nullsrc=s=320x240:r=30:d=1,geq=random(1)*255:128:128")
        coding = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(KEY_INTERVAL))
        subprocess.run(
            ["ffmpeg", "-v", "error", *noise, *coding, "-bsf:v", "dump_extra", "-f", "h264", path], check=True
        )
        packetiser = RtpPacketiser()
        self.frames: list[list[bytes]] = []
        with av.open(str(path), format="h264") as container:
            for number, packet in enumerate(each for each in container.demux(video=0) if each.size):
                units = split_access_unit(bytes(packet))
                if not number:
                    sets = parameter_sets(units)
                    assert sets is not None
                    self.description = session_description(sets, "noise")
                self.frames.append([interleaved(0, data) for data in packetiser.packets(units, 3000 * number)])

    def without(self, *lost: tuple[int, int]) -> bytes:
        """All packets but those: each a frame and one of its packets."""
        kept = (
            packet
            for number, packets in enumerate(self.frames)
            for position, packet in enumerate(packets)
            if (number, position) not in lost
        )
        return b"".join(kept)


@pytest.fixture
def packets(tmp_path: Path) -> Packets:
    return Packets(tmp_path)


def read(packets: Packets, data: bytes) -> list[Frame]:
    """All frames of a server that sends ``data`` and ends."""
    bye = interleaved(1, bytes([0x81, 203, 0, 1]) + bytes(4))
    with ScriptedRtsp(packets.description, data + bye) as server:
        source = network_connection(server.url, timeout=20)
        source.keep_all()
        source.open()
        frames = list(iter(source.read, None))
        source.close()
    return frames


def damaged(frames: list[Frame]) -> list[bool]:
    return [frame.damaged for frame in frames]


def test_a_lost_packet_damages_frames_until_the_next_key_frame(packets: Packets) -> None:
    frames = read(packets, packets.without((13, 2)))
    assert damaged(frames) == [False] * 13 + [True] * 7 + [False] * 10


def test_a_lost_frame_damages_those_after_it(packets: Packets) -> None:
    frames = read(packets, packets.without(*((13, position) for position in range(len(packets.frames[13])))))
    assert damaged(frames) == [False] * 13 + [True] * 6 + [False] * 10


def test_a_key_frame_that_lost_a_packet_is_no_end_of_the_damage(packets: Packets) -> None:
    frames = read(packets, packets.without((10, 5)))
    assert damaged(frames)[-20:] == [True] * 10 + [False] * 10


def test_a_whole_stream_has_no_damage(packets: Packets) -> None:
    assert damaged(read(packets, packets.without())) == [False] * 30


@pytest.mark.parametrize(
    ("name", "codec"),
    [("v.mkv", "ffv1"), ("v.mkv", "mjpeg"), ("v.mkv", "rawvideo"), ("v.webm", "libvpx"), ("v.ts", "mpeg2video")],
)
def test_whole_files_of_any_codec_have_no_damage(tmp_path: Path, name: str, codec: str) -> None:
    source = FileSource(encoded(tmp_path / name, codec))
    source.open()
    assert damaged(list(iter(source.read, None))) == [False] * 30
    source.close()


def encoded(path: Path, codec: str) -> Path:
    given = ["ffmpeg", "-v", "error", "-i", str(write_video(path.parent / "in.mp4"))]
    subprocess.run([*given, "-c:v", codec, str(path)], check=True)
    return path


@pytest.mark.parametrize("bframes", [0, 2])
def test_a_recording_that_begins_behind_its_key_frame_by_an_edit_list_has_no_damage(
    tmp_path: Path, bframes: int
) -> None:
    whole, trimmed = tmp_path / "whole.mp4", tmp_path / "trimmed.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=2")
    coding = ("-c:v", "libx264", "-bf", str(bframes), "-g", "50")
    for command in ((*source, *coding, whole), ("-ss", "0.7", "-i", whole, "-c", "copy", trimmed)):
        subprocess.run(["ffmpeg", "-v", "error", *command], check=True)
    reader = FileSource(trimmed)
    reader.open()
    found = damaged(list(iter(reader.read, None)))
    reader.close()
    assert len(found) >= 25
    assert not any(found)


def test_a_capture_device_has_no_damage() -> None:
    device = LiveInput("test pattern", "testsrc=size=64x48:rate=100:duration=0.1", "lavfi")
    source = LiveSource(FfmpegFeed(device, camera_error))
    source.keep_all()
    source.open()
    assert damaged(list(iter(source.read, None))) == [False] * 10
    source.close()


def test_packets_that_a_transport_stream_lost_are_damage(tmp_path: Path) -> None:
    data = encoded(tmp_path / "in.ts", "mpeg2video").read_bytes()
    cells = [data[at : at + 188] for at in range(0, len(data), 188)]
    del cells[len(cells) // 2]
    (tmp_path / "lossy.ts").write_bytes(b"".join(cells))
    sink = LabelsSink(tmp_path / "labels.jsonl")
    relay(FileSource(tmp_path / "lossy.ts"), sink)
    assert 0 < (tmp_path / "labels.jsonl").read_text().count('"damaged": true') < 30


def frame(captured: float, *, hurt: bool) -> Frame:
    return Frame(0, 0, np.zeros((2, 2, 3), np.uint8), captured, damaged=hurt)


def test_damaged_frames_are_used_when_no_whole_one_comes_for_two_seconds(caplog: pytest.LogCaptureFixture) -> None:
    policy = DamagedFrames("skip")
    assert not policy.skips(frame(0.0, hurt=False))
    assert [policy.skips(frame(0.5 * half, hurt=True)) for half in range(1, 7)] == [True] * 4 + [False] * 2
    assert not policy.skips(frame(3.5, hurt=False))
    assert policy.skips(frame(4.0, hurt=True))
    assert caplog.text.count("no whole frame") == 1


def test_pass_uses_every_frame() -> None:
    assert not DamagedFrames("pass").skips(frame(0.0, hurt=True))


@pytest.mark.parametrize(("policy", "said"), [("skip", "damaged on their way: 7"), ("pass", "7 damaged frames used")])
def test_a_run_counts_damage_and_its_verdict_names_it(
    packets: Packets, server: ScriptedServer, policy: str, said: str
) -> None:
    bye = interleaved(1, bytes([0x81, 203, 0, 1]) + bytes(4))
    with ScriptedRtsp(packets.description, packets.without((13, 2)) + bye) as camera:
        flags = ("--grpc_address", server.address, "--model_name", "graph", "--input_stream", camera.url)
        more = ("--output_stream", "none", "--damaged", policy, "--drop_policy", "block", "--limit_frames", "20")
        done = run_here(*flags, *more, "--reconnect_timeout", "0")
    assert said in done.stderr
    assert "of the frames come damaged" in done.stderr
