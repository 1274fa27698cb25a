"""The student: a small convolutional network from a person's crop to joints, and how sure it is of each."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stream_client.distill.joints import Array
from stream_client.distill.samples import CROP_SIDE

_STEM = 4
"""Pixels of a side that become channels at once: a convolution of all pixels would take half of the time."""
_WIDTHS = (32, 64, 128, 192)
"""Channels at a fourth of the crop's sides, and after each further halving."""
_HIDDEN = 256
_LEAST, _MOST = 0.005, 2.0
"""Meters that an error is expected to be."""


class Student(nn.Module):  # type: ignore[misc]
    """uint8 [n, 128, 128, 3] to joints [n, joints, 3] and errors [n, joints], float32 in meters.

    ``errors`` is the distance to the teacher's joint that the student expects.
    """

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.joints = joints
        first = _WIDTHS[0]
        layers = [nn.PixelUnshuffle(_STEM), _convolution(3 * _STEM**2, first, stride=1), _Residual(first)]
        for before, after in pairwise(_WIDTHS):
            layers += [_convolution(before, after, stride=2), _Residual(after)]
        # Channels last, as the crops are: a CPU trains it in half of the time.
        self.features = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        side = (CROP_SIDE // _STEM) >> (len(_WIDTHS) - 1)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(_WIDTHS[-1] * side * side, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, joints * 4)
        )
        last = self.head[-1]
        nn.init.normal_(last.weight, std=0.001)
        nn.init.zeros_(last.bias)

    def begin_with(self, mean_pose: Array) -> None:
        """Answer with ``mean_pose`` [joints, 3] until something is learned."""
        with torch.no_grad():
            self.head[-1].bias.view(self.joints, 4)[:, :3] = torch.from_numpy(mean_pose)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The joints and the expected errors."""
        values = images.to(torch.float32).permute(0, 3, 1, 2) / 127.5 - 1.0
        answer = self.head(self.features(values)).view(-1, self.joints, 4)
        errors = torch.exp(answer[..., 3] - 2.0).clamp(_LEAST, _MOST)
        return answer[..., :3], errors


def loss_of(joints: Tensor, errors: Tensor, wanted: Tensor, visible: Tensor) -> Tensor:
    """Mean distance of the visible joints in meters, and how well the errors tell it.

    The second part is the negative logarithm of the likelihood of the distance ``d`` under a Laplace density in space,
    exp(-3 d / e) / e³, a third of it: d / e + log e, least where ``e`` is the expected distance. It does not move the
    joints: where it did, a student would give up joints that are hard (Seitzer et al., "On the pitfalls of
    heteroscedastic uncertainty estimation", ICLR 2022).
    """
    distances = torch.linalg.vector_norm(joints - wanted, dim=-1)
    fit = distances.detach() / errors + torch.log(errors)
    weights = visible.to(distances.dtype)
    total: Tensor = ((distances + 0.05 * fit) * weights).sum() / weights.sum().clamp(min=1.0)
    return total


class _Residual(nn.Module):  # type: ignore[misc]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = _convolution(width, width, stride=1)

    def forward(self, values: Tensor) -> Tensor:
        return values + self.inner(values)


def _convolution(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.SiLU()
    )


def predict(student: Student, crops: npt.NDArray[np.uint8], batch: int = 128) -> tuple[Array, Array]:
    """Joints and errors of crops [n, 128, 128, 3], as arrays. The student is in its state of evaluation afterwards."""
    student.eval()
    joints, errors = [], []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            answer = student(torch.from_numpy(crops[start : start + batch]))
            joints.append(answer[0].numpy())
            errors.append(answer[1].numpy())
    return np.concatenate(joints), np.concatenate(errors)
