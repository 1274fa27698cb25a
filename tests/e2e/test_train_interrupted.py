"""Ctrl-C while `train` looks at clips."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import wait_until


def test_landmarks_that_were_found_are_kept_and_no_model_is_begun(
    person: Path, models_dir: Path, tmp_path: Path
) -> None:
    data, cache, out = tmp_path / "clips", tmp_path / "cache", tmp_path / "model"
    for label in ("walk", "stand"):
        (data / label).mkdir(parents=True)
        for number in range(2):
            clip = shutil.copy(person, data / label / f"{number}.mp4")
            with Path(clip).open("ab") as file:  # the cache knows clips by their content
                file.write(f"{label}{number}".encode())
    arguments = ("train", "--data", data, "--out", out, "--models_dir", models_dir)
    command = [sys.executable, "-m", "stream_client", *map(str, arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    training = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = cache / "ovms-stream-client" / "landmarks"
    wait_until(lambda: list(found.glob("*.npz")), seconds=120)
    training.send_signal(signal.SIGINT)
    _, text = training.communicate(timeout=30)
    assert training.returncode == 128 + signal.SIGINT
    assert "interrupted: the landmarks found so far are kept" in text
    assert "Traceback" not in text
    assert not list(out.iterdir())
    assert not [path for path in found.iterdir() if path.suffix != ".npz"]
