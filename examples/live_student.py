"""A student that learns while the stream runs, from landmarks alone; no picture is kept.

    python examples/live_student.py [VIDEO] [--passes 4] [--curve FILE.png] [--dry-run]

The graph gives landmarks and, by its own pose classifier, the teacher, labels; the training buffer turns them into
windows; a small network learns in a thread of its own, from each new window and, to forget nothing, from some
older ones out of the buffer. Each window is judged before it is learned from; in the first pass that is the loss of
windows never seen before. The teacher may be wrong: the student learns to agree with it, no more. ``--dry-run``
prints the windows instead.
"""

import argparse
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from graph_server.assets import ensure_clip
from graph_server.resources import project_file
from stream_client import StreamClient, TransportOptions
from stream_client.classify import FeatureSchema, WindowSpec
from stream_client.processing.labels import read_label_names
from stream_client.training.buffer import LandmarkWindow, TrainingBuffer, augment, dry_run

SCHEMA = FeatureSchema()
WINDOW = WindowSpec(length_ms=300, overlap_ms=267, rate=30)
REPLAYED = 4
"""Older windows that are learned from again with each new one."""
Array = npt.NDArray[np.float64]


class Student:
    """One hidden layer on pooled features, trained by gradient descent."""

    def __init__(self, labels: tuple[str, ...], hidden: int = 16, rate: float = 0.003) -> None:
        self.labels = labels
        self._rate = rate
        width = len(WINDOW.names(SCHEMA.names))
        rng = np.random.default_rng(0)
        self._weights = [rng.normal(0, 0.05, (width, hidden)), rng.normal(0, 0.3, (hidden, len(labels)))]
        self._mean, self._power, self._count = np.zeros(width), np.ones(width), 1.0

    def loss(self, row: Array, label: str) -> float:
        """Cross-entropy, in nats."""
        _, _, shares = self._forward(row)
        return float(-np.log(max(shares[self.labels.index(label)], 1e-9)))

    def learn(self, row: Array, label: str) -> None:
        """One step of gradient descent."""
        scaled, hidden, shares = self._forward(row)
        error = shares.copy()
        error[self.labels.index(label)] -= 1
        slopes = [np.outer(scaled, (self._weights[1] @ error) * (hidden > 0)), np.outer(hidden, error)]
        for index, slope in enumerate(slopes):
            self._weights[index] -= self._rate * slope

    def see(self, row: Array) -> None:
        """Keep the running mean and variance of the features."""
        self._count += 1
        self._mean += (row - self._mean) / self._count
        self._power += ((row - self._mean) ** 2 - self._power) / self._count

    def _forward(self, row: Array) -> tuple[Array, Array, Array]:
        scaled = np.clip((row - self._mean) / np.sqrt(self._power + 1e-3), -3, 3)
        hidden = np.maximum(scaled @ self._weights[0], 0)
        logits = hidden @ self._weights[1]
        shares = np.exp(logits - logits.max())
        return scaled, hidden, shares / shares.sum()


def main() -> None:
    """Run the clip a few times through one student; print the loss, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", help="a video (default: the sample clip)")
    parser.add_argument("--passes", type=int, default=4, help="how often to run it (default 4)")
    parser.add_argument("--curve", type=Path, help="the picture of the loss to write (PNG)")
    parser.add_argument("--dry-run", action="store_true", help="print the windows, and learn nothing")
    options = parser.parse_args()
    video = options.video or str(ensure_clip())
    graph = TransportOptions("embedded", model_name="holisticLandmarks")
    if options.dry_run:
        StreamClient(video, dry_run(window=WINDOW), graph).run()
        return
    student = Student(read_label_names(project_file("models/pose_classifier/labels.txt")))
    rng = np.random.default_rng(1)
    losses: list[float] = []
    buffer = TrainingBuffer(window=WINDOW)

    def row_of(sample: LandmarkWindow) -> Array:
        return WINDOW.pool(SCHEMA.compute(sample.landmarks, np.arange(len(sample.landmarks)) / WINDOW.rate))

    def learn() -> None:
        for sample in buffer:
            row = row_of(sample)
            student.see(row)
            losses.append(student.loss(row, sample.label))
            student.learn(row, sample.label)
            for older in buffer.sample(REPLAYED, rng, uncertainty_weight=1.0):
                student.learn(row_of(augment(older, rng)), older.label)

    for number in range(1, options.passes + 1):
        client = StreamClient(video, buffer, graph)
        before = len(losses)
        loop = threading.Thread(target=learn, name="training loop")
        try:
            client.start()
            loop.start()
            client.wait()
        finally:
            buffer.close()
            if loop.ident is not None:
                loop.join()
        mean = float(np.mean(losses[before:])) if len(losses) > before else float("nan")
        print(f"pass {number}: {len(losses) - before} windows, loss {mean:.3f}; {buffer.counts}")
    if options.curve:
        draw(losses, options.curve)


def draw(losses: list[float], path: Path, block: int = 20) -> None:
    """The mean loss of each ``block`` windows."""
    means = [float(np.mean(losses[at : at + block])) for at in range(0, len(losses), block)]
    picture = Image.new("RGB", (640, 320), "white")
    pen = ImageDraw.Draw(picture)
    top = max(means)
    points = [(50 + 570 * i / max(1, len(means) - 1), 280 - 250 * mean / top) for i, mean in enumerate(means)]
    pen.line([(50, 20), (50, 280), (620, 280)], "gray")
    pen.line(points, "steelblue", 3)
    pen.text((6, 24), f"{top:.2f}", "black")
    pen.text((6, 272), "0", "black")
    pen.text((200, 294), f"loss before learning, {len(losses)} windows in blocks of {block}", "black")
    picture.save(path)


if __name__ == "__main__":
    main()
