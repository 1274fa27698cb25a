"""A student in training: its optimizer, its schedule, its best state so far."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from stream_client.distill.batches import Variation, batch_of, varied
from stream_client.distill.joints import Array, JointSet
from stream_client.distill.samples import PoseSample
from stream_client.distill.student import Student, loss_of, predict

_WARM_UP = 50
"""Steps in which the learning rate grows."""
_LEAST_RATE = 0.02
"""Of the highest learning rate: where the schedule ends."""


class Learner:
    """Trains a :class:`.Student`, one batch a step. ``variation`` is ``None`` to learn from samples as they are."""

    def __init__(self, joint_set: JointSet, *, rate: float, variation: Variation | None, seed: int) -> None:
        torch.manual_seed(seed)
        self.joint_set = joint_set
        self.student = Student(len(joint_set))
        self.step = 0
        """Steps so far."""
        self._rate = rate
        self._variation = variation
        self._generator = torch.Generator().manual_seed(seed)
        self._optimizer = torch.optim.AdamW(self.student.parameters(), lr=rate, weight_decay=0.05)
        self._best: Mapping[str, Any] = {}

    def begin_with(self, mean_pose: Array) -> None:
        """Answer with the mean pose before the first step."""
        self.student.begin_with(mean_pose)

    def learn(self, samples: Sequence[PoseSample], progress: float) -> float:
        """A step; its loss. ``progress`` is the share of the training that is over, 0…1."""
        batch = batch_of(samples)
        if self._variation is not None:
            batch = varied(batch, self.joint_set, self._variation, self._generator)
        warm = min(1.0, (self.step + 1) / _WARM_UP)
        cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * warm * (_LEAST_RATE + (1 - _LEAST_RATE) * cosine)
        self.student.train()
        joints, errors = self.student(batch.images)
        loss = loss_of(joints, errors, batch.joints, batch.visible)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def predict(self, samples: Sequence[PoseSample]) -> tuple[Array, Array]:
        """Joints and expected errors, as :func:`.predict`."""
        return predict(self.student, np.stack([sample.crop for sample in samples]))

    def keep_best(self) -> None:
        """Remember the student as it is now."""
        self._best = copy.deepcopy(self.student.state_dict())

    def take_best(self) -> None:
        """Make the student what it was at its best."""
        if self._best:
            self.student.load_state_dict(self._best)

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`restore` needs."""
        return {
            "step": self.step,
            "student": self.student.state_dict(),
            "best": self._best,
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Raises ``KeyError``, ``RuntimeError`` or ``ValueError`` where it does not fit."""
        self.student.load_state_dict(state["student"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self._best = state["best"]
        self.step = int(state["step"])
