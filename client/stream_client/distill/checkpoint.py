"""Checkpoints: what a training needs to go on later. There is no picture in them."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from stream_client.distill.learner import Learner
from stream_client.distill.progress import Point
from stream_client.errors import ConfigurationError

FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a :class:`.Learner`, its joints, and the points of its curve so far."""

    joints: tuple[str, ...]
    learner: dict[str, Any]
    points: tuple[Point, ...]


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a model directory: they would write the same checkpoint.

    Leaves no file. Raises :class:`.ConfigurationError` where one works there.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another training writes into {folder}: name another folder", option="out"
            ) from error
        yield
    finally:
        os.close(lock)


def save(folder: Path, learner: Learner, points: Sequence[Point]) -> None:
    """Write ``checkpoint.pt``; the one before stays until it is whole. Raises :class:`.ConfigurationError`."""
    part = folder / f".{FILE}.part"
    content = {
        "joints": list(learner.joint_set.names),
        "learner": learner.state(),
        "points": [asdict(point) for point in points],
    }
    try:
        with part.open("wb") as file:
            torch.save(content, file)
        os.replace(part, folder / FILE)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"cannot write {folder / FILE}: {error}", option="out") from error
    finally:
        part.unlink(missing_ok=True)  # where it did not become the checkpoint, it would keep a full disk full


def load(folder: Path) -> Checkpoint:
    """The checkpoint of a model directory. No code in it is run. Raises :class:`.ConfigurationError`."""
    path = folder / FILE
    try:
        content = torch.load(path, weights_only=True)
        points = tuple(Point(**point) for point in content["points"])
        return Checkpoint(tuple(content["joints"]), content["learner"], points)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} does not exist: begin without it", option="resume") from error
    except Exception as error:
        raise ConfigurationError(f"{path} is no checkpoint of a student: delete it", option="resume") from error


def restore(checkpoint: Checkpoint, learner: Learner) -> None:
    """Make ``learner`` go on from there. Raises :class:`.ConfigurationError` for another student."""
    if checkpoint.joints != learner.joint_set.names:
        raise ConfigurationError(
            f"the checkpoint's student learns {len(checkpoint.joints)} joints, not {len(learner.joint_set)}",
            option="joints",
        )
    try:
        learner.restore(checkpoint.learner)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise ConfigurationError("the checkpoint is of another student: delete it", option="resume") from error
