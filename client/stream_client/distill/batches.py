"""Batches of samples as tensors, and their random variations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from stream_client.distill.joints import JointSet
from stream_client.distill.samples import PoseSample


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images uint8 [n, 128, 128, 3], joints float32 [n, joints, 3] in meters, visible bool [n, joints]."""

    images: Tensor
    joints: Tensor
    visible: Tensor


class Uniform(Protocol):
    """Uniform numbers between two bounds, [samples, *shape]."""

    def __call__(self, low: float, high: float, *shape: int) -> Tensor:
        """Draw them."""


def batch_of(samples: Sequence[PoseSample]) -> Batch:
    """The samples as they are."""
    return Batch(
        torch.from_numpy(np.stack([sample.crop for sample in samples])),
        torch.from_numpy(np.stack([sample.joints for sample in samples])),
        torch.from_numpy(np.stack([sample.visible for sample in samples])),
    )


@dataclass(frozen=True, slots=True)
class Variation:
    """How far samples are varied; 0 leaves them.

    ``flip`` is the share of mirrored ones. The crop is turned by up to ``degrees``, its content scaled by up to
    1 + ``scale``, moved by up to ``shift`` of its side. ``color`` is the most that brightness, contrast and each
    channel change, ``noise`` the standard deviation of pixels, both of the range of values. ``occlusion`` is the share
    of crops of which a rectangle is hidden.
    """

    flip: float = 0.5
    degrees: float = 10.0
    scale: float = 0.15
    shift: float = 0.05
    color: float = 0.2
    noise: float = 0.02
    occlusion: float = 0.3


def varied(batch: Batch, joint_set: JointSet, variation: Variation, generator: torch.Generator) -> Batch:
    """The batch, each sample varied at random. Joints turn and are mirrored with their crop; size and place of a person
    in the crop do not change them.
    """
    count = len(batch.images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    angle = uniform(-variation.degrees, variation.degrees) * (math.pi / 180)
    mirrored = torch.rand(count, generator=generator) < variation.flip
    sign = torch.where(mirrored, -1.0, 1.0)
    # Rows of the matrix from the varied crop to the crop: a rotation, after a reflection of x.
    turn = torch.stack(
        [torch.stack([sign * angle.cos(), -angle.sin()], 1), torch.stack([sign * angle.sin(), angle.cos()], 1)], 1
    )
    zoom = torch.exp(uniform(-1, 1) * math.log1p(variation.scale))
    move = uniform(-2 * variation.shift, 2 * variation.shift, 2, 1)
    images = batch.images.permute(0, 3, 1, 2).to(torch.float32) / 255
    grid = affine_grid(torch.cat([turn / zoom[:, None, None], move], 2), list(images.shape), align_corners=False)
    images = grid_sample(images, grid, align_corners=False)
    images = _recolored(images, variation, uniform)
    images = _occluded(images, variation, uniform)
    images = images + torch.randn(images.shape, generator=generator) * variation.noise

    order = torch.from_numpy(joint_set.mirror)
    joints = torch.where(mirrored[:, None, None], batch.joints[:, order], batch.joints)
    visible = torch.where(mirrored[:, None], batch.visible[:, order], batch.visible)
    flat = torch.einsum("nij,nki->nkj", turn, joints[..., :2])  # the inverse of the matrix is its transpose
    return Batch(
        (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1),
        torch.cat([flat, joints[..., 2:]], -1),
        visible,
    )


def _recolored(images: Tensor, variation: Variation, uniform: Uniform) -> Tensor:
    contrast = 1 + uniform(-variation.color, variation.color, 1, 1, 1)
    channels = 1 + uniform(-variation.color, variation.color, 3, 1, 1) / 2
    brightness = uniform(-variation.color, variation.color, 1, 1, 1) / 2
    recolored: Tensor = ((images - 0.5) * contrast + 0.5) * channels + brightness
    return recolored


def _occluded(images: Tensor, variation: Variation, uniform: Uniform) -> Tensor:
    """A rectangle of one color, of a tenth to a half of the sides, somewhere."""
    side = images.shape[-1]
    size = uniform(0.1, 0.5, 2)
    start = uniform(0, 1, 2) * (1 - size)
    at = (torch.arange(side) + 0.5) / side
    inside = (at >= start[..., None]) & (at < (start + size)[..., None])  # [n, 2, side]
    hidden = inside[:, 0, :, None] & inside[:, 1, None, :] & (uniform(0, 1) < variation.occlusion)[:, None, None]
    return torch.where(hidden[:, None], uniform(0, 1, 3, 1, 1), images)
