"""Quality of the tracker: HOTA, MOTA and IDF1 of our ByteTrack, and of the package `trackers`' own on the same boxes.

    python benchmarks/tracking.py [--seconds 20] [--rounds 20] [--json FILE]

The sequences are made, so that the truth is known: boxes of persons who walk about in a frame of 1280 x 720 at 30
frames a second. A detector is imitated: boxes are off by 3 % of their size, 8 % are missed, one in 20 is weak (score
below 0.5), and in one frame of 10 there is a box where nobody is. Figures are means of ``--rounds`` sequences of each
kind. Both trackers have the same thresholds. The library tracks and measures in an environment of its own (`make
environments`), since it brings the GUI build of OpenCV.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from client_bench import report_ratios

from stream_client.frames import Detections
from stream_client.tracking import ByteTrack

PEER = Path(__file__).with_name("trackers_peer.py")
PYTHON = Path(__file__).parents[1] / ".venvs" / "trackers" / "bin" / "python"
SETTINGS = {"strong": 0.5, "begin": 0.6, "least_overlap": 0.2, "keep": 1.5}
PERIOD = 33_333
WIDTH, HEIGHT = 1280, 720

Boxes = npt.NDArray[np.float64]
Sequence = dict[str, Any]
"""``name``, ``frames`` and, once followed, ``tracks``: the number of each box, -1 for none. A frame has its
``timestamp`` in µs, ``persons`` (their numbers) with ``truth`` (their boxes), and ``boxes`` with ``scores``: what a
detector saw. Boxes are left, top, right, bottom in pixels."""


def walkers(random: np.random.Generator, count: int, frames: int) -> Boxes:
    """Boxes [frames, count, 4] of persons who walk to and fro, each at a distance and speed of their own."""
    height = random.uniform(120, 300, count)
    width = height * 0.4
    middle = random.uniform(width, WIDTH - width, count)
    foot = np.linspace(350, HEIGHT, count) if count > 1 else np.array([600.0])
    speed = random.uniform(60, 180, count) * random.choice([-1, 1], count)
    ways = []
    for frame in range(frames):
        sway = 10 * np.sin(2 * np.pi * (frame / 40 + np.arange(count) / 7))
        x = middle + speed * frame / 30
        low, span = width / 2, WIDTH - width
        x = low + np.abs((x - low) % (2 * span) - span)  # turns round at the edge
        ways.append(np.stack([x - width / 2, foot - height + sway, x + width / 2, foot + sway], axis=1))
    return np.array(ways)


def crossing(frames: int) -> Boxes:
    """Two persons of one size who walk through each other, again and again."""
    x = 640 + 400 * np.cos(2 * np.pi * np.arange(frames) / 240)
    return np.stack(
        [np.stack([place - 50, 0 * x + top, place + 50, 0 * x + top + 260], axis=1)
         for place, top in ((x, 300.0), (WIDTH - x, 330.0))],
        axis=1,
    )  # fmt: skip


def sequence(
    name: str, random: np.random.Generator, truth: Boxes, *, hidden: float = 0.0, dropped: float = 0.0
) -> Sequence:
    """What a detector would see.

    ``hidden``: for how many seconds of 5 nobody sees a person. ``dropped``: the share of frames that are.
    """
    frames = []
    for index, boxes in enumerate(truth):
        if index and random.random() < dropped:
            continue
        away = [(index / 30 + 1.7 * who) % 5 < hidden and index > 30 for who in range(len(boxes))]
        persons = [who for who, is_away in enumerate(away) if not is_away]
        seen = [who for who in persons if random.random() >= 0.08 or not index]
        sides = np.tile(boxes[seen][:, 2:] - boxes[seen][:, :2], 2).reshape(-1, 4)
        found = boxes[seen] + random.normal(0, 0.03, (len(seen), 4)) * sides
        scores = np.where(random.random(len(seen)) < 0.05, 0.35, random.uniform(0.65, 0.95, len(seen)))
        if random.random() < 0.1:
            left, top = random.uniform(0, WIDTH - 80), random.uniform(0, HEIGHT - 200)
            found = np.vstack([found, [left, top, left + 80, top + 200]])
            scores = np.append(scores, random.uniform(0.3, 0.7))
        frames.append(
            {
                "timestamp": index * PERIOD,
                "persons": persons,
                "truth": boxes[persons].tolist(),
                "boxes": found.tolist(),
                "scores": scores.tolist(),
            }
        )
    return {"name": name, "frames": frames}


def sequences(seed: int, seconds: float) -> Iterator[Sequence]:
    random, count = np.random.default_rng(seed), round(30 * seconds)
    yield sequence("3 persons", random, walkers(random, 3, count))
    yield sequence("12 persons", random, walkers(random, 12, count))
    yield sequence("2 who cross", random, crossing(count))
    yield sequence("4, hidden for 1 s", random, walkers(random, 4, count), hidden=1.0)
    yield sequence("4, half the frames", random, walkers(random, 4, count), dropped=0.5)


def follow(made: Sequence) -> float:
    """Add our tracks to a sequence. Returns the median of milliseconds a frame."""
    tracker, times, tracks = ByteTrack(**SETTINGS), [], []
    for frame in made["frames"]:
        boxes = np.array(frame["boxes"], np.float32).reshape(-1, 4)
        seen = Detections(boxes, np.array(frame["scores"], np.float32), np.zeros(len(boxes), np.int64))
        began = time.perf_counter()
        numbers = tracker.update(seen, frame["timestamp"])
        times.append(time.perf_counter() - began)
        tracks.append(numbers.tolist())
    made["tracks"] = tracks
    return 1000 * float(np.median(times))


def compare(made: list[Sequence], python: Path = PYTHON) -> dict[str, dict[str, dict[str, float]]]:
    """HOTA, MOTA, IDF1 and switches by sequence and tracker."""
    given = json.dumps({"settings": SETTINGS, "sequences": made})
    done = subprocess.run([python, PEER], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the library's tracker failed:\n{done.stderr}")
    found: dict[str, dict[str, dict[str, float]]] = json.loads(done.stdout)
    return found


def mean(figures: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each measure."""
    return {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=20, help="sequences of each kind")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not PYTHON.exists():
        parser.error(f"{PYTHON} is not there: make environments")
    rounds, times = [], {}
    for number in range(options.rounds):
        made = list(sequences(number, options.seconds))
        times = {each["name"]: follow(each) for each in made}
        rounds.append(compare(made))
    figures = {name: {who: mean([each[name][who] for each in rounds]) for who in rounds[0][name]} for name in times}
    print(f"{'':20}{'tracker':10}{'HOTA':>8}{'MOTA':>8}{'IDF1':>8}{'switches':>10}")
    for name, by_tracker in figures.items():
        for tracker, each in by_tracker.items():
            print(
                f"{name:20}{tracker:10}{each['HOTA']:8.3f}{each['MOTA']:8.3f}{each['IDF1']:8.3f}{each['switches']:10.2f}"
            )
    print("ours, ms a frame: " + ", ".join(f"{name}: {value:.2f}" for name, value in times.items()))
    ratios = {
        f"{measure}: {name}": each["ours"][measure] / each["trackers"][measure]
        for name, each in figures.items()
        for measure in ("HOTA", "MOTA", "IDF1")
    }
    report_ratios(ratios, options.json, figures=figures, milliseconds=times)


if __name__ == "__main__":
    main()
