"""What ``config.json`` may contain, by OVMS's JSON schema (src/schema.cpp).

A subconfig is not checked: OVMS's schema for it lacks a brace and accepts everything.
"""

from collections.abc import Mapping
from typing import Any

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
        "group_name": _TEXT,
    },
    "name",
)
_MODELS = {"type": "array", "items": _object({"config": _MODEL}, "config")}
_GRAPH = _object(
    {"name": _TEXT, "base_path": _TEXT, "graph_path": _TEXT, "subconfig": _TEXT, "group_name": _TEXT}, "name"
)
_METRICS = _object({"enable": {"type": "boolean"}, "metrics_list": {"type": "array", "items": _TEXT}}, "enable")
_OBJECTS = {"type": "array", "items": {"type": "object"}}

CONFIG = _object(
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


def config_fault(content: Any) -> str | None:
    """The first place for which OVMS refuses the whole file, and the fault."""
    return _told(_fault(CONFIG, content, ""))


def entry_fault(entry: Mapping[str, Any], *required: str) -> str | None:
    """The faults in the values of a model's keys. Unknown keys are ignored."""
    return _told(_fault({**_MODEL, "required": required, "additionalProperties": True}, entry, ""))


def _told(fault: tuple[str, str] | None) -> str | None:
    if fault is None:
        return None
    place, text = fault
    return f"{place.lstrip('.') or 'it'} {text}"


_COMMAND_LINE = ", which OVMS takes from its command line and from subconfigs only"
_STATEFUL = ": OVMS has no stateful models any more (since 2026.3)"
_HINTS = {
    **dict.fromkeys(("mean", "scale", "color_format", "precision"), _COMMAND_LINE),
    **dict.fromkeys(
        ("stateful", "max_sequence_number", "idle_sequence_cleanup", "low_latency_transformation"), _STATEFUL
    ),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,),
    "number": (int, float),
}  # fmt: skip


def _fault(schema: dict[str, Any], value: Any, place: str) -> tuple[str, str] | None:
    """The first place that breaks ``schema``, and the fault. Knows only the keywords used above."""
    if "oneOf" in schema:
        faults = [_fault(option, value, place) for option in schema["oneOf"]]
        if faults.count(None) == 1:
            return None
        # Report the option that fits best: the one with the deepest fault.
        return max((fault for fault in faults if fault is not None), key=lambda fault: len(fault[0]))
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any(_is(value, kind) for kind in kinds):
        return place, f"has to be {' or '.join(kinds)}"
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        return place, f"has to be at least {schema['minimum']}"
    if isinstance(value, list):
        items = ((schema["items"], item, f"{place}[{index}]") for index, item in enumerate(value))
        return next((fault for item in items if (fault := _fault(*item)) is not None), None)
    if isinstance(value, dict):
        return _object_fault(schema, value, place)
    return None


def _is(value: Any, kind: str) -> bool:
    """In Python a bool is an int; in JSON it is not."""
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _object_fault(schema: dict[str, Any], value: dict[str, Any], place: str) -> tuple[str, str] | None:
    for name in schema.get("required", ()):
        if name not in value:
            return place, f"needs {name}"
    for name, item in value.items():
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
        if inner is False:
            return place, f"has no key {name!r}{_HINTS.get(name, '')}"
        if inner is not True and (fault := _fault(inner, item, f"{place}.{name}")) is not None:
            return fault
    return None
