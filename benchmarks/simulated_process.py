"""What the streams of a process share, in simulated time: the client's own pool of replicas and credits."""

import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import grpc
import simpy
from simulated_server import Server, after

from stream_client.pipeline.credits import SharedCredits
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica
from stream_client.replicas.watch import Watch
from stream_client.transport.options import TransportOptions


@dataclass(slots=True)
class Work:
    """Processor time of the real code, by component."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def done(self, component: str, since: float) -> None:
        self.seconds[component] += time.thread_time() - since


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
        since = time.thread_time()
        for replica in self.pool.all():
            server = self.servers[replica.address]
            if server.up:
                self.pool.found(replica, ready=not server.draining)
            else:
                self.pool.found_silent(replica)
        self.work.done("watch", since)
        self._watch(Watch.CHECK_SECONDS)


def _replica(options: TransportOptions, address: str) -> Replica:
    """Nobody calls its server."""
    return Replica(TransportOptions(address), cast(grpc.Channel, None))
