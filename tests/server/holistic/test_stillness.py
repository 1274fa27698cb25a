"""Scenes that stand still: the networks do not run, and motion wakes them in the same frame."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from graph_server.assets import ensure_clip
from graph_server.cli.landmarks import FRAME_PERIOD, LandmarkExtractor, default_models, frames
from graph_server.holistic.frame_skipping import EVERY_FRAME, FAST, STILL_FRAMES_OF_FAST, FrameSkipping
from graph_server.holistic.networks import Network
from graph_server.holistic.pose import PoseDetector
from graph_server.holistic.regions import Region
from graph_server.holistic.stillness import CALM, Stillness
from graph_server.models.model import Model

MIDDLE = Region(0.5, 0.5, 0.4, 0.4, rotation=0.5)


def scene(seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)


def calm(image: npt.NDArray[np.uint8], region: Region | None, most: int = 9) -> Stillness:
    """After looks that found nothing changed."""
    still = Stillness(most, CALM)
    still.looked(image, region)
    for _ in range(CALM):
        assert not still.holds(image)
        still.looked(image, region)
    return still


def test_a_look_holds_while_the_part_is_unchanged_and_not_for_ever() -> None:
    image = scene()
    still = calm(image, MIDDLE, most=3)
    assert [still.holds(image) for _ in range(5)] == [True, True, True, False, False]
    still.looked(image, MIDDLE)
    assert still.holds(image)


def test_what_moves_in_the_part_wakes_it_and_what_moves_elsewhere_does_not() -> None:
    image = scene()
    inside, outside = image.copy(), image.copy()
    inside[110:130, 150:170] = 255 - inside[110:130, 150:170]
    outside[:40, :60] = 0
    for changed, holds in ((inside, False), (outside, True)):
        assert calm(image, MIDDLE).holds(changed) is holds


def test_a_look_holds_for_the_very_same_pose_only() -> None:
    image, pose = scene(), np.zeros((33, 5), np.float32)
    still = Stillness(9)
    assert not still.holds(image, pose)
    still.looked(image, MIDDLE)
    assert still.holds(image, pose)
    assert not still.holds(image, pose.copy())


def test_a_frame_that_is_repeated_once_is_no_still_scene() -> None:
    still = Stillness(9, CALM)
    held = []
    for index in range(20):
        held.append(still.holds(scene(index // 2)))
        still.looked(scene(index // 2), MIDDLE)
    assert not any(held)


def test_slow_motion_adds_up_against_the_frame_that_was_looked_at() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    still = calm(image, MIDDLE, most=100)
    held = []
    for column in range(130, 150):
        image = image.copy()
        image[116:128, column] = 3
        held.append(still.holds(image))
    assert held[0]
    assert not held[-1]


def test_what_coding_changes_in_a_still_scene_is_no_motion() -> None:
    dice = np.random.default_rng(1)
    image = np.full((240, 320, 3), 128, np.uint8)
    assert calm(image, MIDDLE).holds(image + (dice.random(image.shape) < 0.1).astype(np.uint8))


@pytest.mark.parametrize("region", [None, Region(0.5, 0.5, 0.0, 0.0), Region(np.nan, 0.5, 0.1, 0.1)])
def test_without_a_region_every_frame_is_looked_at(region: Region | None) -> None:
    assert not calm(scene(), region).holds(scene())


def test_regions_may_lie_outside_and_frames_may_change_their_size() -> None:
    still = calm(scene(), Region(2.0, -1.0, 0.5, 0.5))
    assert still.holds(scene())
    assert not still.holds(scene()[:200])
    assert calm(scene()[:1, :1], MIDDLE).holds(scene()[:1, :1])


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks have run, by the sides of their inputs."""
    sides: list[int] = []
    run = Network.run

    def counted(network: Network) -> object:
        sides.append(len(network.pixels))
        return run(network)

    monkeypatch.setattr(Network, "run", counted)
    return sides


@pytest.mark.parametrize(("skipping", "rests"), [(FAST, True), (EVERY_FRAME, False)])
def test_networks_rest_while_a_person_stands_still(
    models_dir: Path, runs: list[int], skipping: FrameSkipping, rests: bool
) -> None:
    moving = list(islice(frames(ensure_clip()), 176, 184))
    extractor = LandmarkExtractor(default_models(models_dir), skipping=skipping)
    ran: list[int] = []
    # The clip stands still at its fifth frame, and goes on.
    shown = [*moving[:5], *[moving[4]] * (CALM + STILL_FRAMES_OF_FAST), *moving[5:]]
    for index, image in enumerate(shown):
        runs.clear()
        extractor.process(image, index * FRAME_PERIOD)
        extractor._graph.wait_until_idle()
        ran.append(len(runs))
    found = extractor.finish()
    landmarks = [found[index * FRAME_PERIOD] for index in range(len(shown))]
    still = slice(5 + CALM, 5 + CALM + STILL_FRAMES_OF_FAST)
    assert all(ran[: still.start])
    assert all(ran[still.stop :]), "motion is looked at in the same frame"
    if not rests:
        assert all(ran[still])
        return
    last = landmarks[still.stop - 1]
    # A hand that was carried is looked at once more.
    for each in landmarks[still.start + 1 : still.stop]:
        assert all(np.array_equal(each[part], last[part]) for part in last)
    assert not any(ran[still.start + 1 : still.stop])
    assert not np.array_equal(landmarks[still.stop]["pose"], last["pose"])


def test_an_empty_scene_that_stays_the_same_is_looked_at_once(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Any] = []
    run = Model.run

    def counted(model: Model, request: Any) -> None:
        runs.append(request)
        run(model, request)

    monkeypatch.setattr(Model, "run", counted)
    model = default_models(models_dir).get("pose_detection")
    detector = PoseDetector(model)
    person, empty = next(islice(frames(ensure_clip()), 180, None)), scene()
    found = [detector.detect(image) for image in (empty, empty.copy(), person, person, empty)]
    assert len(runs) == 3
    assert [each is None for each in found] == [True, True, False, False, True]
    again = PoseDetector(model).detect(person)
    assert found[2] is not None
    assert found[3] is not None
    assert again is not None
    assert np.array_equal(found[2], found[3])
    assert np.array_equal(found[2], again)
