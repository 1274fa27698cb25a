"""The tensors of several persons, and the label of each."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.errors import ProtocolError
from stream_client.frames import Tensor
from stream_client.landmarks.persons import as_detections, decode_persons, scores_of

SIZE = (200, 100)


def tensors(*numbers: int, most: int = 4) -> dict[str, Tensor]:
    """The answer for persons of these numbers; each stands at a tenth of the image's width times the number."""
    ids = np.full(most, -1, np.int32)
    landmarks = np.full((most, 543, 5), np.nan, np.float32)
    world = np.full((most, 33, 3), np.nan, np.float32)
    scores = np.zeros((most, 2), np.float32)
    for row, number in enumerate(numbers):
        ids[row], world[row] = number, 0.5
        landmarks[row, :33] = (0.1 * number, 0.5, 0.0, 0.9, 0.9)
        landmarks[row, :33, 1] = np.linspace(0.2, 0.8, 33)
        landmarks[row, 33:54] = (0.1 * number, 0.5, 0.1, 0, 0)
        scores[row] = (0.25, 0.75)
    given = {
        "person_count": np.array([len(numbers)], np.int32),
        "person_ids": ids,
        "person_landmarks": landmarks,
        "person_world": world,
        "person_scores": scores,
    }
    return {name: Tensor(name, "INT32" if array.dtype == np.int32 else "FP32", array) for name, array in given.items()}


def test_persons_come_by_number_with_the_parts_that_are_seen() -> None:
    first, second = decode_persons(tensors(5, 2), SIZE, SIZE)
    assert (first.number, second.number) == (2, 5)
    assert first.landmarks.pose[0, :2] == pytest.approx((0.2, 0.2))
    assert first.landmarks.left_hand is not None
    assert first.landmarks.right_hand is None
    assert first.landmarks.face is None
    assert first.box == pytest.approx((40, 14, 40, 86))


def test_whoever_nobody_looked_at_is_marked() -> None:
    given = tensors(5, 2)
    assert [person.carried for person in decode_persons(given, SIZE, SIZE)] == [False, False]
    given["person_carried"] = Tensor("person_carried", "INT32", np.array([1, 0, 0, 0], np.int32))
    first, second = decode_persons(given, SIZE, SIZE)
    assert (first.number, first.carried) == (2, False)
    assert (second.number, second.carried) == (5, True)
    given["person_carried"] = Tensor("person_carried", "INT32", np.array([1], np.int32))
    with pytest.raises(ProtocolError, match="does not fit 2 persons"):
        decode_persons(given, SIZE, SIZE)


def test_landmarks_are_relative_to_the_whole_frame() -> None:
    # A frame of 400x200 was sent as 200x100, padded on its right to 208.
    (person,) = decode_persons(tensors(5), (208, 100), (400, 200))
    assert person.landmarks.pose[0, 0] == pytest.approx(0.5 * 208 / 200)
    assert person.landmarks.size == (400, 200)


def test_nobody_and_no_such_outputs_are_no_persons() -> None:
    assert decode_persons(tensors(), SIZE, SIZE) == ()
    assert decode_persons({}, SIZE, SIZE) == ()
    assert len(as_detections(())) == 0


def test_a_person_with_values_that_are_no_numbers_is_left_out() -> None:
    given = tensors(1, 2)
    broken = given["person_landmarks"].array.copy()
    broken[0, 3, 1] = np.inf
    given["person_landmarks"] = Tensor("person_landmarks", "FP32", broken)
    assert [person.number for person in decode_persons(given, SIZE, SIZE)] == [2]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("person_count", np.array([5], np.int32)),
        ("person_count", np.array([-1], np.int32)),
        ("person_count", np.array([], np.int32)),
        ("person_ids", np.zeros((4, 1), np.int32)),
        ("person_ids", np.zeros(4, np.float32)),
        ("person_landmarks", np.zeros((4, 542, 5), np.float32)),
        ("person_landmarks", np.zeros((3, 543, 5), np.float32)),
        ("person_world", np.zeros((4, 33, 3), np.float64)),
    ],
)
def test_tensors_that_do_not_fit_together_are_refused(name: str, array: npt.NDArray[Any]) -> None:
    with pytest.raises(ProtocolError, match="do not fit together"):
        decode_persons({**tensors(1), name: Tensor(name, "FP32", array)}, SIZE, SIZE)


def test_detections_of_persons_have_their_numbers_as_tracks() -> None:
    detections = as_detections(decode_persons(tensors(7, 3), SIZE, SIZE))
    assert detections.track_ids is not None
    assert detections.track_ids.tolist() == [3, 7]
    assert detections.name(0) == "person"
    assert detections.scores == pytest.approx([0.9, 0.9])


def test_each_person_has_scores_of_their_own() -> None:
    scores = scores_of(tensors(2, 1))
    assert set(scores) == {1, 2}
    assert scores[2].tolist() == [0.25, 0.75]
