"""How far our landmarks are from MediaPipe's, on the shared clips.

    python benchmarks/holistic_parity.py [--json FILE]

For each part: on how many percent of frames both agree that it is there; over frames where both have it, the
median distance of its points in percent of the image diagonal: the median and the 95th percentile over frames.
Ratios are our median over the bound of the issue (0.2 % for pose, 0.6 % for hands and face).
"""

import argparse
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graph_server.cli.landmarks import FRAME_PERIOD, LandmarkExtractor, default_models, frames
from graph_server.holistic.frame_skipping import EVERY_FRAME, FrameSkipping

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
CLIPS = {"sign-again": "sign-again.mkv", "dance": "dance.webm", "walk": "walk.mp4"}
BOUNDS = {"pose": 0.2, "face": 0.6, "left_hand": 0.6, "right_hand": 0.6}


def measure(clip: str, skipping: FrameSkipping = EVERY_FRAME) -> dict[str, dict[str, float]]:
    golden = np.load(SHARED / "golden" / f"{clip}.npz")
    video = SHARED / "clips" / CLIPS[clip]
    return compared(golden, found(video, len(golden["pose"]), skipping), size_of(video))


def found(
    video: Path, count: int, skipping: FrameSkipping = EVERY_FRAME
) -> list[Mapping[str, npt.NDArray[np.float32]]]:
    """Our landmarks of the first ``count`` frames, by part."""
    extractor = LandmarkExtractor(default_models(), skipping=skipping)
    for index, image in enumerate(islice(frames(video), count)):
        extractor.process(image, (index + 1) * FRAME_PERIOD)
    landmarks = extractor.finish()
    return [landmarks.get((index + 1) * FRAME_PERIOD, {}) for index in range(count)]


def size_of(video: Path) -> npt.NDArray[np.int64]:
    """Width and height of the pictures."""
    height, width, _ = next(frames(video)).shape
    return np.array([width, height])


def compared(
    golden: Mapping[str, Any], ours: Sequence[Mapping[str, Any]], size: npt.NDArray[Any]
) -> dict[str, dict[str, float]]:
    """A row for each part; ``ours`` holds arrays [points, x y …], 0…1, for each frame, ``size`` width and height."""
    rows = {}
    for part in BOUNDS:
        there = ~np.isnan(golden[part][: len(ours), 0, 0])
        here = np.array([part in landmarks for landmarks in ours])
        distances = [
            np.median(np.linalg.norm((ours[i][part][:, :2] - golden[part][i][:, :2]) * size, axis=1))
            for i in np.flatnonzero(there & here).tolist()
        ]
        percent = 100 * np.array(distances or [np.nan]) / np.linalg.norm(size)
        rows[part] = {
            "presence": 100 * float((there == here).mean()),
            "frames": int((there & here).sum()),
            "median": float(np.median(percent)),
            "p95": float(np.percentile(percent, 95)),
        }
    return rows


def print_table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{'clip':12}{'part':12}{'presence %':>11}{'frames':>8}{'median %':>10}{'p95 %':>8}")
    for clip, parts in results.items():
        for part, row in parts.items():
            numbers = f"{row['presence']:11.1f}{row['frames']:8.0f}{row['median']:10.3f}{row['p95']:8.3f}"
            print(f"{clip:12}{part:12}{numbers}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is not here: the golden landmarks are needed")
    results = {clip: measure(clip) for clip in CLIPS}
    print_table(results)
    ratios = {
        f"{clip}.{part}": row["median"] / BOUNDS[part]
        for clip, parts in results.items()
        for part, row in parts.items()
        if not np.isnan(row["median"])
    }
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.processor() or platform.machine()}
        options.json.write_text(json.dumps({"ratios": ratios, "environment": environment, **results}, indent=2))


if __name__ == "__main__":
    main()
