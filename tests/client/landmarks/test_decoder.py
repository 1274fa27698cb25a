"""From a graph's tensors to landmarks: where a crop lies, the parts, the smoothing."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph_server.holistic.pose import Pose as ServerPose
from graph_server.holistic.pose import PoseSmoother as ServerSmoother
from stream_client.frames import Landmarks, Tensor
from stream_client.landmarks.decoder import LandmarkDecoder, coordinate_image, placement
from stream_client.landmarks.smoothing import PoseSmoother

SIZE = (1280, 720)


def crop_of(corner: complex, edge: complex, size: tuple[int, int] = SIZE) -> npt.NDArray[np.float64]:
    """What a graph gives for a square region: its top left corner and upper edge are in pixels of the frame."""
    picture = coordinate_image(*size)
    scale = np.array([picture.shape[1] / size[0], picture.shape[0] / size[1]])
    corners = [corner, corner + edge, corner + 1j * edge]
    source = np.array([[c.real, c.imag] for c in corners]) * scale
    target = np.array([[0, 0], [16, 0], [0, 16]])
    matrix = cv2.getAffineTransform(target.astype(np.float32), source.astype(np.float32))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, (16, 16), flags=flags, borderMode=cv2.BORDER_CONSTANT).astype(np.float64)


def tensors(**rows: npt.NDArray[np.floating]) -> dict[str, Tensor]:
    return {name: Tensor(name, "FP32", row.astype(np.float32)[None]) for name, row in rows.items()}


def pose_row(corner: complex = 300 + 100j, edge: complex = 500 + 0j, presence: float = 0.9) -> npt.NDArray[np.float64]:
    """A pose whose every point lies in the middle of the crop, but for the nose, at its top left corner."""
    table = np.tile(np.array([128.0, 128.0, 25.6, 4.0, -4.0]), (39, 1))
    table[0, :3] = 0
    table[34, :2] = [128, 64]
    world = np.tile(np.array([0.1, -0.2, 0.3]), (39, 1))
    return np.concatenate([table.ravel(), world.ravel(), [presence], crop_of(corner, edge).ravel()])


@given(
    st.floats(100, 1100),
    st.floats(100, 600),
    st.floats(60, 900),
    st.floats(-3.14, 3.14),
    st.sampled_from([SIZE, (448, 250), (720, 1280), (640, 480)]),
)
@example(100.0, 100.0, 628.0, 0.0, (720, 1280))  # two thirds of it are outside of the frame
def test_a_crop_of_the_coordinates_tells_where_it_lies(
    x: float, y: float, side: float, angle: float, size: tuple[int, int]
) -> None:
    middle = complex(x * size[0] / 1280, y * size[1] / 720)
    edge = side * size[1] / 720 * complex(np.cos(angle), np.sin(angle))
    corner = middle - edge * (0.5 + 0.5j)
    place = placement(crop_of(corner, edge, size), size)
    assert place is not None
    # The frame has 256 steps of color a side. Where it does not reach, the place is extrapolated.
    for share in (across + 1j * down for across in np.linspace(0, 1, 5) for down in np.linspace(0, 1, 5)):
        there = corner + edge * share
        inside = 0 <= there.real <= size[0] and 0 <= there.imag <= size[1]
        assert abs(place.corner + place.edge * share - there) < (0.004 if inside else 0.006) * max(size)


def test_a_crop_beside_the_picture_is_no_place() -> None:
    assert placement(crop_of(5000 + 5000j, 100 + 0j), SIZE) is None
    assert placement(np.zeros((16, 16, 3)), SIZE) is None


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (640, 480), (448, 250), (64, 48), (16, 4000), (4000, 16)])
def test_the_coordinate_image_is_small_and_of_the_frames_aspect(size: tuple[int, int]) -> None:
    height, width = coordinate_image(*size).shape[:2]
    assert width % 16 == 0
    assert width <= 256
    if min(size) >= 48 and max(size) <= 4 * min(size):
        assert width / height == pytest.approx(size[0] / size[1], rel=0.005)


def test_a_pose_is_placed_on_the_picture_and_turned_with_the_region() -> None:
    outputs = tensors(pose=pose_row(300 + 100j, 500j))  # turned by a right angle: its upper edge points down
    found = LandmarkDecoder().decode(outputs, SIZE, SIZE, 0)
    assert found is not None
    assert found.pose.shape == (33, 5)
    assert found.size == SIZE
    assert found.pose[0, :2] * SIZE == pytest.approx([300, 100], abs=1)
    assert found.pose[5, :2] * SIZE == pytest.approx([50, 350], abs=1)
    assert found.pose[5, 2] == pytest.approx(0.1 * 500 / 1280, abs=1e-3)
    assert found.pose[5, 3:] == pytest.approx([0.982, 0.018], abs=1e-3)
    assert found.pose_world[5] == pytest.approx([0.2, 0.1, 0.3], abs=0.01)
    assert found.left_hand is None
    assert found.face is None


def test_landmarks_are_relative_to_the_picture_without_its_padding() -> None:
    outputs = tensors(pose=pose_row())
    padded = LandmarkDecoder().decode(outputs, SIZE, (1270, 720), 0)
    assert padded is not None
    assert padded.pixels()[0, :2] == pytest.approx([300, 100], abs=1)
    assert padded.pose[0, 0] == pytest.approx(300 / 1270, abs=1e-3)


def test_hands_and_face_are_found_where_they_are_present() -> None:
    crop = crop_of(200 + 200j, 112 + 0j)
    hand = np.concatenate([np.tile([112.0, 112.0, 22.4], 21), [0.6], crop.ravel()])
    absent = np.concatenate([np.tile([112.0, 112.0, 22.4], 21), [0.4], crop.ravel()])
    face = np.concatenate([np.tile([96.0, 0.0, 0.0], 468), [0.1], crop.ravel()])
    outputs = tensors(pose=pose_row(), left_hand=hand, right_hand=absent, face=face)
    found = LandmarkDecoder().decode(outputs, SIZE, SIZE, 0)
    assert found is not None
    assert found.left_hand is not None
    assert found.face is not None
    assert found.right_hand is None
    assert found.left_hand[:, :2] * SIZE == pytest.approx(np.tile([256, 256], (21, 1)), abs=1)
    assert found.left_hand[0, 2] * SIZE[0] == pytest.approx(0.1 / 0.4 * 112, abs=0.5)
    assert found.face.shape == (468, 3)
    assert found.face[7, :2] * SIZE == pytest.approx([256, 200], abs=1)
    pixels = found.pixels()
    assert pixels.shape == (75, 3)
    assert np.isnan(pixels[54:]).all()
    assert pixels[33, :2] == pytest.approx([256, 256], abs=1)


@pytest.mark.parametrize("outputs", [{}, tensors(pose=np.zeros(1081)), tensors(pose=np.zeros(7))])
def test_zeros_and_other_tensors_are_nobody(outputs: dict[str, Tensor]) -> None:
    assert LandmarkDecoder().decode(outputs, SIZE, SIZE, 0) is None


def test_a_pose_that_was_lost_is_not_drawn_towards_the_one_before() -> None:
    decoder = LandmarkDecoder()
    decoder.decode(tensors(pose=pose_row()), SIZE, SIZE, 0)
    slow = decoder.decode(tensors(pose=pose_row(310 + 100j)), SIZE, SIZE, 33_333)
    assert slow is not None
    assert 301 < slow.pose[0, 0] * 1280 < 309.5
    assert decoder.decode(tensors(pose=np.zeros(1081)), SIZE, SIZE, 66_666) is None
    again = decoder.decode(tensors(pose=pose_row(320 + 100j)), SIZE, SIZE, 99_999)
    assert again is not None
    assert again.pose[0, 0] * 1280 == pytest.approx(320, abs=1)


def test_smoothing_is_that_of_the_graph_server() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = PoseSmoother(), ServerSmoother()
    unit = np.array([SIZE[0], SIZE[1], SIZE[0]])
    points = rng.uniform(0.2, 0.8, (35, 5)).astype(np.float32)
    for frame in range(20):
        if frame == 11:
            ours.lost()
            theirs.lost()
            continue
        points = points + rng.normal(0, 0.01, points.shape).astype(np.float32)
        world = rng.normal(0, 0.5, (33, 5)).astype(np.float32)
        world[:, 3:] = points[:33, 3:]
        expected = theirs.apply(ServerPose(points[:33], points[33:], world), SIZE, frame * 40_000)
        size = 2 * float(np.hypot(*((points[34, :2] - points[33, :2]) * SIZE)))
        given_points, given_world = points[:33].astype(np.float64), world[:, :3].astype(np.float64)
        pixels, visibility, meters = ours.apply(
            given_points[:, :3] * unit, given_points[:, 3], given_world, size, frame * 40_000
        )
        np.testing.assert_allclose(pixels / unit, expected.landmarks[:, :3], atol=2e-6)
        np.testing.assert_allclose(visibility, expected.landmarks[:, 3], atol=1e-6)
        np.testing.assert_allclose(meters, expected.world[:, :3], atol=1e-5)


def test_world_landmarks_have_the_layout_of_pixels() -> None:
    person = Landmarks(np.zeros((33, 5), np.float32), np.ones((33, 3), np.float32), SIZE)
    assert (person.world()[:33] == 1).all()
    assert np.isnan(person.world()[33:]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("place", [0, 3, 195, 313])
def test_numbers_that_make_no_sense_are_nobody_and_leave_no_trace(value: float, place: int) -> None:
    decoder, other = LandmarkDecoder(), LandmarkDecoder()
    row = pose_row()
    row[place] = value
    assert decoder.decode(tensors(pose=row), SIZE, SIZE, 1000) is None
    seen, expected = (each.decode(tensors(pose=pose_row()), SIZE, SIZE, 2000) for each in (decoder, other))
    assert seen is not None
    assert expected is not None
    assert np.array_equal(seen.pose, expected.pose)


def test_a_crop_that_is_the_same_everywhere_is_nobody() -> None:
    row = pose_row()
    row[313:] = 255
    assert LandmarkDecoder().decode(tensors(pose=row), SIZE, SIZE, 1000) is None
