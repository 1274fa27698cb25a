from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stream_client.classify.joints import BODY
from stream_client.compat.streamposeml.keypoints import joint_positions, read_pose
from stream_client.errors import ConfigurationError

POINTS = np.random.default_rng(3).uniform(0, 1, (33, 3))
POINT_LIST = [dict(zip("xyz", point, strict=True)) for point in POINTS.tolist()]


@pytest.mark.parametrize(
    "keypoints",
    [
        {"landmarks": [POINT_LIST]},
        {"landmarks": [[{**point, "visibility": 0.9} for point in POINT_LIST]], "worldLandmarks": [[]]},
        {"landmarks": POINT_LIST},
        {"landmarks": [[SimpleNamespace(**point) for point in POINT_LIST]]},
        {"joint_positions": dict(zip(BODY, POINT_LIST, strict=True))},
        {"joint_positions": joint_positions(POINTS)},
    ],
)
def test_every_form_of_keypoints_is_the_same_pose(keypoints: dict[str, Any]) -> None:
    pose = read_pose(keypoints)
    assert pose is not None
    np.testing.assert_allclose(pose.points, POINTS)
    assert pose.size is None


@pytest.mark.parametrize("keypoints", [{"landmarks": []}, {"landmarks": [[]]}, {"joint_positions": {}}])
def test_nobody_is_no_pose(keypoints: dict[str, Any]) -> None:
    assert read_pose(keypoints) is None


def test_the_size_of_the_frame_gives_pixels() -> None:
    pose = read_pose({"landmarks": [POINT_LIST], "image_dimensions": {"height": 200, "width": 100}})
    assert pose is not None
    np.testing.assert_allclose(pose.in_pixels((640, 480)), POINTS * [100, 200, 100])


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        ([1, 2], "a dictionary with 'landmarks' or 'joint_positions'"),
        ({"pose": 1}, "only pose"),
        ({"landmarks": [POINT_LIST[:5]]}, "33 points, not 5"),
        ({"landmarks": [[{"y": 1.0}] * 33]}, "x, y and z"),
        ({"landmarks": [[{"x": float("nan"), "y": 1.0, "z": 0.0}] * 33]}, "not numbers"),
        ({"joint_positions": {"nose": POINT_LIST[0]}}, "lack left_eye_inner"),
    ],
)
def test_other_keypoints_are_refused_with_what_is_amiss(keypoints: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_pose(keypoints)
