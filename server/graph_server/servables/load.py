"""Loads what a configuration names, models and graphs. Takes over what did not change.

Source: src/modelmanager.cpp (loadConfig), src/mediapipe_internal/mediapipefactory.cpp.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from graph_server.calculators import REGISTRY
from graph_server.config.collector import GraphConfig
from graph_server.config.findings import Effect
from graph_server.config.server_config import ServerConfig
from graph_server.errors import ConfigError, GraphServerError, MissingModelError
from graph_server.graph.definition import PYTHON_NODES, GraphDefinition, parse_graph
from graph_server.graph.pool import GraphPool, mixing, pool_size
from graph_server.graph.runtime import Graph
from graph_server.models.config import ModelConfig
from graph_server.models.model import Model
from graph_server.models.repository import Loaded, ModelRepository, UsedModels
from graph_server.python_nodes.handlers import Handlers, load_handlers
from graph_server.servables.idle import PERMANENT
from graph_server.servables.served import LoadedGraph, Servables

logger = logging.getLogger(__name__)

POOLS_OFF = "OVMS_GRAPH_QUEUE_OFF"
"""OVMS's environment variable: with ``1`` no graph has a pool (src/mediapipe_internal/mediapipegraphdefinition.cpp)."""
_LEVELS: Mapping[Effect, int] = {"refused": logging.ERROR, "read otherwise": logging.WARNING, "note": logging.INFO}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of loading, with OVMS's names of failures (src/status.hpp), empty without a failure.

    ``status``: of the configuration. ``retry``: of another attempt for what could not be loaded. ``changed``: whether a
    version of a model changed.
    """

    servables: Servables
    status: str = ""
    retry: str = ""
    changed: bool = False


def load(config: ServerConfig, before: Servables, *, lazy: bool = False) -> Outcome:
    """Load new and changed models and graphs. Take the others over from ``before``.

    With ``lazy``, models that no graph uses are compiled only where their group is permanent.
    What cannot be loaded is logged and served as not ready. Raises :class:`ConfigError` where the configuration
    requires it.
    """
    for finding in config.findings:
        logger.log(_LEVELS[finding.effect], "%s", finding)
    failures = [finding.status for finding in config.findings if finding.status]
    loaded_models = _load_models(config, before)
    failures += [loaded.status for loaded in loaded_models.values() if loaded.status]
    graphs: dict[str, LoadedGraph] = {}
    for graph in config.graphs:
        if graph.name in before.models.names:
            continue  # among the findings
        before.metrics.add_graph(graph.name)
        known = before.loaded.get(graph.name)
        graphs[graph.name] = _load_graph(graph, before.models, known, required=config.required)
        before.metrics.graph_loaded(graph.name, graphs[graph.name].definition is not None)
        if graphs[graph.name].definition is None and (known is None or known.text != graphs[graph.name].text):
            failures.append("MEDIAPIPE_GRAPH_CONFIG_FILE_INVALID")
    alone = _compile_alone(config, before, graphs, lazy)
    failures += [loaded.status for loaded in alone.values() if loaded.status]
    if config.required and not config.graphs and failures:
        before.models.get(config.models[0].name)
    before.models.forget_sources()
    every = [*loaded_models.values(), *alone.values()]
    servables = Servables(
        models=before.models,
        loaded=graphs,
        label_files=_label_files(before.models, graphs, alone),
        metrics=before.metrics,
        retired=(before.retired | before.loaded.keys()) - graphs.keys(),
    )
    return Outcome(
        servables,
        status=next(iter(failures), ""),
        retry=next((loaded.retry for loaded in every if loaded.retry), ""),
        changed=any(loaded.changed for loaded in every),
    )


def _load_models(config: ServerConfig, before: Servables) -> dict[str, Loaded]:
    taken = before.retired | before.loaded.keys()
    for model in config.models:
        if model.name in taken:
            logger.error("model %s: a graph has, or had, that name", model.name)
    loaded = before.models.load([model for model in config.models if model.name not in taken])
    for name in before.models.names:
        if name in config.invalid:
            before.models.refuse(name)
        elif name not in loaded:
            before.models.retire(name)
    return loaded | {name: Loaded(status="MODEL_NAME_OCCUPIED") for name in _names(config.models) & taken}


def _names(configs: Iterable[ModelConfig]) -> set[str]:
    return {config.name for config in configs}


def _load_graph(
    config: GraphConfig, models: ModelRepository, before: LoadedGraph | None, required: bool
) -> LoadedGraph:
    source, text = str(config.graph_path), ""
    try:
        text = _text(config)
        if before is not None and (before.source, before.text) == (source, text) and _is_current(before, models):
            return before
        return _loaded_graph(config, text, models)
    except GraphServerError as error:
        failure: GraphServerError = error
    except Exception as error:
        logger.debug("graph %s", config.name, exc_info=error)
        failure = ConfigError(f"{source} cannot be loaded: {type(error).__name__}: {error}")
    if required:
        raise failure
    logger.error("graph %s: %s", config.name, failure)
    return LoadedGraph(source, text)


def _is_current(graph: LoadedGraph, models: ModelRepository) -> bool:
    """Whether a graph that was loaded has the models that are served now."""
    if graph.definition is None or not graph.whole:
        return False
    try:
        return all(models.get(name) is model for name, model in graph.models.items())
    except GraphServerError:
        return False


def _text(config: GraphConfig) -> str:
    try:
        return config.graph_path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {config.graph_path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{config.graph_path} is not UTF-8 text: {error}") from error


def _loaded_graph(config: GraphConfig, text: str, models: ModelRepository) -> LoadedGraph:
    definition = parse_graph(text, source=str(config.graph_path), registry=REGISTRY)
    if os.environ.get(POOLS_OFF) == "1":
        definition = replace(definition, pool_size=None)
    handlers = load_handlers(definition.order, config.graph_path.parent)
    try:
        return _tried(definition, text, models, handlers)
    except BaseException:
        handlers.release()
        raise


def _tried(definition: GraphDefinition, text: str, models: ModelRepository, handlers: Handlers) -> LoadedGraph:
    own = {PYTHON_NODES: handlers}
    noted, whole = UsedModels(models), True
    try:
        # An instance opens every model: so missing ones are found now, and all are compiled before the first session.
        with ThreadPoolExecutor(2) as threads:  # OpenVINO compiles with one thread
            trial = Graph(definition, REGISTRY, noted, threads.map, own=own)
        trial.start(dict.fromkeys(definition.needed_side_packets), lambda name, value, timestamp: None)
        trial.close_inputs()
        trial.wait_until_done()
    except MissingModelError as error:
        # As in OVMS the graph is served all the same. Calls fail until the model is available.
        if definition.pool_size is not None:
            raise
        logger.error("%s: %s", definition.source, error)
        whole = False
    pool = None
    if mixed := mixing(definition, REGISTRY):
        logger.warning("%s: %s", definition.source, mixed)
    if definition.pool_size is not None:
        pool = GraphPool(lambda: Graph(definition, REGISTRY, models, own=own), pool_size(definition.pool_size))
    label_file = _label_file(noted.used.values())
    return LoadedGraph(definition.source, text, definition, noted.used, label_file, handlers, pool, whole)


def _compile_alone(
    config: ServerConfig, before: Servables, graphs: Mapping[str, LoadedGraph], lazy: bool
) -> dict[str, Loaded]:
    """Compile the models that no graph uses, before the first call."""
    used = {name for graph in graphs.values() for name in graph.models}
    alone = [
        model
        for model in config.models
        if model.name not in used and model.name in before.models.names and not model.on_demand
    ]
    return {
        model.name: Loaded() if lazy and model.group != PERMANENT else before.models.compile(model) for model in alone
    }


def _label_files(
    models: ModelRepository, graphs: Mapping[str, LoadedGraph], alone: Iterable[str]
) -> dict[str, Path | None]:
    files = {name: graph.label_file for name, graph in graphs.items()}
    for name in alone:
        served = [version.model for version in models.versions(name).values() if version.model is not None]
        files[name] = _label_file(served[-1:])
    return dict(sorted(files.items()))


def _label_file(models: Iterable[Model]) -> Path | None:
    """The labels.txt beside one of the models or beside its version's folder, if any has it."""
    paths = (folder / "labels.txt" for model in models for folder in model.path.parents[:2])
    return next((path for path in paths if path.is_file()), None)
