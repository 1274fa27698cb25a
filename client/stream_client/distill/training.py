"""The training loop: batches from memory, evaluations on what is held out, until it is long enough."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from stream_client.distill.learner import Learner
from stream_client.distill.memory import Memory
from stream_client.distill.progress import Point, since_best
from stream_client.distill.samples import PoseSample
from stream_client.distill.scores import mean_pose, scores_of


@dataclass(frozen=True, slots=True)
class Limits:
    """When a training ends: after ``steps``, after ``seconds`` (``None``: never), or after ``patience`` evaluations
    without a better one. It is evaluated every ``evaluate_every`` steps. ``batch`` samples make a step.
    """

    steps: int
    seconds: float | None
    patience: int
    evaluate_every: int
    batch: int


@dataclass(slots=True)
class Training:
    """A training that goes on. ``points`` are its evaluations so far; ``reason`` is why it ended."""

    learner: Learner
    memory: Memory
    held_out: Sequence[PoseSample]
    limits: Limits
    points: list[Point] = field(default_factory=list)
    reason: str = ""

    def run(self, on_point: Callable[[Point], object]) -> None:
        """Train to one of the limits. ``on_point`` is called after each evaluation; the learner has its best state then
        kept. The samples have to be there: at least one in memory, and one held out.
        """
        learner, limits = self.learner, self.limits
        began = time.monotonic() - (self.points[-1].seconds if self.points else 0.0)
        if learner.step == 0:
            learner.begin_with(mean_pose(self.memory.samples))
        losses: list[float] = []
        while not self.reason:
            seconds = time.monotonic() - began
            progress = max(learner.step / limits.steps, seconds / limits.seconds if limits.seconds else 0.0)
            losses.append(learner.learn(self.memory.batch(limits.batch), progress))
            over = progress >= 1.0 or learner.step >= limits.steps
            if over or learner.step % limits.evaluate_every == 0:
                self._evaluate(float(np.mean(losses)), time.monotonic() - began)
                losses.clear()
                if over:
                    self.reason = "its steps are done" if learner.step >= limits.steps else "its time is over"
                elif since_best(self.points) >= limits.patience:
                    self.reason = f"{limits.patience} evaluations were no better than the best one"
                on_point(self.points[-1])

    def _evaluate(self, loss: float, seconds: float) -> None:
        joints, errors = self.learner.predict(self.held_out)
        scores = scores_of(joints, self.held_out, errors)
        mean = scores_of(mean_pose(self.memory.samples), self.held_out)
        self.points.append(
            Point(
                step=self.learner.step,
                seconds=seconds,
                samples=self.memory.seen,
                loss=loss,
                mpjpe=scores.mpjpe,
                pck=scores.pck,
                expected=scores.expected,
                mean_pose=mean.mpjpe,
            )
        )
        if since_best(self.points) == 0:
            self.learner.keep_best()
