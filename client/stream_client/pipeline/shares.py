"""Who of the streams of a process may send next to one server. No I/O, no threads; time is an argument.

All streams together have as many frames in flight as :class:`~stream_client.pipeline.capacity.Capacity` finds. When
more want to send, they take turns by start-time fair queueing (Goyal, Vin and Cheng, 1996): each frame costs the time
that the server needs for it, as the shortest recent round trip of its stream shows, divided by the stream's weight, and
who has had the least is next. So a stream with frames that take long sends fewer of them. What a stream does not use
is for the others, and is not owed to it once it has had nothing to send.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from stream_client.pipeline.capacity import Capacity, RecentMinimum

RECENT_SECONDS = 10.0
"""The time constant of :meth:`Shares.share`."""
SILENT_SECONDS = 1.0
"""Without an answer for so long, or for four of its round trips, a stream's frames in flight count no more: a session
that hangs would keep the others back."""
MOST_ALLOWED = 16
"""Frames of one stream. The memory for those behind a slow output is bounded by them."""
MOST_OWED = 1.0
"""Seconds, at weight 1, that a stream may be owed which always has something to send, but cannot always send it."""
LOOK_SECONDS = 0.25
"""Seconds between two looks for such streams."""


def _nothing() -> None:
    """Nobody is to be woken."""


@dataclass(slots=True)
class Decaying:
    """A sum that forgets with :data:`RECENT_SECONDS`."""

    amount: float = 0.0
    since: float = 0.0

    def at(self, now: float) -> float:
        """The sum now."""
        return self.amount * math.exp((self.since - now) / RECENT_SECONDS)

    def add(self, amount: float, now: float) -> None:
        """Add to it."""
        self.amount, self.since = self.at(now) + amount, now


@dataclass(slots=True, eq=False)
class Member:
    """A stream. ``finish``: the virtual time until which it has had its share; ``wake``: call it where it may send."""

    number: int
    weight: float
    wake: Callable[[], object] = _nothing
    finish: float = 0.0
    in_flight: int = 0
    counted: int = 0
    waiting: bool = False
    told: bool = False
    heard: float = 0.0
    round_trip: float = math.nan
    measured: float = -math.inf
    shortest: RecentMinimum = field(default_factory=lambda: RecentMinimum(Capacity.PERIOD))
    spent: Decaying = field(default_factory=Decaying)

    @property
    def order(self) -> tuple[float, int]:
        """Of those who wait, the least goes first."""
        return self.finish, self.number


class Shares:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._members: set[Member] = set()
        self._waiting: list[tuple[float, int]] = []
        self._by_number: dict[int, Member] = {}
        self._joined = 0
        self._capacity = Capacity()
        self._counted = 0
        self._virtual = 0.0
        self._spent = Decaying()
        self._next_look = -math.inf
        self._usual = 0.0  # the newest cost of a frame of any stream, for one whose own is not known yet

    def join(self, weight: float) -> Member:
        """A new stream."""
        self._joined += 1
        member = Member(self._joined, weight)
        self._members.add(member)
        self._by_number[member.number] = member
        self._capacity.joined()
        return member

    def leave(self, member: Member, now: float) -> None:
        """A stream has ended; its frames in flight are nobody's."""
        if member not in self._members:
            return
        self.withdraw(member)
        self.hold(member, 0, now)
        self._spent.add(-member.spent.at(now), now)
        self._members.remove(member)
        del self._by_number[member.number]
        if not self._members:
            self._capacity, self._spent = Capacity(), Decaying()

    def limit(self, now: float) -> int:
        """Frames of all streams that may be in flight, where there are several."""
        return self._capacity.limit(now)

    def allowance(self, member: Member, now: float) -> int:
        """How many frames it may have in flight while others have some: they are bounded by turns, not by its own
        window, which the others' frames would keep shut.
        """
        alone = self._counted == member.counted and len(self._waiting) == member.waiting
        return 0 if alone else min(self.limit(now), MOST_ALLOWED) + 1  # who has all may still be next

    @property
    def in_flight(self) -> int:
        """Frames of all streams that are in flight, without those of streams that have fallen silent."""
        return self._counted

    def ask(self, member: Member, now: float) -> bool:
        """Whether it may send a frame, which then counts as in flight; else it waits."""
        self._look_for_silent(now)
        if len(self._members) > 1:
            free = self.limit(now) - self._counted
            if free <= bisect_left(self._waiting, member.order):
                if not member.waiting:
                    insort(self._waiting, member.order)
                member.waiting, member.told = True, False
                self._capacity.kept_back()
                return False
        idle = not (member.in_flight or member.waiting)
        self.withdraw(member)
        if not member.in_flight:
            member.heard = now
        self.hold(member, member.in_flight + 1, now)
        start = max(member.finish, self._virtual - (0.0 if idle else MOST_OWED))
        self._virtual = max(self._virtual, start)
        member.finish = start + self._cost(member) / member.weight
        return True

    def withdraw(self, member: Member) -> None:
        """It has nothing to send now."""
        if member.waiting:
            del self._waiting[bisect_left(self._waiting, member.order)]
        member.waiting = member.told = False

    def hold(self, member: Member, in_flight: int, now: float) -> None:
        """So many of its frames are in flight now."""
        silent = member.in_flight > 0 and member.counted == 0
        member.in_flight = in_flight
        counted = 0 if silent and in_flight else in_flight
        self._counted += counted - member.counted
        member.counted = counted

    def answered(self, member: Member, round_trip: float, now: float) -> None:
        """A frame of it was answered after ``round_trip`` seconds, and is in flight no more."""
        member.heard = now
        member.in_flight = max(0, member.in_flight - 1)
        self._counted += member.in_flight - member.counted
        member.counted = member.in_flight
        member.shortest.add(round_trip, now)
        cost = self._usual = member.shortest.value
        known = not math.isnan(member.round_trip)
        member.round_trip = 0.9 * member.round_trip + 0.1 * round_trip if known else round_trip
        member.spent.add(cost, now)
        self._spent.add(cost, now)
        if self._capacity.is_measuring(now):
            member.measured = now
        waiting = bool(self._waiting)
        if cost > 0 and self._capacity.answered(cost, round_trip, self._counted, now, waiting=waiting):
            self._give_everybody_a_turn()

    def _give_everybody_a_turn(self) -> None:
        """Each stream once, those first that were measured longest ago: one that seems dear would hardly be measured
        again.
        """
        members = sorted(self._members, key=lambda member: (member.measured, member.number))
        for place, member in enumerate(members):
            member.finish = self._virtual + 1e-9 * place
        self._waiting = sorted(member.order for member in members if member.waiting)

    def next(self, now: float) -> list[Member]:
        """Those who wait and may send now, each named once until it asks again."""
        self._look_for_silent(now)
        free = max(0, self.limit(now) - self._counted)
        members = [self._by_number[number] for _, number in self._waiting[:free]]
        new = [member for member in members if not member.told]
        for member in new:
            member.told = True
        return new

    def share(self, member: Member, now: float) -> float | None:
        """Its part of the server's recent time for all streams, 0…1; ``None`` before the first answer to any."""
        total = self._spent.at(now)
        return member.spent.at(now) / total if member in self._members and total > 1e-9 else None

    def _cost(self, member: Member) -> float:
        return self._usual if math.isinf(member.shortest.value) else member.shortest.value

    def _look_for_silent(self, now: float) -> None:
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        for member in self._members:
            usual = 0.0 if math.isnan(member.round_trip) else member.round_trip
            if member.counted and now - member.heard > max(SILENT_SECONDS, 4 * usual):
                self._counted -= member.counted
                member.counted = 0
