"""Configuration files as OVMS reads them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph_server.errors import ConfigError
from graph_server.models import ModelConfig


@dataclass(frozen=True, slots=True)
class GraphConfig:
    """A graph as the configuration names it."""

    name: str
    graph_path: Path


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything that a configuration serves."""

    models: tuple[ModelConfig, ...]
    graphs: tuple[GraphConfig, ...]
    metrics: bool = False


def read_config(path: Path, models_dir: Path) -> ServerConfig:
    """Read ``config.json`` and the subconfigs beside its graphs; raises :class:`ConfigError`.

    Relative paths are relative to the file that names them. A model's folder that is not there is looked for
    in ``models_dir`` under its last component.
    """
    content = _read_json(path)
    models: dict[str, ModelConfig] = {}
    graphs: dict[str, GraphConfig] = {}
    entries = list(_models(content, path))
    for entry in _list(content, "mediapipe_config_list", path, required=False):
        graph, subconfig = _graph(entry, path)
        graphs[graph.name] = graph
        if subconfig.is_file():
            entries += _models(_read_json(subconfig), subconfig)
    for entry, source in entries:
        if "graph_path" in entry:
            graph, _ = _graph(entry, source)
            graphs[graph.name] = graph
            continue
        model = _model(entry, source, models_dir)
        models[model.name] = model
    both = models.keys() & graphs.keys()
    if both:
        raise ConfigError(f"{path}: {', '.join(sorted(both))} names both a model and a graph")
    metrics = content.get("monitoring", {}).get("metrics", {}).get("enable", False)
    return ServerConfig(tuple(models.values()), tuple(graphs.values()), bool(metrics))


def single_servable(name: str, path: Path, models_dir: Path) -> ServerConfig:
    """What ``--model_name`` and ``--model_path`` serve: a graph's folder, or a model's with its versions."""
    if path.suffix == ".pbtxt" or (path / "graph.pbtxt").is_file():
        graph = path if path.suffix == ".pbtxt" else path / "graph.pbtxt"
        subconfig = graph.parent / "subconfig.json"
        models: tuple[ModelConfig, ...] = ()
        if subconfig.is_file():
            models = tuple(
                _model(entry, source, models_dir) for entry, source in _models(_read_json(subconfig), subconfig)
            )
        return ServerConfig(models, (GraphConfig(name, graph),))
    if not path.is_dir():
        raise ConfigError(f"{path} is neither a graph nor a model's folder (--model_path)")
    return ServerConfig((ModelConfig(name, path),), ())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror} (--config_path)") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: an object is expected, with model_config_list")
    return content


def _list(content: Mapping[str, Any], key: str, path: Path, *, required: bool) -> list[dict[str, Any]]:
    value = content.get(key, None if required else [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"{path}: {key} has to be a list of objects")
    return value


def _models(content: Mapping[str, Any], path: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    for item in _list(content, "model_config_list", path, required=True):
        entry = item.get("config")
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: each entry of model_config_list needs a config")
        yield entry, path


def _text(entry: Mapping[str, Any], key: str, path: Path) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{path}: {entry.get('name', 'an entry')}: {key} has to be a text")
    return value


def _graph(entry: Mapping[str, Any], path: Path) -> tuple[GraphConfig, Path]:
    name = _text(entry, "name", path)
    base = path.parent / entry.get("base_path", name)
    graph = base / entry.get("graph_path", "graph.pbtxt")
    return GraphConfig(name, graph), base / entry.get("subconfig", "subconfig.json")


def _model(entry: Mapping[str, Any], path: Path, models_dir: Path) -> ModelConfig:
    name = _text(entry, "name", path)
    base = path.parent / _text(entry, "base_path", path)
    if not base.is_dir():
        base = models_dir / base.name
    plugin = entry.get("plugin_config", {})
    if not isinstance(plugin, dict):
        raise ConfigError(f"{path}: {name}: plugin_config has to be an object")
    return ModelConfig(name, base, {str(key): str(value) for key, value in plugin.items()})
