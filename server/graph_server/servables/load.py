"""What a server serves: models and graphs, loaded from a configuration."""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from graph_server.calculators import REGISTRY
from graph_server.config.findings import Effect
from graph_server.config.read import ServerConfig
from graph_server.config.reader import GraphConfig
from graph_server.errors import ConfigError, GraphServerError
from graph_server.graph.definition import PYTHON_NODES, GraphDefinition, parse_graph
from graph_server.graph.pool import CallGraph, GraphPool, PooledGraph, pool_size
from graph_server.graph.runtime import Graph
from graph_server.metrics.servables import ServableMetrics
from graph_server.models.model import Model
from graph_server.models.repository import ModelRepository, UsedModels
from graph_server.models.runtime import Runtime
from graph_server.python_nodes.handlers import Handlers, load_handlers

logger = logging.getLogger(__name__)

_LEVELS: Mapping[Effect, int] = {"refused": logging.ERROR, "read otherwise": logging.WARNING, "note": logging.INFO}


@dataclass(frozen=True, slots=True)
class LoadedGraph:
    """A valid graph, the text it was read from, the models it opens, the scripts of its Python nodes, and its pool."""

    definition: GraphDefinition
    text: str
    models: Mapping[str, Model]
    label_file: Path | None
    handlers: Handlers
    pool: GraphPool | None = None

    @property
    def side_packets(self) -> Mapping[str, Handlers]:
        """What the server gives to every instance."""
        return {PYTHON_NODES: self.handlers}

    def close(self) -> None:
        """End the pool; sessions that are under way keep the scripts of Python nodes."""
        if self.pool is not None:
            self.pool.close()
        self.handlers.release()


@dataclass(frozen=True, slots=True)
class Servables:
    """Loaded graphs by name (``None``: failed to load, with the reason logged) and the models.

    ``label_files``: by graph, and by model that no graph uses. ``retired``: names that were served before the
    configuration changed.
    """

    graphs: Mapping[str, GraphDefinition | None]
    models: ModelRepository
    label_files: Mapping[str, Path | None]
    metrics: ServableMetrics = field(default_factory=ServableMetrics)
    retired: frozenset[str] = frozenset()
    loaded: Mapping[str, LoadedGraph] = field(default_factory=dict)

    def graph_for_call(self, name: str) -> CallGraph:
        """A fresh instance of a loaded graph, with state of its own, or a turn with one of its pool."""
        loaded = self.loaded[name]
        if loaded.pool is not None:
            return PooledGraph(loaded.pool)
        return Graph(loaded.definition, REGISTRY, self.models, own=loaded.side_packets)

    def is_pooled(self, name: str) -> bool:
        """Whether calls of that graph take turns."""
        return name in self.loaded and self.loaded[name].pool is not None

    def close(self, after: "Servables | None" = None) -> None:
        """End the graphs that ``after`` has not taken over."""
        kept = {id(graph) for graph in after.loaded.values()} if after is not None else set()
        for graph in self.loaded.values():
            if id(graph) not in kept:
                graph.close()


def load(
    config: ServerConfig,
    runtime: Runtime,
    metrics: ServableMetrics | None = None,
    before: Servables | None = None,
) -> Servables:
    """Load every graph and try it out; a graph that cannot work is logged and served as not ready.

    What ``before`` holds and has not changed is taken over. Raises :class:`ConfigError` where the configuration
    requires what failed.
    """
    metrics = metrics or ServableMetrics()
    for finding in config.findings:
        logger.log(_LEVELS[finding.effect], "%s", finding)
    models = ModelRepository(runtime, config.models, metrics, before.models if before else None)
    loaded: dict[str, LoadedGraph] = {}
    for graph in config.graphs:
        if graph.name in models.names:
            continue  # among the findings
        metrics.add_graph(graph.name)
        try:
            loaded[graph.name] = _load_graph(graph, models, before.loaded.get(graph.name) if before else None)
        except GraphServerError as error:
            _report(f"graph {graph.name}", error, config.required)
        except Exception as error:
            logger.debug("graph %s", graph.name, exc_info=error)
            failure = ConfigError(f"{graph.graph_path} cannot be loaded: {type(error).__name__}: {error}")
            _report(f"graph {graph.name}", failure, config.required)
    in_graphs = {name for graph in loaded.values() for name in graph.models}
    alone = set(models.names) - in_graphs
    for name in models.names:
        if name in alone:
            models.compile(name)
        _report(f"model {name}", models.failure(name), config.required)
    models.forget_sources()
    names = {graph.name for graph in config.graphs} - set(models.names)
    retired = ((before.retired | before.graphs.keys() | set(before.models.names)) if before else set()) - names
    return Servables(
        graphs={name: loaded[name].definition if name in loaded else None for name in sorted(names)},
        models=models,
        label_files={name: loaded[name].label_file if name in loaded else None for name in sorted(names | alone)},
        metrics=metrics,
        retired=frozenset(retired - set(models.names)),
        loaded=loaded,
    )


def _report(what: str, error: Exception | None, required: bool) -> None:
    if error is None:
        return
    if required:
        raise error
    text = str(error)
    logger.error("%s", text if text.startswith(what) else f"{what}: {text}")


def _load_graph(config: GraphConfig, models: ModelRepository, before: LoadedGraph | None) -> LoadedGraph:
    try:
        text = config.graph_path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {config.graph_path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{config.graph_path} is not UTF-8 text: {error}") from error
    source = str(config.graph_path)
    if (
        before is not None
        and (before.text, before.definition.source) == (text, source)
        and all(name in models.names and models.get(name) is model for name, model in before.models.items())
    ):
        return before
    definition = parse_graph(text, source=source, registry=REGISTRY)
    handlers = load_handlers(definition.order, config.graph_path.parent)
    try:
        return _tried(definition, text, models, handlers)
    except BaseException:
        handlers.release()
        raise


def _tried(definition: GraphDefinition, text: str, models: ModelRepository, handlers: Handlers) -> LoadedGraph:
    own = {PYTHON_NODES: handlers}
    # Making one opens every model: what is missing shows now, and the first session finds them compiled.
    noted = UsedModels(models)
    with ThreadPoolExecutor(2) as threads:  # OpenVINO compiles with one thread
        trial = Graph(definition, REGISTRY, noted, threads.map, own=own)
    trial.start({port.name: None for port in definition.input_side_packets}, lambda name, value, timestamp: None)
    trial.close_inputs()
    trial.wait_until_done()
    pool = None
    if definition.pool_size is not None:
        pool = GraphPool(lambda: Graph(definition, REGISTRY, models, own=own), pool_size(definition.pool_size))
    return LoadedGraph(definition, text, noted.used, _label_file(noted.used.values()), handlers, pool)


def _label_file(models: Iterable[Model]) -> Path | None:
    """The labels.txt beside one of the models, if any has it."""
    paths = (model.path.parents[1] / "labels.txt" for model in models)
    return next((path for path in paths if path.is_file()), None)
