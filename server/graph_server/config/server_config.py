"""Configuration files as OVMS reads them.

Source: src/modelmanager.cpp (loadConfig, startFromConfig).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graph_server.config.collector import Collector, GraphConfig
from graph_server.config.entries import PREPROCESSING
from graph_server.config.findings import Finding
from graph_server.config.paths import Folder
from graph_server.config.schema import config_fault, entry_fault
from graph_server.errors import ConfigError
from graph_server.metrics.registry import MetricsConfig, metrics_config
from graph_server.models.config import ModelConfig

_NOT_SERVED = {
    "pipeline_config_list": "pipelines of models are served by OVMS, not by the graph server: write a graph",
    "custom_loader_config_list": "custom loaders are used by OVMS, not by the graph server",
    "custom_node_library_config_list": "custom nodes are used by OVMS, not by the graph server",
}


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything that a configuration serves. ``metrics`` is ``None`` where it says nothing about them.

    ``path``: its file, ``None`` with ``--model_name``. ``files``: what was read, to notice changes. ``required``: a
    model or graph that cannot be loaded is fatal, as with ``--model_name``. ``places``: the name of every entry, as in
    ``findings``. ``invalid``: the names of models with entries that are refused.
    """

    models: tuple[ModelConfig, ...]
    graphs: tuple[GraphConfig, ...]
    path: Path | None = None
    metrics: MetricsConfig | None = None
    files: tuple[Path, ...] = ()
    required: bool = False
    places: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    invalid: tuple[str, ...] = ()


def read_config(path: Path, mounts: Mapping[str, Path] | None = None) -> ServerConfig:
    """Read ``config.json`` and the subconfigs of its graphs.

    ``mounts``: see :class:`Folder`. Raises :class:`ConfigError` where OVMS refuses the whole file. ``findings`` has
    what it refuses in the file.
    """
    content = read_json(path)
    fault = config_fault(content)
    if fault is not None:
        raise ConfigError(f"{path}: {fault}")
    metrics = None
    if "monitoring" in content:
        monitored = content["monitoring"]["metrics"]
        metrics = metrics_config(monitored["enable"], monitored.get("metrics_list"))
    collector = Collector(Folder.of(path, mounts), read_json)
    for key, text in _NOT_SERVED.items():
        if content.get(key):
            collector.remark(f"{path}: {key}").add("note", text)
    for index, entry in enumerate(content.get("mediapipe_config_list", ())):
        collector.graph(entry, collector.remark(f"{path}: mediapipe_config_list[{index}] ({entry['name']})"))
    collector.models(content["model_config_list"], f"{path}: model_config_list", collector.folder)
    collector.subconfigs()
    return _config(collector, path=path, metrics=metrics, files=(path, *collector.files))


def only(config: ServerConfig, name: str) -> ServerConfig:
    """Of a configuration the graph ``name``, with the models that it opens, or the model; all of it without such a one.

    A graph's models are known when it opens them. So all models stay, and each is read at its first use.
    """
    if graphs := tuple(graph for graph in config.graphs if graph.name == name):
        return replace(config, graphs=graphs, models=tuple(replace(model, on_demand=True) for model in config.models))
    models = tuple(model for model in config.models if model.name == name)
    return replace(config, graphs=(), models=models) if models else config


def single_servable(name: str, path: Path, settings: Mapping[str, Any] | None = None) -> ServerConfig:
    """What ``--model_name`` and ``--model_path`` serve: a graph's folder, a model's with its versions, or one file.

    ``settings``: a model's, under the keys of ``config.json``. Raises :class:`ConfigError` for what OVMS refuses.
    """
    settings = settings or {}
    collector = Collector(Folder.of("--model_path"), read_json)
    remarks = collector.remark(f"{name} (--model_path {path})")
    entry = {"name": name, "base_path": str(path)}
    if collector.graph_among_models(entry, collector.folder, remarks):
        wrong = ", ".join(f"--{key}" for key in settings if key != "plugin_config")
        if wrong:
            raise ConfigError(f"{name} is a graph and takes no {wrong}: set that in the graph's subconfig.json")
        collector.subconfigs()
    else:
        fault = entry_fault({key: value for key, value in settings.items() if key not in PREPROCESSING})
        if fault is not None:
            raise ConfigError(f"the command line: {fault}")
        collector.model({**entry, **settings}, collector.folder, remarks)
        refused = next((finding for finding in remarks.found if finding.effect == "refused"), None)
        if refused is not None:
            raise ConfigError(f"{refused.place}: {refused.reason}")
    return _config(collector, files=tuple(collector.files), required=True)


def _config(collector: Collector, **more: Any) -> ServerConfig:
    for name in collector.found_graphs.keys() & collector.found_models.keys():
        collector.remark(f"graph {name}").add("refused", "a model has that name already", "", "MODEL_NAME_OCCUPIED")
    return ServerConfig(
        models=tuple(collector.found_models.values()),
        graphs=tuple(collector.found_graphs.values()),
        places=collector.places(),
        findings=collector.findings(),
        invalid=tuple(collector.invalid),
        **more,
    )


def read_json(path: Path) -> Any:
    """A file's content as OVMS's JSON library reads it; raises :class:`ConfigError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_first_of_each, parse_constant=_refuse)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", option="config_path") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """OVMS takes the first of two equal keys."""
    return dict(reversed(pairs))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")
