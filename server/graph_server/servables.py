"""What a server serves: models and graphs, loaded from a configuration."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graph_server.calculators import REGISTRY
from graph_server.config import GraphConfig, ServerConfig
from graph_server.errors import ConfigError, GraphServerError
from graph_server.graph.definition import GraphDefinition, parse_graph
from graph_server.graph.runtime import Graph
from graph_server.models import ModelRepository, Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Servables:
    """Loaded graphs by name (``None``: failed to load, with the reason logged) and the models."""

    graphs: Mapping[str, GraphDefinition | None]
    models: ModelRepository
    label_files: Mapping[str, Path | None]

    def new_graph(self, definition: GraphDefinition) -> Graph:
        """A fresh instance, with state of its own."""
        return Graph(definition, REGISTRY, self.models)


def load(config: ServerConfig, runtime: Runtime) -> Servables:
    """Load every graph and try it out; a graph that cannot work is logged and served as not ready."""
    models = ModelRepository(runtime, config.models)
    graphs: dict[str, GraphDefinition | None] = {}
    labels: dict[str, Path | None] = {}
    for graph in config.graphs:
        try:
            graphs[graph.name] = definition = _load_graph(graph, models)
            labels[graph.name] = _label_file(definition, models)
        except GraphServerError as error:
            logger.error("graph %s: %s", graph.name, error)
            graphs[graph.name] = labels[graph.name] = None
    return Servables(graphs, models, labels)


def _load_graph(config: GraphConfig, models: ModelRepository) -> GraphDefinition:
    try:
        text = config.graph_path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {config.graph_path}: {error.strerror}") from error
    definition = parse_graph(text, source=str(config.graph_path), registry=REGISTRY)
    # Making one opens every model: what is missing shows now, and the first session finds them compiled.
    trial = Graph(definition, REGISTRY, models)
    trial.start({port.name: None for port in definition.input_side_packets}, lambda name, value, timestamp: None)
    trial.close_inputs()
    trial.wait_until_done()
    return definition


def _label_file(definition: GraphDefinition, models: ModelRepository) -> Path | None:
    """The labels.txt beside a model of the graph, if one has any."""
    for node in definition.order:
        session = node.options.get("OpenVINOModelServerSessionCalculatorOptions")
        if session is not None:
            path = models.get(session.servable_name).path.parents[1] / "labels.txt"
            if path.is_file():
                return path
    return None
