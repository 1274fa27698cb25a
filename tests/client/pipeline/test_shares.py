"""Turns of the streams at one server: invariants of the rules, and what they give at a queue with simulated time."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_client.pipeline.shares import SILENT_SECONDS, Shares

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["ask", "withdraw", "answer", "leave", "join"]), st.floats(0.001, 0.2)
    ),
    max_size=300,
)


@given(EVENTS, st.lists(st.floats(0.1, 10), min_size=6, max_size=6))
def test_credits_are_neither_lost_nor_made(events: list[tuple[int, str, float]], weights: list[float]) -> None:
    """Whatever happens: the count is that of the members, nobody passes the limit, and who waits is told in turn."""
    shares, now = Shares(), 0.0
    members = [shares.join(weight) for weight in weights]
    for index, kind, seconds in events:
        now += seconds
        member = members[index]
        gone = member not in shares._members
        if kind == "join" and gone:
            members[index] = shares.join(weights[index])
        elif gone:
            continue
        elif kind == "ask":
            several = len(shares._members) > 1
            free = shares.limit(now) - shares.in_flight
            before = {other: other.order for other in members if other.waiting and other is not member}
            if shares.ask(member, now):
                assert not several or free > 0 or shares.in_flight <= shares.limit(now)
                assert not member.waiting
            else:
                assert several
                assert free <= sum(order < member.order for order in before.values()) or free <= 0
        elif kind == "withdraw":
            shares.withdraw(member)
        elif kind == "answer" and member.in_flight:
            shares.answered(member, seconds, now)
        elif kind == "leave":
            shares.leave(member, now)
        there = shares._members
        assert shares.in_flight == sum(each.counted for each in there)
        assert all(each.counted in (0, each.in_flight) for each in there)
        assert [number for _, number in shares._waiting] == [
            each.number for each in sorted(there, key=lambda each: each.order) if each.waiting
        ]
        for each in shares.next(now):
            assert each.waiting
            assert shares.ask(each, now)  # who is told may send
        parts = [shares.share(each, now) for each in there]
        assert all(part is None for part in parts) or sum(part or 0.0 for part in parts) == pytest.approx(1)


@dataclass(eq=False)
class Stream:
    """Frames that take ``seconds`` at the server; there is always one to send."""

    seconds: float
    weight: float = 1.0
    most: int = 64
    used: float = 0.0
    waited: list[float] = field(default_factory=list)


def at_a_server(
    streams: list[Stream], slots: int, seconds: float, warm: float = 20.0, line: Callable[[], float] = lambda: 0.0
) -> Shares:
    """Every stream sends what it may to a server with one queue and ``slots`` places where frames are worked on.

    Answers take ``line()`` seconds more.
    """
    shares, now, counter = Shares(), 0.0, itertools.count()
    members = {shares.join(stream.weight): stream for stream in streams}
    queue: deque[tuple[Stream, float]] = deque()
    events: list[tuple[float, int, Stream, float, bool]] = []
    busy = 0

    def send() -> None:
        nonlocal busy
        for member, stream in members.items():
            while member.in_flight < max(1, min(stream.most, shares.allowance(member, now))):
                if not shares.ask(member, now):
                    break
                queue.append((stream, now))
        while queue and busy < slots:
            stream, sent = queue.popleft()
            busy += 1
            heapq.heappush(events, (now + stream.seconds, next(counter), stream, sent, False))

    of = {stream: member for member, stream in members.items()}
    while now < seconds:
        send()
        now, _, stream, sent, back = heapq.heappop(events)
        if not back:
            busy -= 1
            heapq.heappush(events, (now + line(), next(counter), stream, sent, True))
            continue
        shares.answered(of[stream], now - sent, now)
        if now > warm:
            stream.used += stream.seconds
            stream.waited.append(now - sent)
    return shares


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.1), st.floats(1, 4)), min_size=2, max_size=10),
    st.integers(1, 3),
)
def test_a_full_server_gives_each_stream_its_weight_of_time(kinds: list[tuple[float, float]], slots: int) -> None:
    streams = [Stream(seconds, weight) for seconds, weight in kinds]
    at_a_server(streams, slots, 60.0)
    total, weights = sum(stream.used for stream in streams), sum(stream.weight for stream in streams)
    assert total > 0.8 * slots * 40.0  # nothing stands still
    if max(stream.weight for stream in streams) * slots <= weights:  # else nobody could use as much
        for stream in streams:
            assert stream.used / total == pytest.approx(stream.weight / weights, rel=0.35, abs=0.02)


def test_a_heavy_stream_does_not_starve_twenty_small_ones() -> None:
    heavy, small = Stream(0.1), [Stream(0.005) for _ in range(20)]
    shares = at_a_server([heavy, *small], 1, 60.0)
    assert heavy.used / sum(stream.used for stream in [heavy, *small]) < 0.1
    assert max(stream.used for stream in small) < 1.5 * min(stream.used for stream in small)
    assert all(sum(stream.waited) / len(stream.waited) < 0.1 for stream in small)  # else the sum of all: 0.2
    assert shares.limit(60.0) <= 6


def test_what_a_stream_does_not_use_is_for_the_others() -> None:
    """A stream that has one frame in flight at most needs less than its share of four places."""
    modest, eager = Stream(0.05, most=1), Stream(0.05)
    at_a_server([modest, eager], 4, 60.0)
    assert 20.0 < modest.used < 40.0
    assert eager.used + modest.used > 0.95 * 4 * 40.0


def test_a_line_whose_times_vary_is_no_queue() -> None:
    """Nothing waits at the server, so that streams are hardly kept back: one frame each could be in flight at least."""
    chance = random.Random(1)
    streams = [Stream(0.002, most=1) for _ in range(16)]
    at_a_server(streams, 4, 60.0, line=lambda: chance.expovariate(1 / 0.02))
    assert sum(len(stream.waited) for stream in streams) > 0.5 * 40.0 * 16 / 0.022


def test_one_stream_alone_is_never_kept_back() -> None:
    shares = Shares()
    member = shares.join(1.0)
    assert all(shares.ask(member, 0.0) for _ in range(100))


def test_a_stream_whose_session_hangs_keeps_no_other_back() -> None:
    shares = Shares()
    hung, well = shares.join(1.0), shares.join(1.0)
    while shares.ask(hung, 0.0):
        pass
    assert not shares.ask(well, 0.5)
    later = SILENT_SECONDS + 0.1
    assert well in shares.next(later)
    assert shares.ask(well, later)
    shares.answered(hung, later, later)
    assert shares.in_flight == hung.in_flight + 1


def test_who_was_away_is_owed_nothing() -> None:
    shares = Shares()
    away, there = shares.join(1.0), shares.join(1.0)
    for number in range(1000):
        assert shares.ask(there, number / 10)
        shares.answered(there, 0.05, number / 10 + 0.05)
    turns = []
    for number in range(40):
        now = 100 + number / 10
        for member in (away, there):
            if shares.ask(member, now):
                turns.append(member)
                shares.answered(member, 0.05, now)
    assert 15 <= turns.count(away) <= 25 or turns.count(away) == turns.count(there)
