"""Several persons, made of the shared clips side by side and crossing."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from graph_server.cli.landmarks import LandmarkExtractor, default_models, frames
from graph_server.holistic.parity import BOUNDS
from graph_server.holistic.person_motion import Motion
from graph_server.holistic.person_track import Person
from graph_server.holistic.person_views import views_of
from graph_server.holistic.persons import PersonsOptions, PersonsTracker
from graph_server.holistic.pose import PoseDetector
from graph_server.holistic.regions import Region
from graph_server.models.repository import ModelRepository
from tests.conftest import shared

Image = npt.NDArray[np.uint8]
Clip = Sequence[Image]

FRAMES, STEP = 50, 40_000
HEIGHT = 480


@lru_cache
def clip(name: str, left: float, right: float) -> Clip:
    """The first frames of a shared clip, between two places of its width, 480 pixels high."""
    images = []
    for image in frames(shared("clips") / name):
        part = image[:, round(left * image.shape[1]) : round(right * image.shape[1])]
        scale = HEIGHT / part.shape[0]
        size = (round(part.shape[1] * scale), HEIGHT)
        images.append(np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8))
        if len(images) == FRAMES:
            break
    return images


@pytest.fixture(scope="module")
def models(models_dir: Path) -> ModelRepository:
    return default_models(models_dir)


@pytest.fixture
def signer() -> Clip:
    return clip("sign-again.mkv", 0.15, 0.85)


@pytest.fixture
def dancer() -> Clip:
    return clip("dance.webm", 0.2, 0.8)


def side_by_side(*clips: Clip) -> Clip:
    return [np.ascontiguousarray(np.concatenate(images, axis=1)) for images in zip(*clips, strict=True)]


def follow(models: ModelRepository, images: Clip, options: PersonsOptions | None = None) -> list[dict[int, Person]]:
    """The persons of each image by number."""
    tracker = PersonsTracker(models, options or PersonsOptions(look_every=1))
    try:
        found = [tracker.process(image, index * STEP) for index, image in enumerate(images)]
    finally:
        tracker.close()
    return [{person.number: person for person in persons} for persons in found]


def hips(person: Person) -> float:
    """Their place between the left and the right side of the image, 0…1."""
    return float(person.pose.landmarks[[23, 24], 0].mean())


def test_one_person_has_the_landmarks_of_the_holistic_graph(models: ModelRepository, signer: Clip) -> None:
    extractor = LandmarkExtractor(models, kernel=7)
    for index, image in enumerate(signer[:25]):
        extractor.process(image, index * STEP)
    expected = extractor.finish()
    for index, persons in enumerate(follow(models, signer[:25])):
        parts = expected[index * STEP]
        (person,) = persons.values()
        given = {
            "pose": person.pose.landmarks,
            "left_hand": person.left_hand,
            "right_hand": person.right_hand,
            "face": person.face,
            "pose_world": person.pose.world,
        }
        assert {name for name, part in given.items() if part is not None} == set(parts)
        for name, part in parts.items():
            np.testing.assert_array_equal(given[name], part, err_msg=name)


def test_persons_side_by_side_have_their_own_landmarks(models: ModelRepository, dancer: Clip) -> None:
    # The margins keep a person's region out of the neighbor's image.
    one = [widened(image, 200) for image in dancer[:30]]
    other = [np.ascontiguousarray(image[:, ::-1]) for image in one]
    images = side_by_side(one, other)
    own_width = one[0].shape[1]
    together = follow(models, images)
    assert {tuple(persons) for persons in together[15:]} == {(1, 2)}
    for alone, start in ((one, 0), (other, own_width)):
        distances = []
        for persons, own in zip(together[15:], follow(models, alone)[15:], strict=True):
            (expected,) = own.values()
            here = expected.pose.landmarks[:, :2] * (own_width, HEIGHT) + (start, 0)
            everybody = (person.pose.landmarks[:, :2] * (2 * own_width, HEIGHT) for person in persons.values())
            distances.append(min(np.median(np.hypot(*(there - here).T)) for there in everybody))
        assert 100 * np.median(distances) / np.hypot(own_width, HEIGHT) < BOUNDS["pose"]


def widened(image: Image, margin: int) -> Image:
    """The image with gray on both sides."""
    wide = np.full((image.shape[0], image.shape[1] + 2 * margin, 3), 128, np.uint8)
    wide[:, margin:-margin] = image
    return wide


def crossing(front: Clip, behind: Clip) -> Clip:
    """Two persons who pass each other, one before the other."""
    width = front[0].shape[1] + 2 * behind[0].shape[1]
    images = []
    for index in range(FRAMES):
        image = np.full((HEIGHT, width, 3), 128, np.uint8)
        done = index / (FRAMES - 1)
        for part, share in ((behind[index], 1 - done), (front[index], done)):
            left = round((width - part.shape[1]) * share)
            image[:, left : left + part.shape[1]] = part
        images.append(image)
    return images


def test_persons_who_cross_keep_their_numbers(models: ModelRepository, signer: Clip, dancer: Clip) -> None:
    found = follow(models, crossing(signer, dancer))
    seen = [{number: hips(person) for number, person in persons.items()} for persons in found]
    before, after = seen[8], seen[-1]
    assert set(before) == set(after) == {1, 2}
    assert {number for persons in seen for number in persons} == {1, 2}
    front = min(before, key=lambda number: before[number])
    assert after[front] > after[3 - front]


def test_somebody_hidden_for_a_second_keeps_the_number(models: ModelRepository, signer: Clip, dancer: Clip) -> None:
    images = [image.copy() for image in side_by_side(signer, dancer)]
    for image in images[15:40]:
        image[:, signer[0].shape[1] :] = 128
    found = follow(models, images)
    assert [len(persons) for persons in (found[14], found[25], found[-1])] == [2, 1, 2]
    assert set(found[-1]) == set(found[14])


def test_what_proves_to_be_nobody_takes_the_place_of_nobody(
    models: ModelRepository, signer: Clip, dancer: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin = 1500
    images = [widened(image, margin) for image in side_by_side(signer, dancer)]
    for image in images[15:25]:
        image[:, margin + signer[0].shape[1] :] = 128
    sees, width = PoseDetector.detect_all, images[0].shape[1]
    # At the right edge, where the image is gray: nobody there could be the hidden one.
    ghost = np.array([[width - 100, 300], [width - 100, 100], [width - 100, 200], [width - 100, 50]]) / (width, HEIGHT)
    calls = []

    def also_the_ghost(detector: PoseDetector, image: Image, most: int, *view: Region) -> list[npt.NDArray[np.float32]]:
        found = sees(detector, image, most, *view)
        if not image[:, -margin - 100 :].std():
            calls.append(len(found))
            found.append(ghost.astype(np.float32))
        return found

    monkeypatch.setattr(PoseDetector, "detect_all", also_the_ghost)
    found = follow(models, images[:40], PersonsOptions(most=2, look_every=1))
    assert len(calls) >= 5
    assert set(found[-1]) == set(found[14]) == {1, 2}


def test_somebody_who_was_away_for_longer_is_new(models: ModelRepository, signer: Clip, dancer: Clip) -> None:
    images = [image.copy() for image in side_by_side(signer, dancer)]
    for image in images[15:40]:
        image[:, signer[0].shape[1] :] = 128
    found = follow(models, images, PersonsOptions(look_every=1, hidden=0.5))
    assert set(found[14]) == {1, 2}
    assert len(found[-1]) == 2
    assert 3 in found[-1]


def test_after_its_end_a_tracker_begins_anew(models: ModelRepository, signer: Clip) -> None:
    tracker = PersonsTracker(models, PersonsOptions())
    numbers = []
    for _ in range(2):
        found = [tracker.process(image, index * STEP) for index, image in enumerate(signer[:2])]
        numbers.append([person.number for persons in found for person in persons])
        tracker.close()
    assert numbers == [[1, 1], [1, 1]]


def test_no_more_than_the_most_are_followed(models: ModelRepository, signer: Clip, dancer: Clip) -> None:
    found = follow(models, side_by_side(signer[:20], dancer[:20]), PersonsOptions(most=1))
    assert {tuple(persons) for persons in found} == {(1,)}


def test_an_image_without_persons_has_none(models: ModelRepository) -> None:
    blank = [np.full((120, 400, 3), 90, np.uint8)] * 5
    assert follow(models, blank) == [{}] * 5


def test_whoever_moves_on_is_expected_farther_on() -> None:
    motion = Motion(0, 0, 100, 0)
    for frame in range(1, 26):
        motion = motion.then(Motion(4 * frame, 0, 100, frame * STEP))
    assert motion.at(25 * STEP + 500_000)[0] == pytest.approx(150, abs=2)
    assert motion.at(99 * STEP)[0] < 205  # nobody goes straight on for ever
    assert motion.distance(Motion(150, 0, 100, 25 * STEP + 500_000)) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("size", "count"), [((640, 480), 3), ((480, 480), 1), ((1280, 720), 4), ((360, 640), 4)])
def test_squares_cover_the_longer_side(size: tuple[int, int], count: int) -> None:
    _, *squares = views_of(size)
    assert len(squares) + 1 == count
    wide = size[0] > size[1]
    spans = [
        (each.x_center - each.width / 2, each.x_center + each.width / 2)
        if wide
        else (each.y_center - each.height / 2, each.y_center + each.height / 2)
        for each in squares
    ]
    if spans:
        assert (spans[0][0], spans[-1][1]) == pytest.approx((0, 1))
        assert all(begin <= end + 1e-9 for (_, end), (begin, _) in pairwise(spans))
