"""What the tracker adds to the stream path: milliseconds a frame beside reading the same detections without it.

    python benchmarks/tracking_cost.py [--seconds 60] [--persons 3 10] [--json FILE]

The boxes are those of `benchmarks/tracking.py`: persons who walk about, a detector's noise, misses and wrong boxes.
They come as a model's tensors, once with boxes alone (YOLO v10) and once with COCO's key points (YOLO v8 pose), and
`DetectionReader.read` reads each frame with and without ByteTrack, by turns. Times are the thread's own processor time,
so that other programs on the machine count less. A figure is the median of the frames' differences; the 95th percentile
and the limit of 0.3 ms are beside it. The ratio is the limit's to the median.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from client_bench import report_ratios
from tracking import HEIGHT, SETTINGS, WIDTH, sequence, walkers

from stream_client.frames import Tensor
from stream_client.tracking import ByteTrack, DetectionOptions, DetectionReader

LIMIT = 0.3
"""Milliseconds a frame that the tracker may add."""
ROWS = 300
Floats = npt.NDArray[np.floating]
Outputs = Mapping[str, Tensor]


def with_boxes(boxes: Floats, scores: Floats) -> Outputs:
    """YOLO v10's tensor."""
    table = np.zeros((1, ROWS, 6), np.float32)
    table[0, : len(boxes), :4], table[0, : len(boxes), 4] = boxes, scores
    return {"output0": Tensor("output0", "FP32", table)}


def with_key_points(boxes: Floats, scores: Floats) -> Outputs:
    """YOLO v8 pose's tensor: the key points are at fixed places of each box."""
    places = np.random.default_rng(1).uniform(0.1, 0.9, (17, 2))
    table = np.zeros((1, 56, ROWS), np.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    points = boxes[:, None, :2] + places * sides[:, None]
    rows = np.concatenate([points, np.full((len(boxes), 17, 1), 0.9)], axis=2).reshape(len(boxes), 51)
    table[0, :, : len(boxes)] = np.concatenate([boxes[:, :2] + sides / 2, sides, scores[:, None], rows], axis=1).T
    return {"output0": Tensor("output0", "FP32", table)}


def added(persons: int, seconds: float, made: Callable[[Floats, Floats], Outputs]) -> Floats:
    """Milliseconds that the tracker adds to each frame."""
    random = np.random.default_rng(persons)
    frames = sequence("", random, walkers(random, persons, round(30 * seconds)))["frames"]
    options = DetectionOptions(detections="auto", confidence=0.1)
    plain, tracking = DetectionReader(options), DetectionReader(options, tracker=ByteTrack(**SETTINGS))
    size, differences = (WIDTH, HEIGHT), []
    for frame in frames:
        outputs = made(np.array(frame["boxes"]).reshape(-1, 4), np.array(frame["scores"]))
        times = [time.thread_time()]
        for reader in (plain, tracking):
            reader.read(outputs, size, size, frame["timestamp"])
            times.append(time.thread_time())
        differences.append(1000 * ((times[2] - times[1]) - (times[1] - times[0])))
    return np.array(differences)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--persons", type=int, nargs="+", default=[3, 10])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = {}
    print(f"{'persons':>8}  {'tensors':12}{'median ms':>10}{'p95 ms':>8}")
    for persons in options.persons:
        for kind, made in (("boxes", with_boxes), ("key points", with_key_points)):
            times = added(persons, options.seconds, made)
            middle, high = np.quantile(times, [0.5, 0.95]).tolist()
            figures[f"{persons} persons, {kind}"] = {"median": middle, "p95": high}
            print(f"{persons:8}  {kind:12}{middle:10.3f}{high:8.3f}")
    ratios = {f"tracking_cost: {name}": LIMIT / each["median"] for name, each in figures.items()}
    report_ratios(ratios, options.json, figures=figures)


if __name__ == "__main__":
    main()
