"""How a training that goes on is doing."""

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class LearningSnapshot:
    """A training so far. ``samples`` were labeled to learn from, ``held_out`` to evaluate on.

    The rest is of the last evaluation, NaN before it: ``loss``; mean distances of joints to the teacher's in meters, of
    the student (``error``), as it expects them (``expected``) and of the mean pose; ``near`` is the share of joints
    within 150 mm.
    """

    samples: int = 0
    held_out: int = 0
    steps: int = 0
    loss: float = float("nan")
    error: float = float("nan")
    expected: float = float("nan")
    mean_pose: float = float("nan")
    near: float = float("nan")


class Learning:
    """Counts samples and keeps the last evaluation. May be asked and told from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot = LearningSnapshot()

    def add_sample(self, *, held_out: bool) -> None:
        """Count a sample."""
        with self._lock:
            now = self._snapshot
            if held_out:
                self._snapshot = replace(now, held_out=now.held_out + 1)
            else:
                self._snapshot = replace(now, samples=now.samples + 1)

    def evaluated(
        self, steps: int, *, loss: float, error: float, expected: float, mean_pose: float, near: float
    ) -> None:
        """Keep an evaluation after ``steps``."""
        with self._lock:
            self._snapshot = replace(
                self._snapshot,
                steps=steps,
                loss=loss,
                error=error,
                expected=expected,
                mean_pose=mean_pose,
                near=near,
            )

    def snapshot(self) -> LearningSnapshot:
        """How it is now."""
        with self._lock:
            return self._snapshot
