"""What may stand in ``config.json`` and ``subconfig.json``, as OVMS's JSON schema has it (src/schema.cpp)."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from graph_server.errors import ConfigError

_TEXT: dict[str, Any] = {"type": "string"}
_PER_TENSOR: dict[str, Any] = {"oneOf": [{"type": "object", "additionalProperties": _TEXT}, _TEXT]}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_VERSIONS = {"type": "array", "items": {"type": "integer", "minimum": 1}}
_POLICY = {
    "oneOf": [
        _object({"all": _object({})}, "all"),
        _object({"specific": _object({"versions": _VERSIONS}, "versions")}, "specific"),
        _object({"latest": _object({"num_versions": {"type": "integer", "minimum": 1}}, "num_versions")}, "latest"),
    ]
}
_MODEL = _object(
    {
        "name": _TEXT,
        "base_path": _TEXT,
        "batch_size": {"type": ["integer", "string"], "minimum": 0},
        "graph_path": _TEXT,
        "subconfig": _TEXT,
        "model_version_policy": _POLICY,
        "shape": _PER_TENSOR,
        "layout": _PER_TENSOR,
        "nireq": {"type": "integer", "minimum": 0},
        "target_device": _TEXT,
        "allow_cache": {"type": "boolean"},
        "plugin_config": {"type": "object", "additionalProperties": {"type": ["string", "boolean", "number"]}},
        "custom_loader_options": {"type": "object", "required": ["loader_name"]},
    },
    "name",
)
_MODELS = {"type": "array", "items": _object({"config": _MODEL}, "config")}
_GRAPH = _object({"name": _TEXT, "base_path": _TEXT, "graph_path": _TEXT, "subconfig": _TEXT}, "name")
_METRICS = _object({"enable": {"type": "boolean"}, "metrics_list": {"type": "array", "items": _TEXT}}, "enable")
_OBJECTS = {"type": "array", "items": {"type": "object"}}

_CONFIG = _object(
    {
        "model_config_list": _MODELS,
        "mediapipe_config_list": {"type": "array", "items": _GRAPH},
        "monitoring": _object({"metrics": _METRICS}, "metrics"),
        "custom_loader_config_list": _OBJECTS,
        "pipeline_config_list": _OBJECTS,
        "custom_node_library_config_list": _OBJECTS,
    },
    "model_config_list",
)
_SUBCONFIG = _object({"model_config_list": _MODELS}, "model_config_list")


def check_config(content: Any, path: Path) -> None:
    """Raise :class:`ConfigError` that names the place, for a ``config.json`` that OVMS would refuse."""
    _check(_validator("config"), content, path)


def check_subconfig(content: Any, path: Path) -> None:
    """The same for a ``subconfig.json``."""
    _check(_validator("subconfig"), content, path)


@cache
def _validator(which: str) -> Callable[..., Any]:
    made: Callable[..., Any] = fastjsonschema.compile(_CONFIG if which == "config" else _SUBCONFIG)
    return made


def _check(validate: Callable[..., Any], content: Any, path: Path) -> None:
    try:
        validate(content, name_prefix="")
    except fastjsonschema.JsonSchemaValueException as error:
        name = error.name or ""
        # The library's sentence begins with the place in a spelling of its own.
        text = error.message.removeprefix(name).strip()
        where = "".join(f"[{part}]" if isinstance(part, int) or part.isdigit() else f".{part}" for part in error.path)
        where = where.lstrip(".")
        raise ConfigError(f"{path}: {where or 'the file'} {text}") from error
