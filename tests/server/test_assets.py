"""Fetching of models and clips: real pip, over wheels that the test makes."""

import hashlib
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from graph_server import assets
from graph_server.assets import Wheel, WheelFile, ensure_files, read_manifest
from graph_server.errors import AssetError
from graph_server.resources import project_file

CONTENT = {"tiny/one.tflite": b"first model", "tiny/two.tflite": b"second model"}


def _wheel_files() -> tuple[WheelFile, ...]:
    return tuple(
        WheelFile(member, f"models/{Path(member).stem}/1/{Path(member).name}", hashlib.sha256(data).hexdigest())
        for member, data in CONTENT.items()
    )


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, which pip is told to look in, and nowhere else."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_assets-1.0-py3-none-any.whl", "w") as archive:
        for member, data in CONTENT.items():
            archive.writestr(member, data)
        archive.writestr(
            "tiny_assets-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-assets\nVersion: 1.0\n"
        )
        archive.writestr("tiny_assets-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_assets-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def wheel() -> Wheel:
    return Wheel("tiny-assets==1.0", "any", _wheel_files())


def test_fetched_files_are_laid_out_as_a_model_repository(shelf: Path, wheel: Wheel, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    ensure_files(folder, "models/", [wheel])
    assert (folder / "one/1/one.tflite").read_bytes() == b"first model"
    assert (folder / "two/1/two.tflite").read_bytes() == b"second model"
    assert not list(folder.glob(".fetch-*"))
    assert (folder / "one/1/one.tflite").stat().st_mode & 0o444 == 0o444


def test_a_complete_folder_needs_no_pip(
    shelf: Path, wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_files(tmp_path / "models", "models/", [wheel])
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    ensure_files(tmp_path / "models", "models/", [wheel])


def test_only_what_is_missing_is_fetched_again(shelf: Path, wheel: Wheel, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    ensure_files(folder, "models/", [wheel])
    (folder / "one/1/one.tflite").unlink()
    before = (folder / "two/1/two.tflite").stat().st_mtime_ns
    ensure_files(folder, "models/", [wheel])
    assert (folder / "one/1/one.tflite").read_bytes() == b"first model"
    assert (folder / "two/1/two.tflite").stat().st_mtime_ns == before


def test_a_wheel_with_other_content_is_refused(shelf: Path, tmp_path: Path) -> None:
    wheel = Wheel("tiny-assets==1.0", "any", (WheelFile("tiny/one.tflite", "models/one.tflite", "0" * 64),))
    with pytest.raises(AssetError, match=r"tiny/one\.tflite has a wrong checksum"):
        ensure_files(tmp_path / "models", "models/", [wheel])
    assert not (tmp_path / "models/one.tflite").exists()


def test_a_member_that_the_wheel_lacks_is_named(shelf: Path, tmp_path: Path) -> None:
    wheel = Wheel("tiny-assets==1.0", "any", (WheelFile("tiny/three", "models/three", "0" * 64),))
    with pytest.raises(AssetError, match="tiny/three is not in the wheel"):
        ensure_files(tmp_path / "models", "models/", [wheel])


def test_a_damaged_cached_file_is_named(shelf: Path, wheel: Wheel, tmp_path: Path) -> None:
    ensure_files(tmp_path / "models", "models/", [wheel])
    (tmp_path / "models/one/1/one.tflite").write_bytes(b"damaged")
    with pytest.raises(AssetError, match=r"one\.tflite has a wrong checksum: delete it"):
        ensure_files(tmp_path / "models", "models/", [wheel])


def test_what_pip_cannot_find_is_one_line(shelf: Path, tmp_path: Path) -> None:
    wheel = Wheel("absent-assets==1.0", "any", _wheel_files())
    with pytest.raises(AssetError, match=r"pip could not fetch absent-assets==1\.0") as caught:
        ensure_files(tmp_path / "models", "models/", [wheel])
    assert "\n" not in str(caught.value)


def test_an_unreachable_index_is_said_to_be_unreachable(
    tmp_path: Path, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "PIP_PROXY", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AssetError, match="cannot be reached") as caught:
        ensure_files(tmp_path / "models", "models/", [wheel])
    assert "\n" not in str(caught.value)


def test_an_environment_without_pip_is_told_how_to_get_it(
    shelf: Path, wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    with pytest.raises(AssetError, match="ensurepip"):
        ensure_files(tmp_path / "models", "models/", [wheel])


def test_a_folder_that_cannot_be_made_is_one_line(shelf: Path, wheel: Wheel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AssetError, match=r"cannot write .*--models_dir"):
        ensure_files(tmp_path / "file" / "models", "models/", [wheel])


def test_two_that_start_at_once_fetch_once(
    shelf: Path, wheel: Wheel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    errors: list[BaseException] = []

    def fetch() -> None:
        try:
            ensure_files(tmp_path / "models", "models/", [wheel])
        except Exception as error:  # noqa: BLE001 (whatever it is, the test must see it)
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert capsys.readouterr().err.count("fetching tiny-assets") == 1


def test_the_committed_manifest_pins_whole_digests() -> None:
    wheels = read_manifest(project_file("server_config/assets.toml"))
    files = [item for wheel in wheels for item in wheel.files]
    assert all(re.fullmatch("[0-9a-f]{64}", item.sha256) for item in files)
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", wheel.requirement) for wheel in wheels)
    assert sorted(Path(item.target).stem for item in files) == [
        "demo",
        "face_detection_short_range",
        "face_landmark",
        "hand_landmark_full",
        "hand_recrop",
        "pose_detection",
        "pose_landmark_full",
    ]


def test_the_command_reports_a_failure_in_one_line_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert assets.main(["--models_dir", str(tmp_path / "file" / "models")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: cannot write")
