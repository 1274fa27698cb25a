import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.classify.features import FeatureSchema
from stream_client.classify.joints import BODY, JOINT, MIRROR, mirrored
from stream_client.errors import ConfigurationError

SCHEMA = FeatureSchema(coordinates=("left_wrist", "nose"), hands=("left_hand", "right_hand"))
Array = npt.NDArray[np.float64]


def body(seed: int = 0, steps: int = 4, points: int = 75) -> Array:
    """A person of random shape that moves a little, torso about 100 long."""
    rng = np.random.default_rng(seed)
    shape = rng.normal(0, 60, (points, 3))
    shape[[JOINT["left_shoulder"], JOINT["right_shoulder"]]] = [[-30, -100, 0], [30, -100, 5]]
    shape[[JOINT["left_hip"], JOINT["right_hip"]]] = [[-20, 0, 0], [20, 0, 3]]
    moved: Array = shape + rng.normal(0, 3, (steps, points, 3)).cumsum(axis=0)
    return moved


TIMES = np.arange(4) * 0.05


@given(
    seed=st.integers(0, 2**32 - 1),
    x=st.floats(-1e4, 1e4),
    y=st.floats(-1e4, 1e4),
    z=st.floats(-1e4, 1e4),
    scale=st.floats(0.01, 100),
)
def test_features_do_not_depend_on_place_or_size(seed: int, x: float, y: float, z: float, scale: float) -> None:
    landmarks = body(seed)
    expected = SCHEMA.compute(landmarks, TIMES)
    moved = SCHEMA.compute(landmarks * scale + np.array([x, y, z]), TIMES)
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-5)


@given(seed=st.integers(0, 2**32 - 1), turn=st.floats(-3.2, 3.2))
def test_shape_features_do_not_depend_on_rotation_in_the_picture(seed: int, turn: float) -> None:
    schema = replace(SCHEMA, velocities=(), coordinates=(), hands=())
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    landmarks = body(seed)
    turned = schema.compute(landmarks @ rotation.T, TIMES)
    np.testing.assert_allclose(turned, schema.compute(landmarks, TIMES), rtol=1e-6, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_computing_a_window_at_once_equals_computing_step_by_step(seed: int) -> None:
    landmarks = body(seed)
    whole = SCHEMA.compute(landmarks, TIMES)
    for step in range(1, 4):
        pair = SCHEMA.compute(landmarks[step - 1 : step + 1], TIMES[step - 1 : step + 1])
        np.testing.assert_array_equal(pair[1], whole[step])


def test_each_feature_has_a_name_of_its_own() -> None:
    assert len(set(SCHEMA.names)) == len(SCHEMA.names) == SCHEMA.compute(body(), TIMES).shape[1]


def _feature(landmarks: Array, name: str) -> float:
    return float(SCHEMA.compute(landmarks, TIMES[: len(landmarks)])[-1, SCHEMA.names.index(name)])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_straight_elbow_is_pi_and_a_square_one_half_of_it(side: str) -> None:
    landmarks = body(steps=1)
    shoulder, elbow, wrist = (JOINT[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist"))
    landmarks[0, elbow] = landmarks[0, shoulder] + [0, 30, 0]
    landmarks[0, wrist] = landmarks[0, elbow] + [0, 30, 0]
    name = f"angle3d:{side}_shoulder-{side}_elbow-{side}_wrist"
    assert _feature(landmarks, name) == pytest.approx(np.pi)
    landmarks[0, wrist] = landmarks[0, elbow] + [30, 0, 0]
    assert _feature(landmarks, name) == pytest.approx(np.pi / 2)


def test_plumb_distance_is_taken_from_the_middle_of_neck_and_hips() -> None:
    landmarks = np.zeros((1, 75, 3))
    landmarks[0, [JOINT["left_shoulder"], JOINT["right_shoulder"]]] = [500, 100, 0]
    landmarks[0, [JOINT["left_hip"], JOINT["right_hip"]]] = [500, 200, 0]
    landmarks[0, JOINT["nose"]] = [500, 50, 0]  # 100 above the midpoint (500, 150); the torso is 100 long
    assert _feature(landmarks, "plumb_distance2d:nose") == pytest.approx(1.0)


def test_velocity_is_in_torso_lengths_a_second() -> None:
    landmarks = np.repeat(body(steps=1), 2, axis=0)
    landmarks[1] += [10.0, 0, 0]
    torso = np.linalg.norm(
        landmarks[0, [JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(0)
        - landmarks[0, [JOINT["left_hip"], JOINT["right_hip"]]].mean(0)
    )
    assert _feature(landmarks, "velocity:mid_hip.x") == pytest.approx(10.0 / torso / 0.05)
    assert _feature(landmarks, "velocity:left_wrist.x") == pytest.approx(0.0, abs=1e-9)


def test_an_absent_hand_is_said_to_be_absent() -> None:
    landmarks = body(steps=1)
    landmarks[0, 33:54] = np.nan
    features = SCHEMA.compute(landmarks, TIMES[:1])
    assert np.isfinite(features).all()
    assert _feature(landmarks, "left_hand:present") == 0.0
    assert _feature(landmarks, "right_hand:present") == 1.0


def test_hips_seen_from_the_side_give_finite_features() -> None:
    landmarks = body(steps=1)
    landmarks[0, JOINT["left_hip"]] = landmarks[0, JOINT["right_hip"]]
    assert np.abs(SCHEMA.compute(landmarks, TIMES[:1])).max() < 1e3


def test_a_point_like_body_gives_finite_features() -> None:
    assert np.isfinite(SCHEMA.compute(np.zeros((3, 75, 3)), TIMES[:3])).all()


def test_the_hash_survives_json_and_tells_schemas_apart() -> None:
    again = FeatureSchema.from_json(json.loads(json.dumps(SCHEMA.to_json())))
    assert again == SCHEMA
    assert again.hash == SCHEMA.hash
    assert replace(SCHEMA, space="world").hash != SCHEMA.hash
    assert replace(SCHEMA, angles=SCHEMA.angles[::-1]).hash != SCHEMA.hash


def test_a_difference_names_what_differs() -> None:
    other = replace(SCHEMA, angles=SCHEMA.angles[1:], space="world")
    text = SCHEMA.difference(other)
    assert "left_shoulder-left_elbow-left_wrist" in text
    assert "'image' against 'world'" in text
    assert not SCHEMA.difference(SCHEMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"velocities": ("tail",)}, "no such joints: tail"),
        ({"hands": ("third_hand",)}, "no such hands: third_hand"),
        ({"dimensions": (4,)}, "dimensions are 2 and 3"),
        ({"space": "outer"}, "image or world"),
    ],
)
def test_an_impossible_schema_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(SCHEMA, **change)  # type: ignore[arg-type]


def test_landmarks_of_another_shape_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"33 or 75, 3\], not \[1, 17, 3\]"):
        SCHEMA.compute(np.zeros((1, 17, 3)), np.zeros(1))
    with pytest.raises(ConfigurationError, match="hand features"):
        SCHEMA.compute(np.zeros((1, 33, 3)), np.zeros(1))


def test_mirroring_twice_changes_nothing_and_once_exchanges_the_sides() -> None:
    landmarks = body()
    np.testing.assert_array_equal(mirrored(mirrored(landmarks)), landmarks)
    assert BODY[MIRROR[JOINT["left_wrist"]]] == "right_wrist"
    assert BODY[MIRROR[JOINT["mouth_left"]]] == "mouth_right"
    assert MIRROR[33] == 54
