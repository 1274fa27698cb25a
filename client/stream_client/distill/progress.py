"""The points of a training's curve, and when it has gone on for long enough."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """An evaluation after ``step`` steps and ``seconds`` of training. ``samples`` is how many had come by then.

    ``loss`` is the mean since the point before; ``mpjpe``, ``pck`` and ``expected`` are :class:`.Scores` on held-out
    samples, ``mean_pose`` is the ``mpjpe`` of the mean pose of what was learned from.
    """

    step: int
    seconds: float
    samples: int
    loss: float
    mpjpe: float
    pck: float
    expected: float
    mean_pose: float

    def line(self) -> str:
        """For people."""
        return (
            f"step {self.step}, {self.samples} samples: loss {self.loss:.3f}, held out {1000 * self.mpjpe:.0f} mm "
            f"({1000 * self.expected:.0f} expected), {self.pck:.0%} within 150 mm; mean pose "
            f"{1000 * self.mean_pose:.0f} mm"
        )


def best(points: Sequence[Point]) -> Point | None:
    """The point with the least error."""
    return min(points, key=lambda point: point.mpjpe, default=None)


def since_best(points: Sequence[Point]) -> int:
    """Evaluations after the best one."""
    errors = [point.mpjpe for point in points]
    return len(errors) - 1 - errors.index(min(errors)) if errors else 0
