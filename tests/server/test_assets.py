"""Fetching models: what is right stays, what is wrong is told in one line."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graph_server import assets
from graph_server.errors import AssetError
from graph_server.resources import project_file


def test_the_manifest_pins_every_file_by_its_whole_digest() -> None:
    wheels = assets.read_manifest(project_file("server_config/assets.toml"))
    files = [item for wheel in wheels for item in wheel.files]
    assert len(files) == 8
    assert all("==" in wheel.requirement for wheel in wheels)
    assert all(len(item.sha256) == 64 for item in files)


def test_the_cache_is_an_ovms_model_repository(models_dir: Path) -> None:
    for item in (
        item for wheel in assets.read_manifest(project_file("server_config/assets.toml")) for item in wheel.files
    ):
        if item.target.startswith("models/"):
            data = (models_dir / item.target.removeprefix("models/")).read_bytes()
            assert hashlib.sha256(data).hexdigest() == item.sha256
    assert (models_dir / "pose_classifier" / "labels.txt").is_file()
    assert (models_dir / "no_person_scores" / "1" / "no_person_scores.onnx").is_file()


def test_with_everything_cached_nothing_is_fetched(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_download", lambda wheel, scratch: pytest.fail("fetched again"))
    assert assets.ensure_models(models_dir) == models_dir


def test_the_configuration_of_another_checkout_has_its_graphs_beside_it(tmp_path: Path) -> None:
    for name in ("server_config", "graphs"):
        shutil.copytree(project_file(name), tmp_path / name)
    config = tmp_path / "server_config" / "config.json"
    mounts = assets.shipped_mounts(config, tmp_path / "cache")
    assert mounts == {"models": tmp_path / "cache", "graphs": tmp_path / "graphs"}


def test_a_configuration_of_ones_own_gets_no_folders(tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    assert assets.shipped_mounts(tmp_path / "server_config" / "config.json", tmp_path / "cache") == {}


def test_a_wrong_checksum_in_the_cache_is_named(tmp_path: Path) -> None:
    target = tmp_path / "pose_detection" / "1" / "pose_detection.tflite"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"not a model")
    with pytest.raises(AssetError, match=r"pose_detection\.tflite has a wrong checksum: delete it"):
        assets.ensure_models(tmp_path)


def test_a_cache_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Root may read every file, but not its memory at address 0."""
    target = tmp_path / "pose_detection" / "1" / "pose_detection.tflite"
    target.parent.mkdir(parents=True)
    target.symlink_to("/proc/self/mem")
    with pytest.raises(AssetError, match=r"cannot read .*pose_detection\.tflite: .*; make it readable"):
        assets.ensure_models(tmp_path)


def test_without_a_network_the_error_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "graph_server", "assets", "--models_dir", str(tmp_path)]
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=110)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert len(errors) == 1
    assert "pip could not fetch mediapipe==0.10.21" in errors[0]
    assert not list(tmp_path.glob("*/1/*.tflite"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssetError, match="cannot write"):
        assets.ensure_models(tmp_path / "file" / "models")
