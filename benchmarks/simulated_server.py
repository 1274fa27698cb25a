"""A model of a server in simulated time."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import simpy

from stream_client.frames import Frame

NETWORK = 0.001
"""Seconds to a server and back."""


class Client(Protocol):
    """Whose frames a server works on."""

    cost: float

    def answered(self, frame: Frame, server: "Server") -> None:
        """The server's answer has come."""

    def broken(self) -> None:
        """The server has gone."""


class Server:
    """One queue, and ``slots`` places where a frame of cost 1 takes ``service`` seconds on average."""

    def __init__(self, env: simpy.Environment, address: str, slots: int, service: float, chance: random.Random) -> None:
        self.address = address
        self.up, self.draining, self.slowness = True, False, 1.0
        self.updates = 0
        self.sessions: dict[Client, None] = {}  # in order, unlike a set: runs are alike
        self._env = env
        self._slots, self._service, self._chance = slots, service, chance
        self._queue: deque[tuple[Client, Frame]] = deque()
        self._busy = self._life = 0

    def submit(self, camera: Client, frame: Frame) -> None:
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

    def _finished(self, camera: Client, frame: Frame, life: int) -> None:
        if life == self._life:
            self._busy -= 1
            after(self._env, NETWORK, camera.answered, frame, self)
            self._work()


def after(env: simpy.Environment, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
    """Call that later."""
    env.timeout(seconds).callbacks.append(lambda _: call(*arguments))
