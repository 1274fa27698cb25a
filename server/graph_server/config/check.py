"""Finds what OVMS refuses in a configuration, or reads in another way than expected: in text, models and graphs.

It reads files only. Nothing is compiled or served.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from graph_server.calculators import REGISTRY
from graph_server.config.collector import GraphConfig
from graph_server.config.findings import Finding
from graph_server.config.server_config import read_config
from graph_server.errors import ConfigError, LoadError, UnsupportedError
from graph_server.graph.definition import parse_graph
from graph_server.graph.pool import mixing
from graph_server.models.config import ModelConfig
from graph_server.models.preparation import last_line
from graph_server.models.runtime import Runtime
from graph_server.models.versions import available_versions, model_file

_LEAVING = re.compile(r'\bcalculator\s*:\s*"((?:Holistic|Iris)\w*)"')
"""Subgraphs that OVMS drops with its demos."""


def check_config(path: Path, mounts: Mapping[str, Path] | None = None) -> dict[str, list[Finding]]:
    """The findings about each entry of a configuration, and about each model and graph that it names."""
    try:
        config = read_config(path.absolute(), mounts)
    except ConfigError as error:
        return {str(path): [Finding(str(path), "refused", f"the whole file: {error}")]}
    found: dict[str, list[Finding]] = {place: [] for place in config.places}
    for finding in config.findings:
        found[finding.place].append(finding)
    runtime = Runtime()
    for model in config.models:
        found[f"model {model.name} ({model.base_path})"] = list(_model(model, runtime))
    for graph in config.graphs:
        found[f"graph {graph.name} ({graph.graph_path})"] = list(_graph(graph))
    return found


def _model(config: ModelConfig, runtime: Runtime) -> Iterator[Finding]:
    place = f"model {config.name}"
    if config.unusable:
        return  # among the findings about its entry
    if not config.base_path.exists():
        yield Finding(place, "note", "there is nothing at base_path on this machine, so that no more is checked")
        return
    try:
        available = available_versions(config.base_path)
    except LoadError as error:
        yield Finding(place, "refused", str(error))
        return
    if config.base_path.is_file():
        yield Finding(place, "note", "older versions want a folder with version folders, not a file", "2026.3")
    chosen = config.policy.choose(available)
    if not chosen:
        reason = "no version to serve: a model's files lie in BASE_PATH/1, BASE_PATH/2 …"
        yield Finding(place, "read otherwise", reason)
    for version in chosen:
        try:
            _read(config, version, runtime)
        except ConfigError as error:
            yield Finding(place, "refused", f"version {version}: {error}")


def _read(config: ModelConfig, version: int, runtime: Runtime) -> None:
    path = model_file(config.base_path, version)
    try:
        model = runtime.read(path)
    except RuntimeError as error:
        raise LoadError(f"{path} cannot be read: {last_line(error)}", "INTERNAL_ERROR") from error
    config.preparation.apply(model, config.name, path.parent)


def _graph(graph: GraphConfig) -> Iterator[Finding]:
    place = f"graph {graph.name}"
    if not graph.graph_path.is_file():
        yield Finding(place, "note", "there is no such file on this machine, so that no more is checked")
        return
    try:
        text = graph.graph_path.read_text(encoding="utf-8")
        for name in dict.fromkeys(_LEAVING.findall(text)):
            yield Finding(place, "note", f"{name} leaves OVMS with the release after 2026.4 (its release notes)")
        definition = parse_graph(text, source=graph.graph_path.name, registry=REGISTRY)
        if mixed := mixing(definition, REGISTRY):
            yield Finding(place, "note", mixed, "2026.2")
    except UnsupportedError as error:
        yield Finding(place, "note", f"{error}, so that no more is checked")
    except (ConfigError, UnicodeDecodeError) as error:
        yield Finding(place, "refused", str(error))
    except OSError as error:
        yield Finding(place, "refused", f"it cannot be read: {error.strerror}")
