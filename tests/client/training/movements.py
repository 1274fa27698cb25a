"""Made-up people for the training tests: they wave one hand or the other, or stand."""

import json
from pathlib import Path

import numpy as np

from stream_client.classify.joints import JOINT
from stream_client.training.clips import Track

FRAME_RATE = 25


def waving(side: str | None, seconds: float = 3.0, seed: int = 0, rate: float = FRAME_RATE) -> Track:
    """A track of someone who waves the hand of ``side``, 1.5 times a second; ``None``: who stands."""
    rng = np.random.default_rng(seed)
    body = np.random.default_rng(99).normal(0, 4, (75, 3))
    for name, x, y in (
        ("shoulder", 30, -100), ("elbow", 45, -60), ("wrist", 50, -20), ("hip", 20, 0), ("knee", 22, 50),
        ("ankle", 22, 100), ("index", 52, -10), ("foot_index", 30, 104),
    ):  # fmt: skip
        body[JOINT[f"left_{name}"]] = [x, y, 0]
        body[JOINT[f"right_{name}"]] = [-x, y, 0]
    body[JOINT["nose"]] = [0, -140, -10]
    count = int(seconds * rate)
    times = np.arange(count) / rate
    landmarks = np.repeat(body[None], count, axis=0)
    if side is not None:
        outward = 1 if side == "left" else -1
        phase = rng.uniform(0, 2 * np.pi)
        landmarks[:, JOINT[f"{side}_wrist"], 0] += outward * 30 * np.sin(2 * np.pi * 1.5 * times + phase)
        landmarks[:, JOINT[f"{side}_wrist"], 1] -= 120
        landmarks[:, JOINT[f"{side}_elbow"], 1] -= 40
    landmarks = landmarks * rng.uniform(0.5, 2) + rng.uniform(0, 500, 3) + rng.normal(0, 0.5, landmarks.shape)
    return Track("waving", np.round(times * 1e6).astype(np.int64), landmarks)


def write_annotations(path: Path, spans: list[tuple[float, float, str]], name: str = "clip.mp4") -> Path:
    """A file as the annotation tool writes it."""
    items = [
        {"label": label, "metadata": {"system": {"startTime": start, "endTime": end}}} for start, end, label in spans
    ]
    path.write_text(json.dumps({"name": name, "annotations": items}))
    return path
