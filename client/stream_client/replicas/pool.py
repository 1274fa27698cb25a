"""The replicas of a server list: which of them are ready, how busy each is, and which takes the next request."""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence

from stream_client.replicas import load as loads
from stream_client.replicas.replica import Replica, make_replica
from stream_client.replicas.snapshot import ReplicaSnapshot, ReplicaState
from stream_client.transport.addresses import DNS, listed
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.options import TransportOptions
from stream_client.util.events import Event

logger = logging.getLogger(__name__)

_SENTENCES: dict[ReplicaState, str] = {
    "ready": "is ready",
    "not_ready": "is not ready: it is left out until it is",
    "away": "does not answer: it is left out until it does",
}


class Replicas:
    """The replicas that all sessions of a process share. Safe from any thread. Opens no connection by itself.

    Sessions take their channels to single replicas from ``channels``. ``changed`` fires when a replica is added or
    removed, or its state changes: from any thread, with no lock held.
    """

    SILENT_CHECKS = 2
    """Checks in a row without an answer, after which a replica counts as gone."""
    JUDGE_SECONDS = 0.25
    """Seconds between two searches for slow replicas."""
    MOVE_SECONDS = 2.0
    """Seconds between two moves of sessions that even out their numbers. With N such moves to make, or N sessions on a
    slow replica, it is an Nth of that."""

    EVEN_SECONDS = 0.1
    """How old, in seconds, the numbers of sessions may be that :meth:`is_even` compares."""

    def __init__(
        self,
        options: TransportOptions,
        *,
        channels: Channels = OWN_CHANNELS,
        make: Callable[[TransportOptions, str], Replica] = make_replica,
        chance: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.channels = channels
        self._make = make
        self.changed: Event[[]] = Event()
        self._chance = chance or random.Random()
        self.clock = clock
        self._changed = threading.Condition()
        self._replicas: list[Replica] = []
        self._problem = ""
        self._judged = self._evened = self._counted = self._next_leave = -1e9
        self._fewest = 0
        if not self.is_looked_up:
            self.set_addresses(listed(options.address))

    @property
    def is_looked_up(self) -> bool:
        """Whether the address is a name that is looked up for the servers."""
        return self.options.address.startswith(DNS)

    # --- which replicas there are

    def set_addresses(self, addresses: Collection[str]) -> None:
        """Set the servers of now. Those that are gone take no more requests and sessions."""
        with self._changed:
            known = {replica.address: replica for replica in self._replicas}
            if set(known) == set(addresses):
                return
            gone = [replica for replica in self._replicas if replica.address not in addresses]
            self._replicas = [
                known.get(address) or self._make(self.options, address) for address in dict.fromkeys(addresses)
            ]
            for replica in gone:
                replica.state = "not_ready"
        for replica in gone:
            replica.channel.close()
        self._notify()

    def set_problem(self, problem: str) -> None:
        """Say why the name of the servers cannot be looked up."""
        with self._changed:
            self._problem = problem
            self._changed.notify_all()

    @property
    def problem(self) -> str:
        """Why no server is known; empty if there is one."""
        with self._changed:
            return "" if self._replicas else self._problem

    def all(self) -> Sequence[Replica]:
        """Every replica, in the list's order."""
        with self._changed:
            return tuple(self._replicas)

    def ready(self) -> Sequence[Replica]:
        """The replicas that are ready."""
        with self._changed:
            return tuple(replica for replica in self._replicas if replica.state == "ready")

    def snapshot(self) -> Sequence[ReplicaSnapshot]:
        """Every replica now."""
        now = self.clock()
        with self._changed:
            return tuple(replica.snapshot(now) for replica in self._replicas)

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``condition`` is true. It is checked at every change. ``False`` after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(condition, max(0.0, timeout))

    # --- their states

    def found(self, replica: Replica, *, ready: bool) -> None:
        """A replica answered a check."""
        with self._changed:
            replica.silent = 0
            changed = self._enter(replica, "ready" if ready else "not_ready")
        if changed:
            self._notify()

    def found_silent(self, replica: Replica) -> None:
        """A check had no answer. If the replica still answers frames, it is only busy."""
        with self._changed:
            busy = self.clock() - replica.heard < 2.0
            replica.silent = 0 if busy else replica.silent + 1
            changed = replica.silent >= self.SILENT_CHECKS and self._enter(replica, "away")
        if changed:
            self._notify()

    def lost(self, replica: Replica) -> None:
        """A connection with a replica broke, or could not be made."""
        with self._changed:
            changed = self._enter(replica, "away")
        if changed:
            self._notify()

    def _enter(self, replica: Replica, state: ReplicaState) -> bool:
        before = replica.state
        if state == before or replica not in self._replicas:
            return False
        replica.state = state
        if state == "ready":
            replica.epoch += 1
            if before in ("away", "unknown"):
                replica.load.forget()
        if (before, state) != ("unknown", "ready"):
            logger.warning("replica %s %s", replica.address, _SENTENCES[state])
        return True

    def wake(self) -> None:
        """Let everyone who waits for a condition check it again."""
        with self._changed:
            self._changed.notify_all()

    def _notify(self) -> None:
        self.wake()
        self.changed()

    # --- requests and sessions

    def take(self, among: Collection[Replica]) -> tuple[Replica, Replica | None]:
        """The replica of ``among`` for the next request, and one that gets a copy of it, to be timed."""
        now = self.clock()
        with self._changed:
            self._judge(now)
            of = {replica.load: replica for replica in among}
            chosen = loads.choose(list(of), self._chance)
            copied = loads.to_copy(of, chosen, now)
            chosen.in_flight += 1
            if copied is not None:
                copied.in_flight += 1
            return of[chosen], None if copied is None else of[copied]

    def sent(self, replica: Replica) -> None:
        """A session that lives on a replica sends it a request."""
        with self._changed:
            replica.load.in_flight += 1

    def answered(self, replica: Replica, seconds: float) -> float:
        """A request was answered after ``seconds``. Returns the usual seconds of the other replicas."""
        now = self.clock()
        with self._changed:
            replica.load.in_flight -= 1
            replica.load.took(seconds, now)
            replica.heard = now
            replica.answered += 1
            return replica.load.elsewhere

    def failed(self, replica: Replica) -> None:
        """A request failed."""
        with self._changed:
            replica.load.in_flight -= 1
            replica.load.failed()
            replica.failed += 1
            if replica.load.failures == loads.FAILURES:  # else it would take all requests, as it fails fast
                loads.judge([each.load for each in self._replicas], self.clock())

    def given_up(self, replica: Replica, *, moved: bool = False) -> None:
        """A request will not be answered by a replica. ``moved``: another replica gets it."""
        with self._changed:
            replica.load.in_flight -= 1
            replica.moved += moved

    def place(self, among: Collection[Replica]) -> Replica:
        """The replica of ``among`` for the next session."""
        now = self.clock()
        with self._changed:
            self._judge(now)
            of = {replica.load: replica for replica in among}
            chosen = loads.place(list(of), now, self._chance)
            chosen.sessions += 1
            return of[chosen]

    def _judge(self, now: float) -> None:
        if now - self._judged >= self.JUDGE_SECONDS:
            self._judged = now
            loads.judge([replica.load for replica in self._replicas], now)

    def left(self, replica: Replica, *, moved: bool = False) -> None:
        """A session on a replica has ended. ``moved``: it goes on at another one."""
        with self._changed:
            replica.load.sessions -= 1
            replica.moved += moved

    def is_even(self, replica: Replica) -> bool:
        """Whether no other replica has two sessions fewer than ``replica``.

        This is asked for every frame. So it compares with a number that may be :data:`EVEN_SECONDS` old, which takes no
        longer if there are many replicas.
        """
        now = self.clock()
        with self._changed:
            self._judge(now)
            if now - self._counted >= self.EVEN_SECONDS:
                self._counted = now
                able = [each.load for each in self._replicas if each.state == "ready" and each.load.takes_sessions(now)]
                self._fewest = min((load.sessions for load in able), default=replica.load.sessions)
            return replica.load.sessions - self._fewest < 2

    def may_move(self, replica: Replica, among: Collection[Replica]) -> bool:
        """Whether a session should leave ``replica``, as another has two fewer. If so, it counts as moved."""
        now = self.clock()
        with self._changed:
            able = [other.load.sessions for other in among if other.load.takes_sessions(now)]
            needed = (replica.load.sessions - min(able, default=replica.load.sessions)) // 2
            if needed < 1 or now - self._evened < self.MOVE_SECONDS / needed:
                return False
            self._evened = now
            return True

    def may_leave(self, replica: Replica, among: Collection[Replica]) -> bool:
        """Whether a session should leave ``replica``, as its frames take long. If so, it counts as moved.

        Sessions leave one by one, not together with those of other processes: after each, the rest may be fast enough.
        """
        now = self.clock()
        with self._changed:
            if now < self._next_leave or not any(other.load.takes_sessions(now) for other in among):
                return False
            seconds = self.MOVE_SECONDS / max(1, replica.load.sessions)
            self._next_leave = now + seconds * self._chance.uniform(0.5, 1.5)
            replica.load.left_as_slow(now)
            return True
