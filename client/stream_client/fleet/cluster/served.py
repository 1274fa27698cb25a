"""Graph servers of a fleet, an actor on each node; streams without a server of their own use that of their node."""

import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import ConnectError, StreamClientError
from stream_client.fleet.cluster.connection import NAMESPACE
from stream_client.fleet.cluster.placement import Node
from stream_client.fleet.cluster.store import Served, Store
from stream_client.fleet.shared_server import at_server
from stream_client.transport.addresses import EMBEDDED, MOST_REPLICAS
from stream_client.util.redact import redact
from stream_client.util.settings import Settings

logger = logging.getLogger(__name__)

_CORES = 1.0
_LOOK_SECONDS = 1.0


def names_no_server(settings: Settings) -> bool:
    """Whether a stream with these settings uses a server of the fleet."""
    return settings.get("grpc_address") in (None, EMBEDDED)


def addresses_for(node: str, servers: Mapping[str, Served]) -> str:
    """The address of the node's own server; where it has none, those of all others. One server at least is there."""
    own = servers.get(node)
    found = [own] if own is not None else [servers[name] for name in sorted(servers)][:MOST_REPLICAS]
    return ",".join(each.address for each in found)


def with_server(settings: Settings, servers: Mapping[str, Served], node: str) -> Settings:
    """The settings of a run on ``node`` that names no server, with those of ``servers`` that it uses: one at least."""
    return at_server(settings, addresses_for(node, servers), next(iter(servers.values())).labels)


class NodeServer:
    """A graph server on this node, at the address that the node has in the cluster. An actor, whose end ends it.

    A server that ends is started again, at the same port if that is still free: streams look for it there.
    """

    def __init__(self, fleet: str, options: EmbeddedOptions) -> None:
        import ray

        self._node = str(ray.get_runtime_context().get_node_id())
        self._host = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        self._store = Store(fleet)
        self._options = options
        before = self._store.servers().get(self._node)
        self._server = self._made(before.address.rpartition(":")[2] if before is not None else "0")
        threading.Thread(target=self._keep_alive, name="graph server", daemon=True).start()

    def _made(self, port: str) -> EmbeddedServer:
        return EmbeddedServer(self._options.bound_to(self._host, port))

    def _keep_alive(self) -> None:
        known = ""
        while True:
            try:
                self._server.revive(_LOOK_SECONDS)
            except ConnectError:  # it starts still
                continue
            except StreamClientError as error:
                logger.warning("%s", redact(error.message))
                if not known:  # somebody else may have the port by now
                    self._server.close()
                    self._server = self._made("0")
            else:
                if self._server.address != known:
                    known = self._server.address
                    self._store.serve(self._node, Served(known, self._server.label_files))
            time.sleep(_LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class _Hosted:
    actor: Any
    options: EmbeddedOptions


class NodeServers:
    """Sees to it that each node has a server, if that is wanted. For one thread at a time."""

    def __init__(self, fleet: str, store: Store) -> None:
        self._fleet = fleet
        self._store = store
        self._wanted = store.wanted_servers()
        self._hosted: dict[str, _Hosted] = {}

    def want(self, options: EmbeddedOptions | None) -> None:
        """Have servers like that, or none."""
        if options != self._wanted:
            self._wanted = options
            self._store.want_servers(options)

    def go_on(self, ray: ModuleType, nodes: Collection[Node], draining: Collection[str]) -> None:
        """The next step to what is wanted."""
        alive = {node.id for node in nodes}
        fit = {node.id for node in nodes if node.cores >= _CORES} - set(draining) if self._wanted else set()
        over = [node for node, each in self._hosted.items() if node not in alive or each.options != self._wanted]
        for node in fit - self._hosted.keys():
            assert self._wanted is not None
            self._hosted[node] = _Hosted(self._made(ray, node, self._wanted), self._wanted)
        for node in over:  # another one is made with the next look, when the name is free
            ray.kill(self._hosted.pop(node).actor)
            self._store.serve(node, None)
        for node in self._store.servers().keys() - alive:
            self._store.serve(node, None)

    def _made(self, ray: ModuleType, node: str, options: EmbeddedOptions) -> Any:
        made = ray.remote(NodeServer).options(
            name=f"{self._fleet}: server, {node}",
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            max_restarts=-1,
            num_cpus=_CORES,
            scheduling_strategy=ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False),
        )
        return made.remote(self._fleet, options)
