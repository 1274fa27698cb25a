"""Cameras of this machine. None is here, so devices are files that answer as other devices do."""

from pathlib import Path

from stream_client.cameras.local import local_cameras
from tests.support.client import run_client


def test_devices_that_give_no_frames_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"")
    (tmp_path / "video1").symlink_to("/dev/null")
    assert local_cameras(tmp_path) == []


def test_a_device_that_cannot_be_opened_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "video10").symlink_to(tmp_path / "gone")
    (tmp_path / "video2").symlink_to(tmp_path / "gone")
    found = local_cameras(tmp_path)
    assert [camera.input_stream for camera in found] == ["2", "10"]
    assert all("No such file" in camera.problem for camera in found)


def test_no_camera_at_all_is_no_error() -> None:
    listed = run_client("cameras", "--no_onvif")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout


def test_a_time_that_cannot_be_is_refused() -> None:
    refused = run_client("cameras", "--seconds", "0")
    assert refused.returncode == 2
    assert "--seconds" in refused.stderr
