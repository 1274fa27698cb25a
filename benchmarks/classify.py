"""What classifying in the client costs, and that the training buffer stays flat.

    python benchmarks/classify.py [--json FILE] [--seconds 10]

Windows: our window classifier, which computes each sample's features once, against the usual way of computing
those of the whole window anew for each one, vectorised; same landmarks, same features, same windows,
alternating rounds. The ratio is ours over the other's time. Besides that it prints milliseconds a frame, and those
that it takes to make landmarks of a graph's tensors.

Buffer: a producer and a consumer of landmark windows at full speed for ``--seconds``; prints the books, how much
Python's memory has grown from a tenth of the time to its end, and how many files were opened meanwhile (an audit
hook sees every one).
"""

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stream_client.classify import FeatureSchema, PoseClassifier, TrainedModel, WindowSpec
from stream_client.classify.windows import Resampler
from stream_client.frames import Tensor
from stream_client.landmarks.decoder import LandmarkDecoder, coordinate_image
from stream_client.training.buffer import LandmarkWindow, TrainingBuffer

FRAMES = 900
SCHEMA = FeatureSchema()
WINDOW = WindowSpec(length_ms=1000, overlap_ms=950, rate=20)

Track = list[npt.NDArray[np.float64]]


def model() -> TrainedModel:
    weights = np.random.default_rng(0).normal(0, 0.01, (len(WINDOW.names(SCHEMA.names)), 4))

    def predict(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        powers = np.exp(np.clip(rows @ weights, -50, 50))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    return TrainedModel.from_callable(predict, ["a", "b", "c", "d"], SCHEMA, WINDOW)


def ours(track: Track) -> float:
    classifier = PoseClassifier(model())
    start = time.perf_counter()
    for index, points in enumerate(track):
        classifier.run_keypoint_pipeline(points, round(index * 1e6 / 30))
    return time.perf_counter() - start


def peer(track: Track) -> float:
    trained = model()
    resampler = Resampler(WINDOW.rate, WINDOW.max_gap_ms, most_missing=WINDOW.steps)
    recent: Track = []
    start = time.perf_counter()
    for index, points in enumerate(track):
        for sample in resampler.add(round(index * 1e6 / 30), points):
            assert sample.landmarks is not None
            recent = [*recent, sample.landmarks][-WINDOW.steps :]
            if len(recent) == WINDOW.steps:
                rows = SCHEMA.compute(np.stack(recent), np.arange(len(recent)) / WINDOW.rate)
                trained.scores(WINDOW.pool(rows))
    return time.perf_counter() - start


def landmarks_time() -> float:
    """Milliseconds to make landmarks of pose, hands and face of a frame."""
    size = (1280, 720)
    image = coordinate_image(*size)
    crop = np.asarray(image[32:48, 64:80], dtype=np.float32).ravel()
    rng = np.random.default_rng(0)

    def row(points: int, presence: float) -> Tensor:
        values = np.concatenate([rng.uniform(50, 150, points), [presence], crop])
        return Tensor("", "FP32", values.astype(np.float32)[None])

    outputs = {"pose": row(312, 1.0), "left_hand": row(63, 1.0), "right_hand": row(63, 1.0), "face": row(1404, 1.0)}
    decoder = LandmarkDecoder()
    begin = time.perf_counter()
    for index in range(FRAMES):
        assert decoder.decode(outputs, size, size, index * 33_333) is not None
    return 1000 * (time.perf_counter() - begin) / FRAMES


def fill(seconds: float) -> dict[str, int]:
    buffer = TrainingBuffer(lambda result: None, capacity=1000)
    taken = 0

    def consume() -> None:
        nonlocal taken
        for _ in buffer:
            taken += 1

    opened = 0
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal opened
        opened += watching and event in ("open", "os.open", "os.mkdir", "os.rename", "socket.connect")

    sys.addaudithook(hook)
    consumer = threading.Thread(target=consume)
    consumer.start()
    tracemalloc.start()
    early = 0
    number = 0
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        for _ in range(200):
            buffer.add(LandmarkWindow(number, np.zeros((20, 33, 3)), "label", 0.5))
            number += 1
        if not early and elapsed > seconds / 10:
            early = tracemalloc.get_traced_memory()[0]
    late = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    buffer.close()
    consumer.join()
    watching = False
    counts = buffer.counts
    assert counts.added == number == counts.taken + counts.overwritten
    assert counts.taken == taken
    return {
        "added": counts.added,
        "taken": counts.taken,
        "overwritten": counts.overwritten,
        "memory_growth_bytes": late - early,
        "files_opened": opened,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    base = rng.normal(0, 60, (33, 3))
    track = [base + rng.normal(0, 3, (33, 3)) for _ in range(FRAMES)]
    mine, theirs = [], []
    for _ in range(options.rounds):
        mine.append(ours(track))
        theirs.append(peer(track))
    a, b = statistics.median(mine), statistics.median(theirs)
    books = fill(options.seconds)
    print(f"{'window classifier':<32} {1000 * a / FRAMES:8.3f} ms a frame")
    print(f"{'whole window anew':<32} {1000 * b / FRAMES:8.3f} ms a frame")
    print(f"{'ratio':<32} {a / b:8.3f}")
    print(f"{'landmarks of tensors':<32} {landmarks_time():8.3f} ms a frame")
    for name, value in books.items():
        print(f"{'buffer ' + name.replace('_', ' '):<32} {value:8d}")
    if options.json:
        report = {
            "ratios": {"window_time": a / b},
            "environment": {
                "python": platform.python_version(),
                "processors": os.cpu_count(),
                "machine": platform.machine(),
            },
            "milliseconds_a_frame": {"ours": 1000 * a / FRAMES, "peer": 1000 * b / FRAMES},
            "buffer": books,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
