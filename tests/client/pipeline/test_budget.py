"""The latency budget against simulated servers, whose time is simulated, too."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_client.pipeline.budget import DIVISORS, PARTS, Asked, Budget, divisors_for

BUDGET = 0.025


@dataclass
class Simulated:
    """A stream of ``rate`` frames a second at a server that works on one at a time; the newest one waits.

    ``service`` gives the seconds for a frame from the time and the part of its pixels that are sent, 0…1.
    """

    budget: Budget
    rate: float
    service: Callable[[float, float], float]
    late: list[tuple[float, bool]] = field(default_factory=list)
    changes: list[tuple[float, Asked]] = field(default_factory=list)
    _now: int = 0
    _free: float = 0.0
    _waiting: float | None = None
    _before: int = 0

    def run(self, until: float) -> None:
        while (captured := self._now / self.rate) < until:
            self._now += 1
            if self._waiting is not None and self._free <= captured:
                self._serve(self._waiting, self._free)
            if self._now % self.budget.asked.parts:
                continue
            if self._free <= captured:
                self._serve(captured, captured)
            else:
                self._waiting = captured

    def _serve(self, captured: float, begin: float) -> None:
        self._waiting = None
        self._free = begin + self.service(begin, self.budget.asked.divisor**-2)
        before = self.budget.asked
        self.budget.result(self._free - captured, self._free, self._now - self._before)
        self._before = self._now
        self.late.append((self._free, self._free - captured > self.budget.seconds))
        asked = self.budget.asked
        assert asked.divisor in DIVISORS
        assert asked.parts in PARTS
        if asked != before:
            self.changes.append((self._free, asked))

    def share_late(self, since: float) -> float:
        late = [each for at, each in self.late if at >= since]
        return sum(late) / len(late)


def steady(base: float, pixels: float) -> Callable[[float, float], float]:
    return lambda now, share: base + pixels * share


@given(st.floats(10, 60), st.floats(0.001, 0.02), st.floats(0, 0.4))
@settings(max_examples=10, deadline=None)
def test_a_budget_that_can_be_kept_is_kept_and_nothing_swings(rate: float, base: float, pixels: float) -> None:
    run = Simulated(Budget(BUDGET), rate, steady(base, pixels))
    run.run(600)
    if base + pixels / 16 < 0.8 * BUDGET and 8 / rate > BUDGET:
        assert run.share_late(300) < 0.1
    # Each step up that did not last doubles the wait before the next.
    assert len([at for at, _ in run.changes if at > 60]) <= 24
    assert len([at for at, _ in run.changes if at > 300]) <= 10


@given(st.floats(10, 60), st.floats(0.001, 0.006), st.floats(0, 0.006), st.floats(2, 60))
@settings(max_examples=10, deadline=None)
def test_what_was_given_up_comes_back_when_the_server_has_room(
    rate: float, base: float, pixels: float, load: float
) -> None:
    def service(now: float, share: float) -> float:
        return (base + pixels * share) * (load if 10 <= now < 20 else 1)

    run = Simulated(Budget(BUDGET), rate, service)
    run.run(10)
    assert run.budget.asked == Asked()
    run.run(400)
    assert run.budget.asked == Asked()


@given(st.integers(0, 2**32), st.floats(0.002, 0.03), st.floats(0, 0.1), st.floats(0, 0.02))
@settings(max_examples=10, deadline=None)
def test_noise_does_not_make_it_swing(seed: int, base: float, pixels: float, noise: float) -> None:
    dice = random.Random(seed)
    run = Simulated(Budget(BUDGET), 30, lambda now, share: base + pixels * share + dice.expovariate(1) * noise)
    run.run(600)
    assert len([at for at, _ in run.changes if at > 300]) <= 16


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), max_size=300))
def test_whatever_comes_it_stays_in_bounds(results: list[tuple[float, float]]) -> None:
    budget, now = Budget(BUDGET, (1, 2)), 0.0
    for latency, pause in results:
        now += pause
        budget.result(latency, now)
        assert budget.asked.divisor in (1, 2)
        assert budget.asked.parts in PARTS


def test_overload_is_answered_within_a_few_results() -> None:
    run = Simulated(Budget(BUDGET), 30, lambda now, share: 0.01 if now < 5 else 0.005 + 0.05 * share)
    run.run(6)
    assert sum(late for _, late in run.late) <= 5
    assert run.budget.asked == Asked(divisor=2)


def test_frames_that_wait_for_one_another_become_fewer_not_smaller() -> None:
    run = Simulated(Budget(BUDGET), 100, steady(0.018, 0.0))
    run.run(60)
    assert [asked for _, asked in run.changes] == [Asked(parts=2)]
    assert run.share_late(1) == 0


def test_frames_become_as_few_as_the_server_answers_in_one_step() -> None:
    run = Simulated(Budget(BUDGET), 200, steady(0.0215, 0.0))
    run.run(30)
    assert [asked for _, asked in run.changes] == [Asked(parts=6)]
    assert run.share_late(1) == 0


def test_frames_stay_whole_where_the_servers_time_does_not_depend_on_them() -> None:
    run = Simulated(Budget(BUDGET), 10, steady(0.04, 0.0))
    run.run(60)
    assert run.budget.asked == Asked()
    assert run.budget.usual == pytest.approx(0.04)


def test_sides_are_not_divided_below_what_a_server_can_see() -> None:
    assert divisors_for(1920) == (1, 2, 3, 4)
    assert divisors_for(480) == (1, 2, 3)
    assert divisors_for(100) == (1,)
