"""Joints, crops and memory: what needs no network."""

from dataclasses import replace

import numpy as np
import pytest

from stream_client.classify.joints import JOINT
from stream_client.distill.joints import COMOTION, MEDIAPIPE, JointSet
from stream_client.distill.memory import Memory, Reservoir
from stream_client.distill.progress import Point, best, since_best
from stream_client.distill.samples import CROP_SIDE, PoseSample, crop_of
from stream_client.distill.scores import mean_pose, scores_of
from stream_client.training.newest import NewestSamples

RNG = np.random.default_rng(0)
WORLD = RNG.normal(0, 0.5, (33, 3))


def sample(number: int, joints: float = 0.0, visible: bool = True) -> PoseSample:
    crop = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
    return PoseSample("clip", number, crop, np.full((2, 3), joints, np.float32), np.array([True, visible]))


def test_joints_are_relative_to_the_middle_of_the_hips() -> None:
    joints, visible = MEDIAPIPE.of_landmarks(WORLD, np.ones(33))
    middle = (WORLD[JOINT["left_hip"]] + WORLD[JOINT["right_hip"]]) / 2
    np.testing.assert_allclose(joints, WORLD - middle, atol=1e-6)
    assert joints.dtype == np.float32
    assert visible.all()


def test_comotions_27_joints_have_its_names_and_lie_where_the_landmarks_are() -> None:
    assert len(COMOTION) == 27
    assert (COMOTION.names[0], COMOTION.names[12], COMOTION.names[22]) == ("pelvis", "neck", "nose")
    joints, _ = COMOTION.of_landmarks(WORLD, np.ones(33))
    own, _ = MEDIAPIPE.of_landmarks(WORLD, np.ones(33))
    at = dict(zip(COMOTION.names, joints, strict=True))
    np.testing.assert_allclose(at["pelvis"], 0, atol=1e-6)
    for name in ("left_hip", "right_knee", "left_wrist", "nose", "right_ear", "left_eye"):
        np.testing.assert_allclose(at[name], own[JOINT[name]], atol=1e-6)
    np.testing.assert_allclose(at["left_foot"], own[JOINT["left_foot_index"]], atol=1e-6)
    np.testing.assert_allclose(at["neck"], (at["left_shoulder"] + at["right_shoulder"]) / 2, atol=1e-6)
    np.testing.assert_allclose(at["spine2"], at["neck"] / 2, atol=1e-6)
    np.testing.assert_allclose(at["right_collar"], (at["neck"] + at["right_shoulder"]) / 2, atol=1e-6)


@pytest.mark.parametrize("joint_set", [MEDIAPIPE, COMOTION], ids=lambda each: each.name)
def test_weights_add_up_and_the_mirror_exchanges_sides(joint_set: JointSet) -> None:
    np.testing.assert_allclose(joint_set.weights.sum(axis=1), 1, atol=1e-6)
    assert (joint_set.mirror[joint_set.mirror] == np.arange(len(joint_set))).all()
    for name, other in zip(joint_set.names, joint_set.mirror, strict=True):
        exchanged = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        assert joint_set.names[other] == exchanged


def test_a_joint_is_visible_where_all_of_its_landmarks_are() -> None:
    visibility = np.ones(33)
    visibility[JOINT["left_shoulder"]] = 0.4
    _, visible = COMOTION.of_landmarks(WORLD, visibility)
    hidden = {name for name, seen in zip(COMOTION.names, visible, strict=True) if not seen}
    assert hidden == {
        *("left_shoulder", "left_collar", "right_collar", "neck", "spine1", "spine2", "spine3"),
    }


def test_a_crop_is_a_square_around_the_box_and_black_outside_of_the_frame() -> None:
    image = np.full((100, 200, 3), 200, np.uint8)
    image[40:60, 0:10] = (255, 0, 0)
    crop = crop_of(image, (0, 40, 10, 60))
    assert crop.shape == (CROP_SIDE, CROP_SIDE, 3)
    assert (crop[:, :20] == 0).all()
    assert (crop[64, 74] == (255, 0, 0)).all()
    assert (crop[64, 120] == 200).all()
    assert crop_of(image, (5, 5, 5, 5)).shape == (CROP_SIDE, CROP_SIDE, 3)


def test_a_batch_is_half_of_the_newest_and_half_of_all_samples() -> None:
    newest: NewestSamples[PoseSample] = NewestSamples(10)
    memory = Memory(newest, 50, np.random.default_rng(0))
    assert memory.batch(4) == []
    for number in range(40):
        newest.add(sample(number))
        memory.wait(0)
    batch = memory.batch(1000)
    assert all(each.timestamp >= 30 for each in batch[:500])
    assert {each.timestamp for each in batch[500:]} == set(range(40))
    assert (memory.seen, len(memory)) == (40, 40)


def test_a_long_video_does_not_drown_a_short_one() -> None:
    newest: NewestSamples[PoseSample] = NewestSamples(1000)
    memory = Memory(newest, 1000, np.random.default_rng(0))
    for number in range(500):
        newest.add(replace(sample(number), source="short" if number % 50 == 0 else "long"))
    share = np.mean([each.source == "short" for each in memory.batch(2000)])
    assert 0.45 < share < 0.55


def test_a_reservoir_stays_small_and_keeps_each_sample_with_the_same_chance() -> None:
    kept = np.zeros(200)
    for seed in range(200):
        reservoir = Reservoir(20, np.random.default_rng(seed))
        for number in range(200):
            reservoir.add(sample(number))
        assert len(reservoir.samples) == 20
        kept[[each.timestamp for each in reservoir.samples]] += 1
    assert abs(kept[:100].sum() - kept[100:].sum()) < 400  # of 4,000; a queue would keep the last 20 alone
    assert kept[:20].sum() > 250


def test_scores_are_of_visible_joints_alone() -> None:
    samples = [sample(0), sample(1, visible=False)]
    answer = np.zeros((2, 2, 3), np.float32)
    answer[0, 0, 0], answer[0, 1, 1], answer[1, 1, 0] = 0.1, 0.2, 9.0
    scores = scores_of(answer, samples, np.full((2, 2), 0.25, np.float32))
    assert scores.mpjpe == pytest.approx(0.1)
    assert scores.pck == pytest.approx(2 / 3)
    assert scores.expected == pytest.approx(0.25)


def test_the_mean_pose_is_of_what_was_visible() -> None:
    mean = mean_pose([sample(0, 1.0), sample(1, 3.0, visible=False)])
    np.testing.assert_allclose(mean, [[2.0] * 3, [1.0] * 3])


def test_patience_counts_evaluations_since_the_best() -> None:
    def point(step: int, mpjpe: float) -> Point:
        return Point(step, 0.0, 0, 0.0, mpjpe, 0.0, 0.0, 0.0)

    assert since_best([]) == 0
    points = [point(1, 0.3), point(2, 0.1), point(3, 0.2), point(4, 0.15)]
    assert since_best(points) == 2
    assert best(points) == points[1]
