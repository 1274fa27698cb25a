"""One stream of the cluster: from what is wanted of it to an actor on some node, and to the next one."""

import logging
import time
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from stream_client.fleet.cluster.connection import NAMESPACE
from stream_client.fleet.cluster.host import HostReport
from stream_client.fleet.cluster.lease import LEASE_SECONDS
from stream_client.fleet.cluster.placement import ClusterState, lacking, need_of, selector
from stream_client.fleet.cluster.store import Kept, Store
from stream_client.fleet.plan import StreamPlan
from stream_client.util.backoff import Backoff

logger = logging.getLogger(__name__)

_REPORT_SECONDS = 0.5
_SCHEDULED_SECONDS = 3.0
"""A stream that has no node after so long waits for something."""
_STARTED_SECONDS = 30.0
"""No process takes so long to start."""
_LASTING = 30.0


@dataclass(frozen=True, slots=True)
class Host:
    """How the actors of a fleet are made: of ``actors``, Ray's class. Relative names are those of ``folder``."""

    fleet: str
    folder: str
    actors: Any

    def name(self, kept: Kept) -> str:
        """The name of an actor in the cluster."""
        return f"{self.fleet}: {kept.plan.name}, {kept.epoch}"

    def find(self, ray: ModuleType, kept: Kept) -> Any:
        """The actor of a placement; ``None`` where there is none."""
        try:
            return ray.get_actor(self.name(kept), namespace=NAMESPACE)
        except ValueError:
            return None

    def make(self, kept: Kept, draining: frozenset[str], *, at_once: bool) -> Any:
        """The actor of a new placement, which waits for a node that has what it needs."""
        need = need_of(kept)
        made = self.actors.options(
            name=self.name(kept),
            namespace=NAMESPACE,
            lifetime="detached",  # it outlives the supervisor
            max_restarts=0,  # a new placement has a new epoch
            num_cpus=need.cores,
            memory=need.memory,
            scheduling_strategy="SPREAD",
            label_selector=selector(need, draining),
        )
        return made.remote(self.fleet, kept.plan, kept.epoch, self.folder, at_once=at_once, paused=kept.paused)


class PlacedStream:
    """For one thread at a time."""

    def __init__(self, host: Host, store: Store, kept: Kept) -> None:
        self.report: HostReport | None = None
        self.problem = ""
        self.moves = 0
        self.gone = False
        self.looked_at = False
        self.pending: Any = None
        """The answer of its actor that is waited for."""
        self._host = host
        self._store = store
        self._kept = kept
        self._hosted: StreamPlan | None = None
        """What its actor runs, as far as that is known."""
        self._actor: Any = None
        self._adopted = kept.epoch == 0
        self._at_once = kept.epoch == 0  # nothing was before
        self._begun = True
        """Whether its actor knows that it may deliver, or finds that out by itself."""
        self._removed = False
        self._leaving = False
        self._asked = 0.0
        self._placed = 0.0
        self._due = 0.0
        self._backoff = Backoff(1.0, 60.0)

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._kept.plan.name

    @property
    def epoch(self) -> int:
        """The number of its newest placement."""
        return self._kept.epoch

    def want(self, plan: StreamPlan, *, paused: bool) -> None:
        """Run ``plan`` from now on."""
        self._removed = False
        if (plan, paused) != (self._kept.plan, self._kept.paused):
            self._keep(replace(self._kept, plan=plan, paused=paused))

    def remove(self) -> None:
        """End the stream."""
        self._removed = True

    def answered(self, ray: ModuleType, reference: Any) -> None:
        """Take the answer that was waited for."""
        self.pending = None
        errors = ray.exceptions
        try:
            answer = ray.get(reference)
        except errors.ActorUnavailableError:
            return  # asked again
        except errors.RayActorError as error:
            self._lost(str(error))
            return
        except errors.RayError as error:
            logger.warning("%s: %s", self.name, error)
            return
        if self._leaving:
            self._end(ray, at_once=True)
        else:
            self.report, self.problem, self._hosted = answer, answer.problem, answer.plan
            if answer.paused != self._kept.paused:
                self._actor.pause.remote(self._kept.paused)
            if answer.cores is not None:
                self._kept = replace(self._kept, cores=answer.cores, memory=answer.memory)

    def go_on(self, ray: ModuleType, cluster: ClusterState) -> None:
        """The next step to what is wanted."""
        now = time.monotonic()
        if not self._adopted:
            self._adopted, self._actor = True, self._host.find(ray, self._kept)
        if self._actor is None:
            if self._removed:
                self._store.forget(self.name)
                self.gone = True
            elif now >= self._due:
                self._place(cluster.draining)
        elif not self._begun and now >= self._placed + LEASE_SECONDS:
            self._begun = True
            self._actor.begin.remote()  # while its process starts
        elif self._leaving or self._shall_leave(cluster.draining):
            if self.pending is None or not self._leaving:
                self._leave(ray)
        elif self.pending is None and now >= self._asked + _REPORT_SECONDS:
            self._asked = now
            self.pending = self._actor.report.remote(self.looked_at)
        elif self.report is None and now >= self._placed + _SCHEDULED_SECONDS:
            need = need_of(self._kept)
            self.problem = lacking(need, cluster)
            if not self.problem and now >= self._placed + _STARTED_SECONDS:
                self.problem = f"no node that it may run on has {need.cores:g} cores and {need.memory >> 20} MiB free"

    def _shall_leave(self, draining: frozenset[str]) -> bool:
        on_drained = self.report is not None and self.report.node in draining
        return self._removed or self._hosted not in (None, self._kept.plan) or on_drained

    def _place(self, draining: frozenset[str]) -> None:
        self._keep(replace(self._kept, epoch=self._kept.epoch + 1))
        self._placed, self._asked = time.monotonic(), 0.0  # from here on no head confirms the placement before
        self._actor = self._host.make(self._kept, draining, at_once=self._at_once)
        self._hosted, self._begun, self._at_once = self._kept.plan, self._at_once, False
        logger.info("%s: placement %d", self.name, self._kept.epoch)

    def _leave(self, ray: ModuleType) -> None:
        if self.report is None:  # it has no node yet, or has only just got one
            self._end(ray, at_once=False)
            return
        self._leaving = True
        self.pending = self._actor.stop.remote()

    def _end(self, ray: ModuleType, *, at_once: bool) -> None:
        """Its outputs are finished, if ``at_once``: the next placement needs not wait."""
        ray.kill(self._actor)
        self._forget_actor(at_once=at_once)
        self._due = 0.0

    def _lost(self, why: str) -> None:
        """Its process or its node is gone."""
        now = time.monotonic()
        logger.warning("%s: placement %d is lost: %s", self.name, self._kept.epoch, why.splitlines()[0])
        if now - self._placed > _LASTING:
            self._backoff.reset()
        self._due = 0.0 if self.report is not None else now + self._backoff.next()
        self.problem = "" if self.report is not None else f"its process does not start: {why.splitlines()[-1]}"
        self._forget_actor(at_once=False)
        self.moves += 1

    def _forget_actor(self, *, at_once: bool) -> None:
        self._actor, self.report, self.pending, self._leaving = None, None, None, False
        self._at_once = at_once

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        self._store.keep(kept)
