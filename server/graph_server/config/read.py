"""Configuration files as OVMS reads them."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph_server.config.schema import check_config, check_subconfig
from graph_server.errors import ConfigError
from graph_server.metrics.registry import MetricsConfig, metrics_config
from graph_server.models.model import ModelConfig
from graph_server.models.preparation import Preparation
from graph_server.models.versions import VersionPolicy, parse_policy

logger = logging.getLogger(__name__)

_REMOTE = ("s3://", "gs://", "az://", "azfs://")
_NOT_SERVED = {
    "pipeline_config_list": "pipelines of models are not served here: write a graph",
    "custom_loader_config_list": "custom loaders are not used here",
    "custom_node_library_config_list": "custom nodes are not used here",
}


@dataclass(frozen=True, slots=True)
class GraphConfig:
    """A graph as the configuration names it."""

    name: str
    graph_path: Path


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything that a configuration serves. ``metrics`` is ``None`` where it says nothing about them.

    ``files``: what was read, to notice changes. ``required``: a model or graph that cannot be loaded is fatal,
    as with ``--model_name``.
    """

    models: tuple[ModelConfig, ...]
    graphs: tuple[GraphConfig, ...]
    metrics: MetricsConfig | None = None
    files: tuple[Path, ...] = ()
    required: bool = False


def read_config(path: Path, models_dir: Path) -> ServerConfig:
    """Read ``config.json`` and the subconfigs beside its graphs; raises :class:`ConfigError`.

    Relative paths are relative to the file that names them. A model's folder that is not there is looked for
    in ``models_dir`` under its last component.
    """
    content = _read_json(path)
    check_config(content, path)
    for key, text in _NOT_SERVED.items():
        if content.get(key):
            logger.warning("%s: %s: %s", path, key, text)
    metrics = None
    if "monitoring" in content:
        monitored = content["monitoring"]["metrics"]
        metrics = metrics_config(monitored["enable"], monitored.get("metrics_list"))
    reader = _Reader(models_dir)
    reader.models(content["model_config_list"], path)
    for entry in content.get("mediapipe_config_list", ()):
        reader.graph(entry, path)
    return ServerConfig(tuple(reader.found_models.values()), tuple(reader.graphs()), metrics, (path, *reader.files))


def single_servable(name: str, path: Path, models_dir: Path, settings: Mapping[str, Any] | None = None) -> ServerConfig:
    """What ``--model_name`` and ``--model_path`` serve: a graph's folder, or a model's with its versions.

    ``settings``: a model's, under the keys of ``config.json``.
    """
    reader = _Reader(models_dir)
    graph = path if path.suffix == ".pbtxt" else path / "graph.pbtxt"
    if graph.is_file():
        for key in settings or ():
            logger.warning("--%s is for a model and %s is a graph: set it in the graph's subconfig.json", key, name)
        reader.graph({"name": name, "base_path": str(graph.parent.absolute()), "graph_path": graph.name}, path)
    elif path.is_dir():
        entry = {"name": name, "base_path": str(path.absolute()), **(settings or {})}
        where = Path("the command line")
        check_config({"model_config_list": [{"config": entry}]}, where)
        reader.models([{"config": entry}], where)
    else:
        raise ConfigError(f"{path} is neither a graph nor a model's folder of versions (--model_path)")
    return ServerConfig(
        tuple(reader.found_models.values()), tuple(reader.graphs()), files=tuple(reader.files), required=True
    )


class _Reader:
    """Collects models and graphs; of a name that comes twice the first counts, as in OVMS."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self.found_models: dict[str, ModelConfig] = {}
        self._graphs: dict[str, GraphConfig] = {}
        self.files: list[Path] = []

    def graphs(self) -> Iterable[GraphConfig]:
        """The graphs whose names are free."""
        for graph in self._graphs.values():
            if graph.name in self.found_models:
                logger.error("graph %s: a model has that name already", graph.name)
            else:
                yield graph

    def models(self, items: Iterable[Mapping[str, Any]], path: Path) -> None:
        """The entries of a ``model_config_list``; one with a graph in its folder is a graph."""
        for item in items:
            entry = item["config"]
            if "graph_path" in entry or (_base(entry, path) / "graph.pbtxt").is_file():
                self.graph(entry, path)
            elif entry["name"] in self.found_models:
                logger.warning("%s: %s comes twice; only the first is served", path, entry["name"])
            else:
                self.found_models[entry["name"]] = self._model(entry, path)

    def graph(self, entry: Mapping[str, Any], path: Path) -> None:
        """An entry of a ``mediapipe_config_list``, and the models of its subconfig."""
        name = entry["name"]
        if name in self._graphs:
            logger.warning("%s: %s comes twice; only the first is served", path, name)
            return
        base = _base(entry, path)
        graph = base / entry.get("graph_path", "graph.pbtxt")
        self._graphs[name] = GraphConfig(name, graph)
        subconfig = base / entry.get("subconfig", "subconfig.json")
        self.files += [graph, subconfig]
        if subconfig.is_file():
            content = _read_json(subconfig)
            check_subconfig(content, subconfig)
            self.models(content["model_config_list"], subconfig)

    def _model(self, entry: Mapping[str, Any], path: Path) -> ModelConfig:
        name = entry["name"]
        if "base_path" not in entry:
            raise ConfigError(f"{path}: {name}: base_path is missing")
        if entry["base_path"].startswith(_REMOTE):
            raise ConfigError(f"{path}: {name}: base_path {entry['base_path']}: only local folders are served here")
        if "custom_loader_options" in entry:
            raise ConfigError(f"{path}: {name}: custom_loader_options: custom loaders are not used here")
        base = _base(entry, path)
        if not base.is_dir():
            base = self._models_dir / base.name
        plugin = dict(entry.get("plugin_config", {}))
        if entry.get("allow_cache") is False:
            plugin.setdefault("CACHE_DIR", "")
        batch = entry.get("batch_size", "")
        if str(batch).lower() == "auto":
            raise ConfigError(f"{path}: {name}: batch_size auto is not served here: write -1 for any")
        return ModelConfig(
            name,
            base,
            plugin,
            parse_policy(entry["model_version_policy"]) if "model_version_policy" in entry else VersionPolicy(),
            Preparation(str(batch or ""), _per_tensor(entry.get("shape", {})), _per_tensor(entry.get("layout", {}))),
            entry.get("target_device", "CPU"),
            entry.get("nireq", 0),
        )


def _base(entry: Mapping[str, Any], path: Path) -> Path:
    return path.parent / str(entry.get("base_path", entry["name"]))


def _per_tensor(value: Any) -> dict[str, str]:
    return {"": value} if isinstance(value, str) and value else dict(value or {})


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror} (--config_path)") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
