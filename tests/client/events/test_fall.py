"""The detector of falls, on landmarks whose truth is known. benchmarks/fall_detector.py tries it on frames."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from stream_client.events.machines import open_machine
from stream_client.events.read import read_rules
from stream_client.events.rules import needs_landmarks
from stream_client.events.scene import Scene, Subject
from stream_client.frames import Landmarks
from tests.conftest import shared

Golden = dict[str, npt.NDArray[np.float32]]


def scene(time: int, people: Mapping[int, Landmarks]) -> Scene:
    subjects = [
        Subject("person", 0.9, (0, 0, 1, 1), (0.5, 0.9), track, landmarks=seen) for track, seen in people.items()
    ]
    return Scene(time, None, tuple(subjects), {})


def events(scenes: list[Landmarks | None], rate: float) -> list[tuple[str, float]]:
    """Phase and seconds of what the detector finds."""
    (rule,) = read_rules("fall")
    machine = open_machine(rule)
    found = []
    for index, seen in enumerate(scenes):
        found += list(machine.update(scene(round(index * 1e6 / rate), {} if seen is None else {0: seen})))
    return [(event.phase, (event.begin if event.end is None else event.end) / 1e6) for event in found]


def tipped(found: Golden, seconds: float, *, back: float | None = None) -> list[Landmarks | None]:
    """Who dances for two seconds tips over within ``seconds``, and gets up after ``back``."""
    people: list[Landmarks | None] = []
    for index, (pose, world) in enumerate(zip(found["pose"], found["pose_world"], strict=True)):
        share = np.clip((index / 30 - 2) / seconds, 0, 1)
        if back is not None:
            share -= np.clip((index / 30 - back) / 1.0, 0, 1)
        c, s = np.cos(share * np.pi / 2), np.sin(share * np.pi / 2)
        turned = world[:, :3] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
        people.append(Landmarks(np.column_stack([pose, np.ones(33)]).astype(np.float32), turned, (1, 1)))
    return people


def of_clip(found: Golden) -> list[Landmarks | None]:
    return [
        None
        if np.isnan(pose).any()
        else Landmarks(np.column_stack([pose, np.ones(33)]).astype(np.float32), world[:, :3], (1, 1))
        for pose, world in zip(found["pose"], found["pose_world"], strict=True)
    ]


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0, 1.5])
def test_who_tips_over_and_stays_down_has_fallen(seconds: float) -> None:
    found = events(tipped(np.load(shared("golden/dance.npz")), seconds), 30)
    assert [phase for phase, _ in found] == ["begin"]
    assert 2 + 2.0 * 0.5 < found[0][1] <= 2 + seconds + 2.0


def test_a_fall_ends_when_somebody_gets_up() -> None:
    found = events(tipped(np.load(shared("golden/dance.npz")), 0.6, back=7), 30)
    assert [phase for phase, _ in found] == ["begin", "end"]
    assert 7 < found[1][1] < 8


@pytest.mark.parametrize("seconds", [4.0, 6.0, 10.0])
def test_who_lies_down_slowly_has_not_fallen(seconds: float) -> None:
    assert not events(tipped(np.load(shared("golden/dance.npz")), seconds), 30)


def test_who_gets_up_at_once_has_not_fallen() -> None:
    assert not events(tipped(np.load(shared("golden/dance.npz")), 0.6, back=3), 30)


@pytest.mark.parametrize(("clip", "rate"), [("dance", 30), ("walk", 10), ("sign-again", 30)])
def test_nobody_falls_in_the_shared_clips(clip: str, rate: float) -> None:
    assert not events(of_clip(np.load(shared(f"golden/{clip}.npz"))), rate)


def test_the_detector_needs_landmarks() -> None:
    assert needs_landmarks(read_rules("fall"))


def test_of_two_persons_only_who_falls_has_fallen() -> None:
    golden = np.load(shared("golden/dance.npz"))
    (rule,) = read_rules("fall")
    machine = open_machine(rule)
    found = []
    for index, (falls, dances) in enumerate(zip(tipped(golden, 0.6), of_clip(golden), strict=True)):
        assert falls is not None
        assert dances is not None
        found += list(machine.update(scene(round(index * 1e6 / 30), {3: dances, 8: falls})))
    assert [(event.phase, event.subject.track if event.subject else None) for event in found] == [("begin", 8)]
