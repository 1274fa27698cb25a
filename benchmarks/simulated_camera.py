"""A live stream in simulated time, by the client's own flow control.

The real code has no threads here: what the client's threads do one after another, this does at the same moment.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from simulated_process import Process
from simulated_server import NETWORK, Server, after

from stream_client.errors import ConnectionLostError
from stream_client.frames import Frame, Stamps, Tensor
from stream_client.monitoring.ledger import Ledger
from stream_client.pipeline.answers import Answers
from stream_client.pipeline.flow import AdaptiveWindow, LatestFrameQueue
from stream_client.pipeline.joiner import Joiner
from stream_client.pipeline.outgoing import Outgoing
from stream_client.pipeline.pending import Settled
from stream_client.pipeline.phases import RunPhase, SessionPhase, SessionState
from stream_client.pipeline.steps import Lost, SendFrame
from stream_client.replicas.replica import Replica
from stream_client.replicas.residence import Residence
from stream_client.transport.base import Answer, Closed, Request

IMAGE = np.zeros((16, 16, 3), np.uint8)
OUTPUTS = {"image": Tensor("image", "UINT8", IMAGE)}
RECONNECT = 0.1
P = ParamSpec("P")
T = TypeVar("T")


class Camera:
    """A live stream: a frame every ``interval`` seconds, of which the newest is sent."""

    def __init__(self, process: Process, fps: float, cost: float, observe: "Observe", chance: random.Random) -> None:
        self.cost = cost
        self.ledger = Ledger()
        self._process, self._env, self._work, self._observe = process, process.env, process.work, observe
        self._interval = 1.0 / fps
        self._credits = process.credits.join(1.0)
        self._credits.on_wake(lambda: process.wake(self.pump))
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
        self._residence = Residence(process.pool, process.pool.ready, chance)
        self._leaving = False
        self._sent: dict[int, float] = {}
        self._index = 0
        self._connect()
        after(self._env, chance.random() * self._interval, self._tick)

    # --- the source

    def _tick(self) -> None:
        now = self._env.now
        frame = Frame(self._index, round(now * 1e6), IMAGE, now)
        self._index += 1
        for _ in range(self._flow(self._enter, frame)):
            self._observe.ended(self, "dropped", now, 0.0)
        self.pump()
        after(self._env, self._interval, self._tick)

    def _enter(self, frame: Frame) -> int:
        """Returns how many frames it has replaced."""
        self.ledger.enter()
        replaced = list(self._queue.offer(frame))
        for _ in replaced:
            self.ledger.drop("replaced")
        return len(replaced)

    # --- the sender

    def pump(self) -> None:
        """Send what may be sent."""
        while (replica := self._replica) is not None and not self._leaving:
            waiting = self._env.now - next(iter(self._sent.values()), self._env.now)
            if len(self._queue) and self._balancing(self._residence.shall_leave, replica, waiting):
                self._leaving = True
                self._credits.withdraw()
                self._leave_if_answered()
                return
            match self._flow(self._outgoing.next_step, RunPhase.READING, 0, self._env.now):
                case SendFrame(frame):
                    self._send(frame, replica)
                case Lost(error):
                    self._recover(error)
                case _:
                    return

    def _send(self, frame: Frame, replica: Replica) -> None:
        now = self._env.now
        self._flow(self._count_sent, frame, now)
        self._balancing(self._process.pool.sent, replica)
        self._sent[frame.timestamp] = now
        self._process.servers[replica.address].submit(self, frame)

    def _count_sent(self, frame: Frame, now: float) -> None:
        self._outgoing.converted()
        stamps = Stamps(frame.captured, now, now, now, sent=now)
        self._joiner.sent(frame, Request(frame.timestamp, ()), stamps, now)
        self._credits.hold(self._outgoing.in_flight)

    def answered(self, frame: Frame, server: Server) -> None:
        """The server's answer has come."""
        sent = self._sent.pop(frame.timestamp, None)
        replica = self._replica
        if sent is None or replica is None or replica.address != server.address:
            return
        now = self._env.now
        self._balancing(self._residence.answered, replica, now - sent)
        self._report(self._flow(self._take, Answer(frame.timestamp, OUTPUTS, now, now, complete=True), now), now)
        self._credits.wake_others()
        self._leave_if_answered()
        self.pump()

    def _take(self, answer: Answer, now: float) -> list[Settled]:
        self._answers.take(answer, now)
        settled = self._settle(now)
        self._credits.hold(self._outgoing.in_flight)
        return settled

    def _settle(self, now: float) -> list[Settled]:
        found = self._answers.settled(now)
        for settled in found:
            if settled.outcome == "delivered":
                self.ledger.deliver()
                self._window.delivered(now - settled.frame.captured)
        return found

    def _report(self, found: Iterable[Settled], now: float) -> None:
        for settled in found:
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
        self._residence.settle()
        self._credits.placed(replica.address)
        server.sessions[self] = None
        self.pump()

    def _leave_if_answered(self) -> None:
        if self._leaving and not self._sent and self._replica is not None:
            self._leave(self._replica)
            after(self._env, 2 * NETWORK, self._connect)

    def _leave(self, replica: Replica) -> None:
        self._process.servers[replica.address].sessions.pop(self, None)
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
        self._report(self._settle(self._env.now), self._env.now)
        self._credits.hold(self._outgoing.in_flight)
        if self._replica is not None:
            self._leave(self._replica)
        assert self._session.phase is SessionPhase.LOST
        after(self._env, RECONNECT, self._connect)

    def _flow(self, call: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        return self._work.of("flow control", call, *arguments, **keywords)

    def _balancing(self, call: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        return self._work.of("balancing", call, *arguments, **keywords)


class Observe:
    """Hears how each frame ended."""

    def ended(self, camera: Camera, outcome: str, now: float, latency: float) -> None:
        raise NotImplementedError
