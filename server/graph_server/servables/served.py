"""What a server serves: its models and graphs, and how they wake, sleep and close."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graph_server.calculators import REGISTRY
from graph_server.errors import ConfigError, GraphError, GraphServerError
from graph_server.graph.definition import PYTHON_NODES, GraphDefinition
from graph_server.graph.pool import CallGraph, GraphPool, PooledGraph
from graph_server.graph.runtime import Graph
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.model import Model
from graph_server.models.repository import ModelRepository
from graph_server.python_nodes.handlers import Handlers
from graph_server.servables.idle import PERMANENT

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedGraph:
    """A graph as it was read, and what it needs to run. Nothing of that where it cannot be loaded.

    ``source``: where it was read. ``models``: what it opens, by name. ``handlers``: the scripts of its Python nodes.
    ``pool``: its pool, if its text asks for one. ``whole``: whether all its models are served.
    """

    source: str
    text: str
    definition: GraphDefinition | None = None
    models: Mapping[str, Model] = field(default_factory=dict)
    label_file: Path | None = None
    handlers: Handlers = field(default_factory=lambda: Handlers({}))
    pool: GraphPool | None = None
    whole: bool = True

    @property
    def side_packets(self) -> Mapping[str, Handlers]:
        """The side packets that the server gives to every instance."""
        return {PYTHON_NODES: self.handlers}

    def close(self) -> None:
        """End the pool. Running sessions keep the scripts of Python nodes."""
        if self.pool is not None:
            self.pool.close()
        self.handlers.release()


@dataclass(frozen=True, slots=True)
class Servables:
    """What is served. ``label_files``: by graph, and by model that no graph uses.

    ``retired``: graphs that were served before the configuration changed.
    """

    models: ModelRepository
    loaded: Mapping[str, LoadedGraph] = field(default_factory=dict)
    label_files: Mapping[str, Path | None] = field(default_factory=dict)
    metrics: ServableMetrics = field(default_factory=ServableMetrics)
    retired: frozenset[str] = frozenset()

    @property
    def graphs(self) -> Mapping[str, GraphDefinition | None]:
        """The definition of every graph, ``None`` for one that could not be loaded."""
        return {name: graph.definition for name, graph in self.loaded.items()}

    def graph_for_call(self, name: str) -> CallGraph:
        """A new instance of a loaded graph with its own state, or an instance of its pool.

        Raises :class:`GraphError` ``FAILED_PRECONDITION`` where one of its models is not served.
        """
        loaded = self.loaded[name]
        assert loaded.definition is not None
        if loaded.pool is not None:
            return PooledGraph(loaded.pool)
        try:
            return Graph(loaded.definition, REGISTRY, self.models, own=loaded.side_packets)
        except ConfigError as error:
            raise GraphError(str(error), "FAILED_PRECONDITION") from error

    def wake(self, name: str) -> None:
        """Compile what a graph or model needs. What fails is logged: the call that needs it fails with the reason."""
        graph = self.loaded.get(name)
        try:
            if name in self.models.names:
                self.models.wake(name)
            elif graph is not None and graph.definition is not None:
                Graph(graph.definition, REGISTRY, self.models, own=graph.side_packets).cancel()
                self.metrics.graph_loaded(name, True)
        except GraphServerError as error:
            logger.error("%s: %s", name, error)

    def sleep(self, name: str, needed: Collection[str] = ()) -> None:
        """Free what is compiled for a graph, with its models, or for a model. ``needed`` models stay as they are."""
        if name in self.models.names:
            if name not in needed:
                self.models.sleep(name)
        elif name in self.loaded:
            pool = self.loaded[name].pool
            if pool is not None:
                pool.empty()
            for model in self.loaded[name].models.values():
                if model.config.group != PERMANENT and model.name not in needed:
                    model.unload()
            self.metrics.graph_loaded(name, False)

    def is_pooled(self, name: str) -> bool:
        """Whether the graph has a pool."""
        return name in self.loaded and self.loaded[name].pool is not None

    def close(self, after: "Servables | None" = None) -> None:
        """Close the graphs that ``after`` has not taken over."""
        kept = {id(graph) for graph in after.loaded.values()} if after is not None else set()
        for graph in self.loaded.values():
            if id(graph) not in kept:
                graph.close()
