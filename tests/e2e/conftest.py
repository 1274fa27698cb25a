"""Fixtures for runs against real servers."""

import subprocess
from pathlib import Path

import pytest

from graph_server.cli.assets import ensure_clip


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Path:
    """40 frames of a person walking, 442 pixels wide: not a multiple of 16."""
    path = tmp_path_factory.mktemp("clips") / "person.mp4"
    ffmpeg = ("ffmpeg", "-v", "error", "-ss", "3", "-i")
    subprocess.run([*ffmpeg, ensure_clip(), "-vf", "scale=442:-2", "-frames:v", "40", path], check=True)
    return path
