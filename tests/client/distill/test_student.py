"""The network and its training, on what a teacher of white bars sees."""

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import openvino  # noqa: F401 - starts a thread (telemetry): before any test counts threads
import pytest

from kserve_wire.openvino_core import new_core
from stream_client.distill.joints import MEDIAPIPE
from stream_client.distill.options import DistillOptions
from stream_client.distill.progress import Point
from stream_client.distill.samples import PoseSample, crop_of
from stream_client.distill.streams import Stream
from stream_client.errors import ConfigurationError
from tests.support.puppet import PuppetTeacher, bar, pose_of

pytestmark = [pytest.mark.usefixtures("pytorch"), pytest.mark.timeout(180)]


def sample(angle: float) -> PoseSample:
    image = bar(angle)
    direction = np.array([np.cos(angle), np.sin(angle)])
    return PoseSample("bar", 0, crop_of(image, (0, 0, 96, 96)), pose_of(direction), np.ones(33, bool))


def streams(bars: tuple[Path, Path]) -> list[Stream]:
    return [Stream(str(bars[1]), "held.mp4", "hold_out"), Stream(str(bars[0]), "train.mp4")]


def options(out: Path, **changed: object) -> DistillOptions:
    small = DistillOptions(out=out, steps=60, evaluate_every=20, batch=16, patience=20)
    return replace(small, **changed)  # type: ignore[arg-type]


def direction_in(crop: np.ndarray) -> np.ndarray:
    """Where the white bar of a crop points."""
    y, x = np.argwhere(crop.min(axis=-1) > 128).mean(axis=0) - 63.5
    return np.asarray(np.array([x, y]) / np.hypot(x, y))


def test_joints_turn_and_are_mirrored_with_their_crop() -> None:
    import torch

    from stream_client.distill.batches import Variation, batch_of, varied

    still = Variation(scale=0.2, shift=0.0, color=0.0, noise=0.0, occlusion=0.0, degrees=30.0, flip=0.5)
    batch = batch_of([sample(0.1 * number) for number in range(60)])
    changed = varied(batch, MEDIAPIPE, still, torch.Generator().manual_seed(0))
    moved = (changed.joints - batch.joints).abs().amax(dim=(1, 2))
    assert float(moved.max()) > 0.3
    tip = MEDIAPIPE.mirror[31]  # of a mirrored person the last joint but one is the left foot's
    for number in range(60):
        joints = changed.joints[number].numpy()
        last = max((joints[31], joints[tip]), key=lambda at: float(np.hypot(*at[:2])))
        told = last[:2] / np.hypot(*last[:2])
        assert float(told @ direction_in(changed.images[number].numpy())) > 0.99


def test_a_mirrored_person_has_left_and_right_exchanged() -> None:
    import torch

    from stream_client.distill.batches import Variation, batch_of, varied

    only = Variation(scale=0.0, shift=0.0, color=0.0, noise=0.0, occlusion=0.0, degrees=0.0, flip=1.0)
    one = replace(sample(0.5), visible=np.arange(33) != 11)
    changed = varied(batch_of([one]), MEDIAPIPE, only, torch.Generator())
    np.testing.assert_array_equal(changed.images[0].numpy(), one.crop[:, ::-1])
    left = one.joints[11] * (-1, 1, 1)
    np.testing.assert_allclose(changed.joints[0, 12].numpy(), left, atol=1e-6)
    assert not changed.visible[0, 12]
    assert changed.visible[0, 11]


def test_color_noise_occlusion_size_and_place_change_pixels_and_no_joint() -> None:
    import torch

    from stream_client.distill.batches import Variation, batch_of, varied

    batch = batch_of([sample(0.3)] * 20)
    only = Variation(flip=0.0, degrees=0.0, scale=0.0, shift=0.0, color=0.0, noise=0.0, occlusion=1.0)
    hidden = varied(batch, MEDIAPIPE, only, torch.Generator().manual_seed(0))
    share = (hidden.images != batch.images).any(dim=-1).float().mean(dim=(1, 2))
    assert 0.005 < float(share.min()) < float(share.max()) < 0.26  # a tenth to a half of the sides
    moved = varied(
        batch, MEDIAPIPE, replace(only, occlusion=0.0, scale=0.3, shift=0.1), torch.Generator().manual_seed(0)
    )
    assert float((moved.images != batch.images).any(dim=-1).float().mean()) > 0.02
    recolored = varied(batch, MEDIAPIPE, replace(only, occlusion=0.0, color=0.3), torch.Generator().manual_seed(0))
    assert float((recolored.images != batch.images).float().mean()) > 0.8
    for changed in (hidden, recolored, moved):
        torch.testing.assert_close(changed.joints, batch.joints)


def test_hidden_joints_and_unsure_errors_do_not_move_the_student() -> None:
    import torch

    from stream_client.distill.student import loss_of

    wanted = torch.zeros(1, 2, 3)
    joints = torch.full((1, 2, 3), 1.0, requires_grad=True)
    errors = torch.full((1, 2), 0.5, requires_grad=True)
    loss_of(joints, errors, wanted, torch.tensor([[True, False]])).backward()
    assert joints.grad is not None
    assert errors.grad is not None
    assert float(joints.grad[0, 1].abs().sum()) == float(errors.grad[0, 1]) == 0
    assert torch.linalg.vector_norm(joints.grad[0, 0]) == pytest.approx(1.0)  # the distance's own
    assert float(errors.grad[0, 0]) < 0  # the expected error has to grow towards √3


def test_a_student_learns_is_written_and_answers_alike_everywhere(bars: tuple[Path, Path], tmp_path: Path) -> None:
    from stream_client.distill.distill import distill
    from stream_client.distill.export import Compiled

    points: list[Point] = []
    done = distill(lambda: streams(bars), PuppetTeacher(), options(tmp_path / "bars"), on_point=points.append)
    assert [point.step for point in points] == [20, 40, 60]
    assert points[-1].mean_pose > 0.2
    assert min(point.mpjpe for point in points) < 0.5 * points[-1].mean_pose
    assert done.reason == "its steps are done"
    assert {path.name for path in (tmp_path / "bars").iterdir()} == {"1", "checkpoint.pt"}
    assert {path.name for path in done.folder.iterdir()} == {
        *("bars.onnx", "bars.xml", "bars.bin", "joints.txt", "README.md", "training.json", "curves.png"),
    }
    crops = np.stack([sample(angle).crop for angle in (0.0, 1.0, 2.0)])
    for name in ("bars.onnx", "bars.xml"):
        joints, errors = Compiled(done.folder / name)(crops)
        assert (joints.shape, errors.shape) == ((3, 33, 3), (3, 33))
        np.testing.assert_allclose(joints[0, 31], pose_of(np.array([1.0, 0.0]))[31], atol=0.25)
    card = (done.folder / "README.md").read_text()
    assert "held.mp4" in card
    assert done.table in card
    document = json.loads((done.folder / "training.json").read_text())
    differences = [row["difference"] for row in document["comparison"] if row["difference"] is not None]
    assert len(differences) == 2
    assert max(differences) < 1e-4
    assert document["comparison"][0]["seconds"] > 0
    assert new_core().read_model(done.folder / "bars.xml").input("images").partial_shape[0].is_dynamic


def test_a_training_goes_on_from_its_checkpoint(bars: tuple[Path, Path], tmp_path: Path) -> None:
    from stream_client.distill.distill import distill

    out = tmp_path / "student"

    class Interrupted(Exception):
        pass

    def interrupt(point: object) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        distill(lambda: streams(bars), PuppetTeacher(), options(out, steps=4, evaluate_every=2), on_point=interrupt)
    assert [path.name for path in out.iterdir()] == ["checkpoint.pt"]
    with pytest.raises(ConfigurationError, match=r"has a checkpoint.*\(resume\)"):
        distill(lambda: streams(bars), PuppetTeacher(), options(out))
    done = distill(lambda: streams(bars), PuppetTeacher(), options(out, steps=4, evaluate_every=2, resume=True))
    assert [point.step for point in done.points] == [2, 4]
    assert done.points[1].seconds > done.points[0].seconds


def test_a_checkpoint_of_something_else_is_refused_in_a_line(bars: tuple[Path, Path], tmp_path: Path) -> None:
    from stream_client.distill import checkpoint
    from stream_client.distill.distill import distill
    from stream_client.distill.joints import COMOTION
    from stream_client.distill.learner import Learner

    with pytest.raises(ConfigurationError, match=r"checkpoint\.pt does not exist"):
        distill(lambda: streams(bars), PuppetTeacher(), options(tmp_path, resume=True))
    (tmp_path / "checkpoint.pt").write_bytes(b"something")
    with pytest.raises(ConfigurationError, match="is no checkpoint of a student"):
        distill(lambda: streams(bars), PuppetTeacher(), options(tmp_path, resume=True))
    checkpoint.save(tmp_path, Learner(COMOTION, rate=1e-3, variation=None, seed=0), [])
    with pytest.raises(ConfigurationError, match="learns 27 joints, not 33"):
        distill(lambda: streams(bars), PuppetTeacher(), options(tmp_path, resume=True))


def test_two_trainings_do_not_write_into_one_folder(bars: tuple[Path, Path], tmp_path: Path) -> None:
    from stream_client.distill import checkpoint
    from stream_client.distill.distill import distill

    with (
        checkpoint.claimed(tmp_path),
        pytest.raises(ConfigurationError, match=r"another training writes into .* \(out\)"),
    ):
        distill(lambda: streams(bars), PuppetTeacher(), options(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from stream_client.distill import checkpoint
    from stream_client.distill.joints import COMOTION
    from stream_client.distill.learner import Learner

    def full(content: object, file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "checkpoint.pt").write_bytes(b"before")
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        checkpoint.save(tmp_path, Learner(COMOTION, rate=1e-3, variation=None, seed=0), [])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"before"


def test_a_training_ends_where_it_gets_no_better(bars: tuple[Path, Path], tmp_path: Path) -> None:
    from stream_client.distill.distill import distill

    still = options(tmp_path / "still", learning_rate=1e-12, evaluate_every=2, patience=2, augmentation=False)
    done = distill(lambda: streams(bars), PuppetTeacher(), still)
    assert done.reason == "2 evaluations were no better than the best one"
    assert done.points[-1].step < 60
