"""Rules on labels: entered, left, held, one after another."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.frames import Label
from tests.client.events.scenes import STEP, events, labeled, spans

WALK, FALL, LIE = "walking", "falling", "lying"
FALLEN = {"sequence": [{"label": FALL, "for": 0.5}, {"label": LIE, "for": 1.0, "within": 0.3}], "gap": 0}


@given(st.lists(st.sampled_from([WALK, LIE, None]), max_size=60), st.integers(0, 8))
def test_a_label_that_is_held_begins_and_ends_where_its_runs_do(names: list[str | None], held: int) -> None:
    truth: list[tuple[str, float, float | None]] = []
    position = 0
    for name, run in groupby(names):
        length = len(list(run))
        if name == LIE and length > held:
            truth.append(("begin", position + held, None))
            if position + length < len(names):
                truth.append(("end", position + held, position + length))
        position += length
    found = events({"label": LIE, "for": held * STEP / 1e6, "gap": 0}, labeled(names))
    assert spans(found) == truth


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 6))
def test_an_interruption_shorter_than_the_gap_does_not_count(active: list[bool], gap: int) -> None:
    names = [LIE if each else WALK for each in active]
    closed = list(names)
    for name, run in groupby(range(len(names)), key=lambda index: names[index]):
        where = list(run)
        if name == WALK and where[0] > 0 and where[-1] < len(names) - 1 and len(where) <= gap:
            closed[where[0] : where[-1] + 1] = [LIE] * len(where)
    with_gap = spans(events({"label": LIE, "gap": gap * STEP / 1e6}, labeled(names), finish=True))
    without = spans(events({"label": LIE, "gap": 0}, labeled(closed), finish=True))
    assert [each for each in with_gap if each[0] == "begin"] == [each for each in without if each[0] == "begin"]
    ends = [(each[1], each[2]) for each in with_gap if each[0] == "end"]
    assert len(ends) == len([each for each in without if each[0] == "end"])


def test_a_label_is_entered_only_after_another_and_left_once() -> None:
    names = [LIE] * 3 + [WALK] * 3 + [LIE] * 3 + [None] * 2
    assert spans(events({"label": LIE, "on": "enter", "gap": 0}, labeled(names))) == [("moment", 6, 6)]
    left = spans(events({"label": LIE, "on": "leave", "gap": 0}, labeled(names)))
    assert left == [("moment", 3, 3), ("moment", 9, 9)]


def test_a_label_needs_its_score() -> None:
    scenes = labeled([LIE] * 4)
    assert not events({"label": LIE, "score": 0.95}, scenes)
    assert events({"label": LIE, "score": 0.9}, scenes)[0].label == Label(LIE, 0.9, {LIE: 0.9})


@pytest.mark.parametrize(
    ("names", "begins"),
    [
        ([WALK] * 5 + [FALL] * 6 + [LIE] * 12, [21]),
        ([WALK] * 5 + [FALL] * 5 + [LIE] * 12, []),  # 0.4 s of falling
        ([FALL] * 6 + [WALK] * 3 + [LIE] * 12, [19]),
        ([FALL] * 6 + [WALK] * 4 + [LIE] * 12, []),  # too late
        ([FALL] * 6 + [LIE] * 8 + [WALK] + [LIE] * 8, []),  # got up, and lay down
        ([FALL] * 6 + [LIE] * 12 + [WALK] + [FALL] * 6 + [LIE] * 12, [16, 35]),
        ([LIE] * 30, []),
    ],
)
def test_a_sequence_is_found_where_its_steps_follow_in_time(names: list[str], begins: list[float]) -> None:
    found = events(FALLEN, labeled(names))
    assert [event.begin / STEP for event in found if event.phase == "begin"] == begins


def test_an_event_that_lasts_ends_with_the_stream() -> None:
    begin, end = events({"label": LIE}, labeled([WALK, LIE, LIE]), finish=True)
    assert (begin.phase, begin.end, end.phase, end.end) == ("begin", None, "end", 2 * STEP)
    assert begin.id == end.id
