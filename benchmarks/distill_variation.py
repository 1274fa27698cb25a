"""What varying the samples is worth to a student of ``distill``: equal steps, several seeds, samples labeled once.

    python benchmarks/distill_variation.py --video FILE … --held_out FILE [--steps 300] [--seeds 3]

Prints, for each seed, the distance in millimeters to the teacher's joints in what is held out, after the last step, and
the mean pose's. Needs the extra ``distill``.
"""

import argparse
import statistics
from collections.abc import Sequence

import numpy as np
import torch

from stream_client.distill.batches import Variation
from stream_client.distill.collection import collect
from stream_client.distill.joints import MEDIAPIPE
from stream_client.distill.learner import Learner
from stream_client.distill.memory import Memory
from stream_client.distill.options import DistillOptions
from stream_client.distill.progress import Point
from stream_client.distill.samples import PoseSample
from stream_client.distill.streams import named_streams
from stream_client.distill.teacher import GraphTeacher
from stream_client.distill.training import Limits, Training
from stream_client.training.newest import NewestSamples

OPTIONS = DistillOptions()


def labeled(videos: Sequence[str], held_out: Sequence[str]) -> tuple[list[PoseSample], list[PoseSample]]:
    """The samples to learn from, and those that are held out."""
    streams = named_streams(videos, held_out)
    learned: list[PoseSample] = []
    teacher = GraphTeacher(MEDIAPIPE)
    try:
        with collect(
            lambda: streams, teacher, OPTIONS, lambda one, held: None if held else learned.append(one)
        ) as made:
            while not made.producer.wait(0.5):
                pass
            made.wait(1)  # raises where nobody was seen
            return learned, list(made.held_out.samples)
    finally:
        teacher.close()


def trained(learned: Sequence[PoseSample], held_out: Sequence[PoseSample], steps: int, seed: int, vary: bool) -> Point:
    """The last evaluation of a student."""
    newest: NewestSamples[PoseSample] = NewestSamples(OPTIONS.buffer)
    for sample in learned:
        newest.add(sample)
    memory = Memory(newest, OPTIONS.memory, np.random.default_rng(seed))
    memory.wait(0)
    variation = Variation() if vary else None
    learner = Learner(MEDIAPIPE, rate=OPTIONS.learning_rate, variation=variation, seed=seed)
    training = Training(learner, memory, held_out, Limits(steps, None, steps, steps, OPTIONS.batch))
    training.run(lambda point: None)
    return training.points[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", nargs="+", required=True)
    parser.add_argument("--held_out", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    learned, held_out = labeled(options.video, options.held_out)
    for vary in (True, False):
        points = [trained(learned, held_out, options.steps, seed, vary) for seed in range(options.seeds)]
        found = [1000 * point.mpjpe for point in points]
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        each = ", ".join(f"{one:.0f}" for one in found)
        near = statistics.mean(point.pck for point in points)
        print(
            f"{'varied' if vary else 'as they are'}: {statistics.mean(found):.0f} ± {spread:.0f} mm ({each}), "
            f"{near:.0%} within 150 mm; mean pose {1000 * points[0].mean_pose:.0f} mm",
            flush=True,
        )


if __name__ == "__main__":
    main()
