"""Which stream of a process may send next to one server. No I/O, no threads; time is an argument.

All streams together have as many frames in flight as :class:`~stream_client.pipeline.capacity.Capacity` finds. When
more want to send, they take turns by start-time fair queueing (Goyal, Vin and Cheng, 1996): a frame costs the shortest
recent round trip of its stream, divided by the stream's weight. The stream that has spent least is next. So a stream
whose frames take long sends fewer of them. Time that a stream does not use goes to the others. A stream that had
nothing to send does not get it back later.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from stream_client.pipeline.capacity import Capacity, RecentMinimum

RECENT_SECONDS = 10.0
"""The time constant of :meth:`Shares.share`."""
SILENT_SECONDS = 1.0
"""After these seconds without an answer, or four round trips if that is longer, a stream's frames in flight do not
count any more. Otherwise a session that hangs would stop the other streams."""
MOST_ALLOWED = 16
"""The most frames in flight of one stream. It bounds the memory of a stream with a slow output."""
MOST_OWED = 1.0
"""The most seconds, at weight 1, that a stream can catch up after it had frames to send but could not send them."""
LOOK_SECONDS = 0.25
"""Seconds between two searches for streams without an answer."""


def _nothing() -> None:
    """Wake nobody."""


@dataclass(slots=True)
class Decaying:
    """A sum that decays with the time constant :data:`RECENT_SECONDS`."""

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
    """A stream. ``wake`` is called when it may send. ``finish`` is the virtual time up to which it has had its share.

    ``counted``: its frames in flight, or 0 while it gets no answer. ``woken``: whether :meth:`Shares.next` has named it
    since it last asked. ``heard``: when it last had an answer, or began to wait for one. ``round_trip``: the usual one,
    in seconds. ``measured``: when it last had an answer while the capacity was measured.
    """

    number: int
    weight: float
    wake: Callable[[], object] = _nothing
    finish: float = 0.0
    in_flight: int = 0
    counted: int = 0
    waiting: bool = False
    woken: bool = False
    heard: float = 0.0
    round_trip: float = math.nan
    measured: float = -math.inf
    shortest: RecentMinimum = field(default_factory=lambda: RecentMinimum(Capacity.PERIOD))
    spent: Decaying = field(default_factory=Decaying)

    @property
    def order(self) -> tuple[float, int]:
        """The order of the streams that wait: the lowest sends first."""
        return self.finish, self.number


class Shares:
    """The streams of one server, and whose turn it is. Use it from one thread at a time."""

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
        self._usual = 0.0  # the newest cost of any stream, for a stream without an answer

    def join(self, weight: float) -> Member:
        """Add a stream."""
        self._joined += 1
        member = Member(self._joined, weight)
        self._members.add(member)
        self._by_number[member.number] = member
        self._capacity.joined()
        return member

    def leave(self, member: Member, now: float) -> None:
        """Remove a stream. Its frames in flight do not count any more."""
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
        """How many frames of all streams may be in flight, if there are several streams."""
        return self._capacity.limit(now)

    def allowance(self, member: Member, now: float) -> int:
        """How many frames the stream may have in flight beside those of others; 0 if there are none.

        Then turns bound it, not its own window: that would stay narrow because of the others' frames.
        """
        alone = self._counted == member.counted and len(self._waiting) == member.waiting
        return 0 if alone else min(self.limit(now), MOST_ALLOWED) + 1  # it may have all of them and still be next

    @property
    def in_flight(self) -> int:
        """The frames in flight of all streams, without those of streams that get no answer."""
        return self._counted

    def ask(self, member: Member, now: float) -> bool:
        """Whether the stream may send a frame. If so, the frame counts as in flight; if not, the stream waits."""
        self._look_for_silent(now)
        if len(self._members) > 1:
            free = self.limit(now) - self._counted
            if free <= bisect_left(self._waiting, member.order):
                if not member.waiting:
                    insort(self._waiting, member.order)
                member.waiting, member.woken = True, False
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
        """The stream does not wait any more."""
        if member.waiting:
            del self._waiting[bisect_left(self._waiting, member.order)]
        member.waiting = member.woken = False

    def hold(self, member: Member, in_flight: int, now: float) -> None:
        """The stream has this number of frames in flight now."""
        silent = member.in_flight > 0 and member.counted == 0
        member.in_flight = in_flight
        counted = 0 if silent and in_flight else in_flight
        self._counted += counted - member.counted
        member.counted = counted

    def answered(self, member: Member, round_trip: float, now: float) -> None:
        """A frame of the stream was answered after ``round_trip`` seconds."""
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
        """Let each stream send once; the one that was measured longest ago is first.

        Otherwise a stream that seems expensive would hardly be measured again.
        """
        members = sorted(self._members, key=lambda member: (member.measured, member.number))
        for place, member in enumerate(members):
            member.finish = self._virtual + 1e-9 * place
        self._waiting = sorted(member.order for member in members if member.waiting)

    def next(self, now: float) -> list[Member]:
        """The streams that wait and may send now. Each is named once until it asks again."""
        self._look_for_silent(now)
        free = max(0, self.limit(now) - self._counted)
        members = [self._by_number[number] for _, number in self._waiting[:free]]
        new = [member for member in members if not member.woken]
        for member in new:
            member.woken = True
        return new

    def share(self, member: Member, now: float) -> float | None:
        """The stream's part of the server's recent time, 0…1. ``None`` before the first answer to any stream."""
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
