"""A real MLflow scoring server, from PyPI, in a virtual environment of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.classify import UNKNOWN, DecisionOptions, FeatureSchema, MLflowClassifier, WindowSpec
from stream_client.classify.joints import JOINT
from tests.conftest import ROOT

REQUIREMENT = "mlflow==3.17.2"
ENVIRONMENT = ROOT / ".venvs" / "mlflow"
SCHEMA = FeatureSchema((), (), (), (), (), coordinates=("left_wrist",))
WINDOW = WindowSpec(length_ms=500, overlap_ms=250, rate=20, pooling=("mean",))

SAVE = """
import sys
import mlflow
import numpy as np


class HandUp(mlflow.pyfunc.PythonModel):
    # Probability that the wrist is above the hips: the second column is its height, downwards.
    def predict(self, context, model_input, params=None):
        rows = np.asarray(model_input, dtype=float)
        up = (rows[:, 1] < 0).astype(float)
        return np.stack([up, 1 - up], axis=1)


mlflow.pyfunc.save_model(sys.argv[1], python_model=HandUp())
"""


class Server:
    """`mlflow models serve` and whatever it starts, as one process group."""

    def __init__(self, python: Path, model: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [python, "-m", "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=log.parent, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        for _ in range(400):
            assert self.process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"{self.url}/ping", timeout=1).close()
                return
            except OSError:
                time.sleep(0.2)
        self.kill()
        raise AssertionError(log.read_text())

    def kill(self) -> None:
        """All of the group, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter with MLflow; made once."""
    interpreter = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / REQUIREMENT
    if not done.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
        subprocess.run(command, check=True)
        done.touch()
    return interpreter


@pytest.fixture
def server(python: Path, tmp_path: Path) -> Iterator[Server]:
    model = tmp_path / "model"
    (tmp_path / "save.py").write_text(SAVE)
    subprocess.run([python, "save.py", str(model)], cwd=tmp_path, check=True, capture_output=True)
    serving = Server(python, model, tmp_path / "log")
    yield serving
    serving.kill()


def person(wrist: float) -> npt.NDArray[np.float64]:
    points = np.zeros((33, 3))
    points[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1] = -100
    points[JOINT["left_wrist"], 1] = wrist
    return points


@pytest.mark.timeout(600)
def test_a_scoring_server_labels_windows_and_its_death_is_unknown(server: Server) -> None:
    classifier = MLflowClassifier(
        server.url, ["up", "down"], schema=SCHEMA, window=WINDOW, decision=DecisionOptions(smoothing=0), timeout=10
    )

    def run(start: int, wrist: float) -> str:
        for index in range(start, start + 30):
            classifier.run_keypoint_pipeline(person(wrist), index * 33_333)
        return classifier.current_classification

    assert run(0, -50) == "up"
    assert run(30, 50) == "down"
    assert classifier.errors == 0
    server.kill()
    assert run(60, -50) == UNKNOWN
    assert classifier.errors > 0
    assert "did not answer" in str(classifier.last_error)
