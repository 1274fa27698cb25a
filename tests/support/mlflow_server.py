"""A real MLflow scoring server, from PyPI, in a virtual environment of its own."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.support.environments import wait_until_ready
from tests.support.ports import free_port


class MLflowServer:
    """`mlflow models serve` and whatever it starts, as one process group."""

    def __init__(self, python: Path, model: Path, log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [str(python), "-m", "mlflow", "models", "serve", "--model-uri", str(model), "--env-manager", "local"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
        with log.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=log.parent, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            wait_until_ready(self.process, f"{self.url}/ping", log)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """All of the group, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def save_model(python: Path, program: str, folder: Path) -> Path:
    """Run ``program``, which saves a model in the folder that is its argument."""
    model = folder / "mlflow_model"
    (folder / "save.py").write_text(program)
    subprocess.run([python, "save.py", str(model)], cwd=folder, check=True, capture_output=True)
    return model
