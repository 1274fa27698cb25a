"""The curves of a training as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from stream_client.distill.progress import Point


def draw(points: Sequence[Point], path: Path) -> None:
    """The error on held-out samples, beside the error that the student expects and that of the mean pose; the loss."""
    steps = [point.step for point in points]
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for label, style, values in (
        ("mean pose", ":", [point.mean_pose for point in points]),
        ("student", "-", [point.mpjpe for point in points]),
        ("student, as it expects", "--", [point.expected for point in points]),
    ):
        above.plot(steps, [1000 * value for value in values], style, label=label)
    above.set_ylabel("held out: distance to the teacher (mm)")
    above.set_ylim(bottom=0)
    above.legend()
    below.plot(steps, [point.loss for point in points], color="gray")
    below.set_ylabel("loss")
    below.set_xlabel("steps")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
