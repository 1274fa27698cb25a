"""Zones and lines against ground truth."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream_client.events.geometry import Line, Zone
from tests.client.events.scenes import STEP, at, events, placed, spans

SQUARE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
# Sixty-fourths: floats are exact, and so is the truth.
part = st.integers(0, 64).map(lambda number: number / 64)


def inside(x: float, y: float) -> bool:
    """Of the half-open square that :data:`SQUARE` encloses."""
    return 0.25 <= x < 0.75 and 0.25 <= y < 0.75


@given(part, part)
def test_a_zone_contains_what_is_inside(x: float, y: float) -> None:
    assert Zone(tuple((a, b) for a, b in SQUARE)).contains((x, y)) == inside(x, y)


@given(part, part, st.integers(1, 63))
def test_of_two_zones_with_a_common_border_one_contains_each_point(x: float, y: float, cut: int) -> None:
    c = cut / 64
    upper = Zone(((0, 0), (1, 0), (1, c), (0, 1 - c)))
    lower = Zone(((0, 1 - c), (1, c), (1, 1), (0, 1)))
    whole = Zone(((0, 0), (1, 0), (1, 1), (0, 1)))
    assert upper.contains((x, y)) + lower.contains((x, y)) == whole.contains((x, y))


@given(st.lists(st.tuples(part, part), min_size=1, max_size=40), st.integers(0, 5))
def test_dwelling_begins_and_ends_to_the_frame(way: list[tuple[float, float]], held: int) -> None:
    truth: list[tuple[str, float, float | None]] = []
    entered: int | None = None
    for frame, place in enumerate(way):
        if inside(*place):
            entered = frame if entered is None else entered
            if frame - entered == held:
                truth.append(("begin", frame, None))
        else:
            if entered is not None and frame - entered > held:
                truth.append(("end", entered + held, frame))
            entered = None
    found = events({"zone": SQUARE, "for": held * STEP / 1e6, "gap": 0}, placed([at(1, *place)] for place in way))
    assert spans(found) == truth


@given(st.lists(st.lists(st.tuples(part, part), min_size=3, max_size=3), min_size=1, max_size=30))
def test_entries_and_exits_of_several_are_counted_exactly(frames: list[list[tuple[float, float]]]) -> None:
    scenes = placed([[at(number, *place) for number, place in enumerate(places)] for places in frames])
    states = [[inside(*place) for place in places] for places in frames]
    changes = [(a, b) for before, after in pairwise(states) for a, b in zip(before, after, strict=True)]
    entered = events({"zone": SQUARE, "on": "enter", "gap": 0}, scenes)
    assert len(entered) == changes.count((False, True))
    assert [event.counts["total"] for event in entered] == list(range(1, len(entered) + 1))
    assert len(events({"zone": SQUARE, "on": "leave", "gap": 0}, scenes)) == changes.count((True, False))
    stays = events({"zone": SQUARE, "gap": 0}, scenes)
    now = 0
    for event in stays:
        now += 1 if event.phase == "begin" else -1
    assert now == sum(states[-1])
    assert not stays or stays[-1].counts["now"] == now


@given(st.lists(st.integers(0, 32).map(lambda number: (number / 32, 0.5)), min_size=2, max_size=40))
def test_crossings_of_a_line_are_counted_by_direction(way: list[tuple[float, float]]) -> None:
    sides = [x > 0.5 for x, _ in way if x != 0.5]  # a point on the line is on neither side
    truth = {"right": 0, "left": 0}
    for before, after in pairwise(sides):
        # The line goes up: its right is the frame's right.
        truth["right" if after else "left"] += before != after
    found = events({"line": [[0.5, 1], [0.5, 0]]}, placed([at(1, *place)] for place in way))
    assert {side: sum(event.direction == side for event in found) for side in truth} == truth
    assert not found or found[-1].counts == truth
    right = events({"line": [[0.5, 1], [0.5, 0]], "direction": "right"}, placed([at(1, *place)] for place in way))
    assert len(right) == truth["right"]


@given(part, part, part, part)
def test_only_a_way_between_its_ends_crosses_a_line(ax: float, ay: float, bx: float, by: float) -> None:
    line = Line((0.5, 0.25), (0.5, 0.75))
    sides = line.side((ax, ay)), line.side((bx, by))
    if None in sides or sides[0] == sides[1]:
        return
    share = (Fraction(1, 2) - Fraction(ax)) / (Fraction(bx) - Fraction(ax))
    y = Fraction(ay) + share * (Fraction(by) - Fraction(ay))
    assert line.crosses((ax, ay), (bx, by)) == (Fraction(1, 4) <= y <= Fraction(3, 4))


def test_who_walks_in_the_margin_of_a_line_does_not_cross_it() -> None:
    way = [0.3, 0.48, 0.52, 0.48, 0.52, 0.6, 0.52, 0.48, 0.4]
    scenes = placed([at(1, x, 0.5)] for x in way)
    assert len(events({"line": [[0.5, 1], [0.5, 0]]}, scenes)) == 4
    assert len(events({"line": [[0.5, 1], [0.5, 0]], "margin": 0.05}, scenes)) == 2


def test_coordinates_may_be_pixels_of_a_frame() -> None:
    scenes = placed([[at(1, 0.1, 0.1)], [at(1, 0.5, 0.5)]])
    pixels = {"size": [640, 360], "zone": [[160, 90], [480, 90], [480, 270], [160, 270]], "gap": 0}
    assert spans(events(pixels, scenes)) == [("begin", 1, None)]


def test_a_track_that_is_lost_ends_its_stay_but_does_not_leave() -> None:
    scenes = placed([[at(1, 0.5, 0.5)]] * 3 + [[]] * 3)
    assert [event.phase for event in events({"zone": SQUARE, "gap": 0.1}, scenes)] == ["begin", "end"]
    assert not events({"zone": SQUARE, "on": "leave", "gap": 0.1}, scenes)


def test_absence_and_crowds_are_numbers_of_things() -> None:
    numbers = [0, 0, 1, 2, 3, 3, 2, 0]
    scenes = placed([[at(None, 0.5, 0.5)] * number + [at(None, 0.5, 0.5, "dog")] for number in numbers])
    crowd = events({"class": "person", "at_least": 3, "gap": 0}, scenes)
    assert spans(crowd) == [("begin", 4, None), ("end", 4, 6)]
    assert crowd[0].counts == {"now": 3}
    nobody = events({"class": "person", "zone": SQUARE, "at_most": 0, "gap": 0}, scenes)
    assert spans(nobody) == [("begin", 0, None), ("end", 0, 2), ("begin", 7, None)]


def test_what_tracks_leave_behind_is_bounded() -> None:
    from stream_client.events.machines import LineMachine, TracksMachine, open_machine
    from stream_client.events.read import parse_rules

    rules = parse_rules({"rule": [{"name": "a", "zone": SQUARE}, {"name": "b", "line": [[0.5, 1], [0.5, 0]]}]})
    tracks, line = (open_machine(rule) for rule in rules)
    for scene in placed([at(number, 0.1, 0.1)] for number in range(3000)):
        assert not [*tracks.update(scene), *line.update(scene)]
    assert isinstance(tracks, TracksMachine)
    assert isinstance(line, LineMachine)
    assert len(tracks._tracks) <= 1001
    assert len(line._ways) <= 1001
