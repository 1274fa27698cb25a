"""A fleet in simulated time: the client's own flow control, shares, balancing and placement, and modeled servers."""

import random
from dataclasses import dataclass

import simpy
from simulated_camera import Camera, Observe
from simulated_process import Process, Work
from simulated_server import Server

from stream_client.fleet.spread import spread
from stream_client.replicas.watch import Watch


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
        places = self.work.of("placement", spread, {}, names, len(processes))
        every = round(1 / plan.heavy) if plan.heavy else plan.cameras + 1
        self.cameras = [
            Camera(processes[places[name]], plan.fps, plan.heavy_cost if number % every == 0 else 1.0, observe, chance)
            for number, name in enumerate(names)
        ]
