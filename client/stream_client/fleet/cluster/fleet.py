"""A fleet on a Ray cluster, as the process sees it that starts it or looks at it."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from stream_client.embedded import EmbeddedOptions
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.fleet.cluster.connection import NAMESPACE
from stream_client.fleet.cluster.served import names_no_server
from stream_client.fleet.cluster.supervisor import PlacedStatus, Supervisor
from stream_client.fleet.messages import Reported
from stream_client.fleet.plan import StreamPlan
from stream_client.fleet.supervised import StreamStatus
from stream_client.monitoring.statistics import Measured
from stream_client.plain_text import one_line
from stream_client.run_settings import check_settings
from stream_client.util.redact import redact

_HEAD = "node:__internal_head__"
"""The resource by which Ray knows the head."""
_ANSWER_SECONDS = 120.0
_LOOK_SECONDS = 1.0
_END_SECONDS = 60.0
_PAUSE_SECONDS = 0.2


def check_plan(plan: StreamPlan, *, served: bool) -> None:
    """Raise :class:`.ConfigurationError` for a stream that no node could run, as far as this process sees that.

    ``served``: the nodes have servers of the fleet.
    """
    if names_no_server(plan.settings) and not served:
        raise ConfigurationError(
            "an embedded server serves only one machine: name one that the nodes reach, or let each node have one",
            option="graph_servers",
        )
    check_settings(plan.settings)


class ClusterFleet:
    """As a :class:`~stream_client.fleet.fleet.Fleet`, but its streams outlive it: :meth:`stop` ends them.

    ``ray`` is connected; ``name`` is the fleet's in the cluster. ``servers``: each node has a graph server like that,
    for streams that name none. Waiting ends with :class:`.StreamClientError` when ``stopped`` says so. A context
    manager. For one thread.
    """

    def __init__(
        self,
        ray: ModuleType,
        name: str,
        stopped: Callable[[], bool] = lambda: False,
        servers: EmbeddedOptions | None = None,
    ) -> None:
        self._ray = ray
        self._servers = servers
        self._stopped = stopped
        self._known: list[PlacedStatus] | None = None
        self._looked: frozenset[str] = frozenset()
        actor = ray.remote(Supervisor).options(
            name=f"{name}: supervisor",
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=-1,  # what it is asked for may be asked for twice
            num_cpus=0,
            resources={_HEAD: 0.001},  # where it is lost with the cluster, and not with some node's streams
        )
        self._supervisor = actor.remote(name, os.getcwd())

    def __enter__(self) -> "ClusterFleet":
        return self

    def __exit__(self, *exception: object) -> None:
        """The streams go on."""

    def apply(self, plans: Iterable[StreamPlan], paused: Collection[str] | None = None) -> Mapping[str, str]:
        """As :meth:`.Fleet.apply`; ``None`` as no names. What shows only on a node is in :meth:`status`."""
        problems, good = {}, []
        for plan in plans:
            try:
                check_plan(plan, served=self._servers is not None)
                good.append(plan)
            except ConfigurationError as error:
                problems[plan.name] = error.message
        self._ask(self._supervisor.apply.remote(good, frozenset(paused or ()), self._servers), _ANSWER_SECONDS)
        return problems

    def placed(self) -> list[PlacedStatus]:
        """Every stream now, by name; what was known last, while the supervisor is restarted."""
        asked = self._supervisor.status.remote(self._looked)
        if self._known is None:
            self._known = self._ask(asked, _ANSWER_SECONDS)
        elif self._ray.wait([asked], timeout=_LOOK_SECONDS)[0]:
            self._known = self._ask(asked, _LOOK_SECONDS)
        return self._known or []

    def status(self) -> list[StreamStatus]:
        """Every stream now, by name."""
        return [each.status for each in self.placed()]

    def statistics(self) -> Sequence[Measured]:
        """Those of every stream, for its metrics, a second old at most."""
        return [Reported(each.statistics) for each in self.placed() if each.statistics is not None]

    def look(self, names: Collection[str]) -> None:
        """Have pictures of these streams, and of no others."""
        self._looked = frozenset(names)

    def pictures(self) -> Mapping[str, bytes]:
        """The newest images of the streams that are looked at, as JPEG; those that were asked for last."""
        return {each.status.name: each.picture for each in self._known or () if each.picture is not None}

    def drain(self, node: str) -> None:
        """Move the streams of a node, and wait until it has none. Raises :class:`.StreamClientError`."""
        found = self._ask(self._supervisor.drain.remote(node), _ANSWER_SECONDS)
        self._wait(lambda: not any(each.node == found for each in self.placed()), f"node {node} still has streams")

    def stop(self) -> None:
        """End every stream, and forget the fleet. Raises :class:`.StreamClientError` where one does not end in time."""
        self._ask(self._supervisor.apply.remote([], frozenset(), None), _ANSWER_SECONDS)
        self._wait(lambda: not self.placed(), "streams are still there")
        self._ask(self._supervisor.end.remote(), _ANSWER_SECONDS)
        self._ray.kill(self._supervisor)

    def _ask(self, reference: Any, timeout: float) -> Any:
        self._wait(
            lambda: bool(self._ray.wait([reference], timeout=_PAUSE_SECONDS)[0]),
            "the fleet's supervisor does not answer",
            timeout,
        )
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ConfigurationError):
                raise error.cause from None
            raise StreamClientError(_said(error)) from error
        except self._ray.exceptions.RayError as error:
            raise StreamClientError(_said(error)) from error

    def _wait(self, over: Callable[[], bool], otherwise: str, timeout: float = _END_SECONDS) -> None:
        until = time.monotonic() + timeout
        while not over():
            if self._stopped():
                raise StreamClientError(f"stopped while {otherwise}")
            if time.monotonic() > until:
                raise StreamClientError(f"{otherwise} after {timeout:.0f} s: do the cluster's nodes live?")
            time.sleep(_PAUSE_SECONDS)


def _said(error: Exception) -> str:
    return f"the cluster does not run the fleet: {redact(one_line(str(error).strip().splitlines()[-1]))}"
