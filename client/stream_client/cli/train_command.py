"""The command of a short training, for who starts it as a process."""

import sys
from pathlib import Path

_MODELS = ("extra trees", "logistic regression")
"""Fast ones, of which the better is taken."""


def train_command(data: Path, out: Path, window_ms: float) -> list[str]:
    """Trains on the clips in ``data``, with windows of ``window_ms`` milliseconds, and writes the model ``out``."""
    command = [sys.executable, "-m", "stream_client", "train", "--data", str(data), "--out", str(out)]
    command += ["--window_ms", f"{window_ms:g}", "--no_pictures"]
    return command + [word for model in _MODELS for word in ("--model", model)]
