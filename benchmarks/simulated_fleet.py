"""A fleet in simulated time: the client's own flow control, shares, balancing and placement, and modeled servers.

The real code has no threads here: what the client's threads do one after another, this does at the same moment.
"""

import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import numpy as np
import simpy

from stream_client.errors import ConnectionLostError
from stream_client.fleet.spread import spread
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.monitoring.ledger import Ledger
from stream_client.pipeline.answers import Answers
from stream_client.pipeline.credits import SharedCredits
from stream_client.pipeline.flow import AdaptiveWindow, LatestFrameQueue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.outgoing import Outgoing
from stream_client.pipeline.phases import RunPhase, SessionPhase, SessionState
from stream_client.pipeline.steps import Lost, SendFrame
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica
from stream_client.replicas.watch import Watch
from stream_client.transport.base import Answer, Closed, Request
from stream_client.transport.options import TransportOptions

IMAGE = np.zeros((16, 16, 3), np.uint8)
OUTPUTS = {"image": Tensor("image", "UINT8", IMAGE)}
NETWORK = 0.001
"""Seconds to a server and back."""
RECONNECT = 0.1


@dataclass(slots=True)
class Work:
    """Processor time of the real code, by component."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def done(self, component: str, since: float) -> None:
        self.seconds[component] += time.thread_time() - since


class Server:
    """One queue, and ``slots`` places where a frame of cost 1 takes ``service`` seconds on average."""

    def __init__(self, env: simpy.Environment, address: str, slots: int, service: float, chance: random.Random) -> None:
        self.address = address
        self.up, self.draining, self.slowness = True, False, 1.0
        self.updates = 0
        self.sessions: set[Camera] = set()
        self._env = env
        self._slots, self._service, self._chance = slots, service, chance
        self._queue: deque[tuple[Camera, Frame]] = deque()
        self._busy = self._life = 0

    def submit(self, camera: "Camera", frame: Frame) -> None:
        self._queue.append((camera, frame))
        self._work()

    def kill(self) -> None:
        self.up, self._busy, self._life = False, 0, self._life + 1
        self._queue.clear()
        for camera in list(self.sessions):
            camera.broken()

    def start(self) -> None:
        self.up, self.draining = True, False

    def _work(self) -> None:
        while self._busy < self._slots and self._queue:
            camera, frame = self._queue.popleft()
            self._busy += 1
            seconds = self._service * self.slowness * camera.cost * self._chance.lognormvariate(-0.02, 0.2)
            after(self._env, seconds, self._finished, camera, frame, self._life)

    def _finished(self, camera: "Camera", frame: Frame, life: int) -> None:
        if life == self._life:
            self._busy -= 1
            after(self._env, NETWORK, camera.answered, frame, self)
            self._work()


class Process:
    """What the streams of a process share: the pool of replicas, who looks after them, and the credits."""

    def __init__(self, env: simpy.Environment, servers: Sequence[Server], work: Work, chance: random.Random) -> None:
        self.env, self.work = env, work
        self.servers = {server.address: server for server in servers}
        options = TransportOptions(",".join(self.servers))
        clock: Callable[[], float] = lambda: env.now  # noqa: E731
        self.pool = Replicas(options, make=_replica, chance=chance, clock=clock)
        self.credits = SharedCredits(clock)
        self._awake: deque[Camera] = deque()
        self._waking = False
        self._watch(chance.random() * Watch.CHECK_SECONDS)

    def wake(self, camera: "Camera") -> None:
        """Let a camera send that has got a credit, after whoever runs now."""
        self._awake.append(camera)
        if not self._waking:
            self._waking = True
            while self._awake:
                self._awake.popleft().pump()
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


class Camera:
    """A live stream: a frame every ``interval`` seconds, of which the newest is sent."""

    def __init__(self, process: Process, fps: float, cost: float, observe: "Observe", chance: random.Random) -> None:
        self.cost = cost
        self.ledger = Ledger()
        self._process, self._env, self._work, self._observe = process, process.env, process.work, observe
        self._interval = 1.0 / fps
        self._credits = process.credits.join(1.0)
        self._credits.on_wake(lambda: process.wake(self))
        window = self._credits.widen(AdaptiveWindow())
        self._queue = LatestFrameQueue()
        self._joiner = Joiner(
            expected=frozenset(OUTPUTS), image_output="image", request_timeout=10.0, join_timeout=None
        )
        self._session = SessionState()
        self._outgoing = Outgoing(self._queue, window, self._joiner, self._session, self._credits)
        self._answers = Answers(self._joiner, window, self.ledger, self._session, resend=False)
        self._window = window
        self._replica: Replica | None = None
        self._leaving = False
        self._sent: dict[int, float] = {}
        self._index = 0
        self._connect()
        after(self._env, chance.random() * self._interval, self._tick)

    # --- the source

    def _tick(self) -> None:
        now = self._env.now
        since = time.thread_time()
        self.ledger.enter()
        frame = Frame(self._index, round(now * 1e6), IMAGE, now)
        self._index += 1
        for _ in self._queue.offer(frame):
            self.ledger.drop("replaced")
            self._observe.ended(self, "dropped", now, 0.0)
        self._work.done("flow control", since)
        self.pump()
        after(self._env, self._interval, self._tick)

    # --- the sender

    def pump(self) -> None:
        """Send what may be sent."""
        while (replica := self._replica) is not None and not self._leaving:
            if len(self._queue) and self._shall_leave(replica):
                self._leaving = True
                self._credits.withdraw()
                self._leave_if_answered()
                return
            since = time.thread_time()
            step = self._outgoing.next_step(RunPhase.READING, 0, self._env.now)
            self._work.done("flow control", since)
            match step:
                case SendFrame(frame):
                    self._send(frame, replica)
                case Lost(error):
                    self._recover(error)
                case _:
                    return

    def _send(self, frame: Frame, replica: Replica) -> None:
        now = self._env.now
        since = time.thread_time()
        self._outgoing.converted()
        stamps = Stamps(frame.captured, now, now, now, sent=now)
        self._joiner.sent(frame, Request(frame.timestamp, ()), stamps, now)
        self._credits.hold(self._outgoing.in_flight)
        self._work.done("flow control", since)
        self._balancing(self._process.pool.sent, replica)
        self._sent[frame.timestamp] = now
        self._process.servers[replica.address].submit(self, frame)

    def answered(self, frame: Frame, server: Server) -> None:
        """The server's answer has come."""
        sent = self._sent.pop(frame.timestamp, None)
        replica = self._replica
        if sent is None or replica is None or replica.address != server.address:
            return
        now = self._env.now
        self._balancing(self._process.pool.answered, replica, now - sent)
        since = time.thread_time()
        self._answers.take(Answer(frame.timestamp, OUTPUTS, now, now, complete=True), now)
        self._settle()
        self._credits.hold(self._outgoing.in_flight)
        self._work.done("flow control", since)
        self._credits.wake_others()
        self._leave_if_answered()
        self.pump()

    def _settle(self) -> None:
        now = self._env.now
        for settled in self._answers.settled(now):
            if settled.outcome == "delivered":
                self.ledger.deliver()
                self._window.delivered(now - settled.frame.captured)
            self._observe.ended(self, settled.outcome, now, now - settled.frame.captured)

    # --- where its session lives

    def _connect(self) -> None:
        pool = self._process.pool
        ready = pool.ready()
        replica = self._balancing(pool.place, ready) if ready else None
        server = None if replica is None else self._process.servers[replica.address]
        if replica is None or server is None or not server.up:
            if replica is not None:
                pool.left(replica)
                pool.lost(replica)
            after(self._env, RECONNECT, self._connect)
            return
        self._session.begin()
        self._replica, self._leaving = replica, False
        server.sessions.add(self)
        self.pump()

    def _shall_leave(self, replica: Replica) -> bool:
        pool = self._process.pool
        since = time.thread_time()
        others = [other for other in pool.ready() if other is not replica]
        leaves = bool(others) and (replica.state != "ready" or pool.may_move(replica, others))
        self._work.done("balancing", since)
        return leaves

    def _leave_if_answered(self) -> None:
        if self._leaving and not self._sent and self._replica is not None:
            self._leave(self._replica)
            after(self._env, 2 * NETWORK, self._connect)

    def _leave(self, replica: Replica) -> None:
        self._process.servers[replica.address].sessions.discard(self)
        self._balancing(self._process.pool.left, replica, moved=True)
        self._replica = None

    def broken(self) -> None:
        """The server has gone."""
        replica = self._replica
        if replica is None:
            return
        self._answers.take(Closed(ConnectionLostError("killed")), self._env.now)
        for _ in self._sent:
            self._process.pool.given_up(replica)
        self._sent.clear()
        self._balancing(self._process.pool.lost, replica)
        self._leaving = False
        self.pump()

    def _recover(self, error: Any) -> None:
        self._answers.server_lost(error, self._env.now)
        self._settle()
        self._credits.hold(self._outgoing.in_flight)
        if self._replica is not None:
            self._leave(self._replica)
        assert self._session.phase is SessionPhase.LOST
        after(self._env, RECONNECT, self._connect)

    def _balancing(self, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        since = time.thread_time()
        result = call(*arguments, **keywords)
        self._work.done("balancing", since)
        return result


class Observe:
    """Hears how each frame ended."""

    def ended(self, camera: Camera, outcome: str, now: float, latency: float) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Plan:
    """``cells`` of servers and cameras that know nothing of each other, of ``processes`` each."""

    cameras: int
    servers: int
    cells: int
    processes: int
    fps: float
    slots: int
    load: float
    heavy: float
    heavy_cost: float

    @property
    def service(self) -> float:
        """Seconds of a frame of cost 1, so that all servers have this ``load``."""
        mean = 1.0 + self.heavy * (self.heavy_cost - 1.0)
        return self.load * self.servers * self.slots / (self.cameras * self.fps * mean)


class SimulatedFleet:
    """Cells of cameras, processes and servers."""

    def __init__(self, env: simpy.Environment, plan: Plan, observe: Observe, seed: int = 1) -> None:
        self.work = Work()
        chance = random.Random(seed)
        self.cells: list[list[Server]] = []
        processes: list[Process] = []
        for cell in range(plan.cells):
            count = plan.servers * (cell + 1) // plan.cells - plan.servers * cell // plan.cells
            servers = [
                Server(env, f"cell{cell}-{number}:9000", plan.slots, plan.service, chance) for number in range(count)
            ]
            self.cells.append(servers)
            processes += [Process(env, servers, self.work, chance) for _ in range(plan.processes)]
        env.run(until=Watch.CHECK_SECONDS)  # every replica has been asked
        names = [f"camera {number}" for number in range(plan.cameras)]
        since = time.thread_time()
        places = spread({}, names, len(processes))
        self.work.seconds["placement"] += time.thread_time() - since
        every = round(1 / plan.heavy) if plan.heavy else plan.cameras + 1
        self.cameras = [
            Camera(processes[places[name]], plan.fps, plan.heavy_cost if number % every == 0 else 1.0, observe, chance)
            for number, name in enumerate(names)
        ]


def after(env: simpy.Environment, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
    """Call that later."""
    env.timeout(seconds).callbacks.append(lambda _: call(*arguments))


def _replica(options: TransportOptions, address: str) -> Replica:
    """Nobody calls its server."""
    return Replica(TransportOptions(address), cast(grpc.Channel, None))
