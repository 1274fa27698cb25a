"""What the streams of a process share, in simulated time: the client's own pool of replicas and credits."""

import random
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, ParamSpec, TypeVar, cast

import grpc
import simpy
from simulated_server import Server, after

from stream_client.pipeline.credits import SharedCredits
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica
from stream_client.replicas.watch import Watch
from stream_client.transport.options import TransportOptions

P = ParamSpec("P")
T = TypeVar("T")


class Work:
    """What the real code costs, by component: processor time, and steps of Python's interpreter.

    Steps are counted in one call of :data:`EVERY`, and those calls are not timed. Unlike times, steps are the same in
    every run and on every machine.
    """

    EVERY = 31

    def __init__(self) -> None:
        self._parts: defaultdict[str, _Part] = defaultdict(_Part)

    def of(self, component: str, call: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """What ``call`` returns, on the account of a component."""
        part = self._parts[component]
        part.calls += 1
        if part.calls % self.EVERY == 1:
            sys.settrace(part.trace)
            try:
                return call(*arguments, **keywords)
            finally:
                sys.settrace(None)
        since = time.thread_time()
        try:
            return call(*arguments, **keywords)
        finally:
            part.seconds += time.thread_time() - since
            part.timed += 1

    def seconds(self) -> Mapping[str, float]:
        """Of each component, as if all of its calls had been timed; 0 where none was."""
        return {name: part.seconds * part.calls / max(1, part.timed) for name, part in sorted(self._parts.items())}

    def steps(self) -> Mapping[str, float]:
        """Of each component, as if those of all of its calls had been counted."""
        return {name: part.steps * part.calls / part.counted for name, part in sorted(self._parts.items())}


class _Part:
    """One component's account."""

    def __init__(self) -> None:
        self.calls = self.timed = self.steps = 0
        self.seconds = 0.0

    @property
    def counted(self) -> int:
        """Calls whose steps were counted."""
        return self.calls - self.timed

    def trace(self, frame: FrameType, event: str, argument: object) -> "Callable[..., Any] | None":
        """For ``sys.settrace``."""
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            self.steps += 1
        return self.trace


class Process:
    """What the streams of a process share: the pool of replicas, who looks after them, and the credits."""

    def __init__(self, env: simpy.Environment, servers: Sequence[Server], work: Work, chance: random.Random) -> None:
        self.env, self.work = env, work
        self.servers = {server.address: server for server in servers}
        options = TransportOptions(",".join(self.servers))
        clock: Callable[[], float] = lambda: env.now  # noqa: E731
        self.pool = Replicas(options, make=_replica, chance=chance, clock=clock)
        self.credits = SharedCredits(clock)
        self._awake: deque[Callable[[], None]] = deque()
        self._waking = False
        self._watch(chance.random() * Watch.CHECK_SECONDS)

    def wake(self, pump: Callable[[], None]) -> None:
        """Let a camera send that has got a credit, after whoever runs now."""
        self._awake.append(pump)
        if not self._waking:
            self._waking = True
            while self._awake:
                self._awake.popleft()()
            self._waking = False

    def _watch(self, wait: float) -> None:
        after(self.env, wait, self._check)

    def _check(self) -> None:
        self.work.of("watch", self._ask_all)
        self._watch(Watch.CHECK_SECONDS)

    def _ask_all(self) -> None:
        for replica in self.pool.all():
            server = self.servers[replica.address]
            if server.up:
                self.pool.found(replica, ready=not server.draining)
            else:
                self.pool.found_silent(replica)


def _replica(options: TransportOptions, address: str) -> Replica:
    """Nobody calls its server."""
    return Replica(TransportOptions(address), cast(grpc.Channel, None))
