"""Whom to look at where the time is short."""

from itertools import islice
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from graph_server.assets import ensure_clip
from graph_server.calculators import REGISTRY
from graph_server.cli.landmarks import frames
from graph_server.errors import ConfigError
from graph_server.graph.definition import parse_graph
from graph_server.graph.runtime import Graph
from graph_server.holistic.person_budget import LookBudget, Waiting
from graph_server.models.repository import ModelRepository
from graph_server.resources import project_file


def looked_at(budget: LookBudget, speeds: list[float], frames: int, *, look: float = 0.01) -> list[frozenset[int]]:
    """Who is looked at in each frame, where each look takes ``look`` seconds."""
    waited, found = [1] * len(speeds), []
    for _ in range(frames):
        chosen = budget.choose([Waiting(*each) for each in zip(waited, speeds, strict=True)])
        budget.spent(len(chosen), look * len(chosen))
        waited = [1 if index in chosen else frames + 1 for index, frames in enumerate(waited)]
        found.append(chosen)
    return found


def longest_wait(found: list[frozenset[int]], person: int) -> int:
    turns = [frame for frame, chosen in enumerate(found) if person in chosen]
    return max(after - before for before, after in zip(turns, [*turns[1:], len(found)], strict=True))


def test_without_a_budget_everyone_is_looked_at() -> None:
    assert looked_at(LookBudget(0, 5), [0.0] * 8, 3) == [frozenset(range(8))] * 3


def test_a_budget_for_two_gives_everyone_a_turn_in_order() -> None:
    first, *found = looked_at(LookBudget(0.021, 10), [0.0] * 6, 31)
    assert first == frozenset(range(6))  # what a look costs is not known yet
    assert {len(chosen) for chosen in found} == {2}
    assert [longest_wait(found, person) for person in range(6)] == [3] * 6


def test_whoever_moves_is_looked_at_more_often() -> None:
    found = looked_at(LookBudget(0.011, 20), [0.0, 2.0, 0.0], 100)[1:]
    turns = [sum(person in chosen for chosen in found) for person in range(3)]
    assert turns[1] > 2 * turns[0] > 0
    assert turns[1] > 2 * turns[2] > 0


@pytest.mark.parametrize("every", [1, 2, 5])
def test_however_short_the_time_everyone_is_looked_at_in_every_nth_frame(every: int) -> None:
    found = looked_at(LookBudget(1e-6, every), [0.0, 3.0, 0.1, 0.0, 9.0, 0.0, 0.0], 60)
    assert max(longest_wait(found[:-every], person) for person in range(7)) <= every
    assert all(found)


def followed(models: ModelRepository, options: str) -> list[dict[int, tuple[bool, npt.NDArray[np.float32]]]]:
    """For each frame of the street, by person: whether they are carried, and their hips over the frame's sides."""
    text = project_file("graphs/holistic_persons/graph.pbtxt").read_text(encoding="utf-8")
    text = text.replace("max_persons: 4", f"max_persons: 2 look_every: 1 detector: AUTO {options}")
    outputs: dict[str, npt.NDArray[Any]] = {}
    found = []
    graph = Graph(parse_graph(text, source="persons", registry=REGISTRY), REGISTRY, models)
    graph.start({}, lambda name, value, timestamp: outputs.update({name: value}))
    for index, frame in enumerate(islice(frames(ensure_clip()), 102, 132, 3)):
        image = np.asarray(cv2.resize(frame, (884, 496), interpolation=cv2.INTER_AREA), np.uint8)
        graph.add_packet("first_input_video", image, index * 100_000)
        graph.wait_until_idle()
        rows = zip(outputs["person_ids"], outputs["person_carried"], outputs["person_landmarks"], strict=True)
        found.append({int(number): (bool(carried), points[23:25, :2].mean(axis=0)) for number, carried, points in rows})
    graph.cancel()
    return [{number: each for number, each in persons.items() if number > 0} for persons in found]


def test_the_graph_carries_whom_it_has_no_time_for_and_says_so(small_person_models: ModelRepository) -> None:
    short, full = (followed(small_person_models, options) for options in ("budget_ms: 1 follow_every: 3", ""))
    assert not any(carried for persons in full for carried, _ in persons.values())
    both = [index for index, persons in enumerate(short) if len(persons) == 2]
    assert len(both) >= 6
    assert all(not all(carried for carried, _ in persons.values()) for persons in short if persons)
    for number in (1, 2):
        marks = [short[index][number][0] for index in both]
        assert any(marks)
        assert not any(all(three) for three in zip(marks, marks[1:], marks[2:], strict=False))
        for index in both:
            if number in full[index]:
                np.testing.assert_allclose(short[index][number][1], full[index][number][1], atol=0.03)


@pytest.mark.parametrize("options", ["budget_ms: -1", "follow_every: 0"])
def test_an_impossible_budget_is_refused_at_load(options: str) -> None:
    text = project_file("graphs/holistic_persons/graph.pbtxt").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="budget_ms is not below 0, and follow_every is at least 1"):
        parse_graph(text.replace("max_persons: 4", options), source="persons", registry=REGISTRY)
