"""An entry of ``model_config_list`` as OVMS reads it. OVMS refuses or ignores a broken value, or takes a default.

Source: src/modelconfig.cpp (parseNode), src/shape.cpp, src/layout_configuration.cpp, src/json_parser.cpp.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graph_server.config.findings import Effect, Finding
from graph_server.config.paths import Folder, is_escaped, is_remote
from graph_server.models.config import ModelConfig
from graph_server.models.preparation import Preparation, is_dimension, is_layout, is_shape, parse_preprocessing
from graph_server.models.versions import VersionPolicy, parse_policy

PREPROCESSING = ("mean", "scale", "color_format", "precision")
"""Keys that OVMS takes from its command line and from subconfigs; its schema refuses them in ``config.json``."""


@dataclass(slots=True)
class Remarks:
    """Collects findings about one place."""

    place: str
    found: list[Finding] = field(default_factory=list)

    def add(self, effect: Effect, reason: str, since: str = "", status: str = "") -> None:
        """Add a finding about this place."""
        self.found.append(Finding(self.place, effect, reason, since, status))


def model_config(entry: Mapping[str, Any], folder: Folder, remarks: Remarks) -> ModelConfig | None:
    """The model that OVMS makes from an entry. ``None`` where OVMS refuses the entry."""
    try:
        layouts = _layouts(entry.get("layout", {}))
        preprocessing = parse_preprocessing({key: entry[key] for key in PREPROCESSING if key in entry})
        plugin = _plugin_config(entry.get("plugin_config", {}))
    except ValueError as error:
        remarks.add("refused", str(error), status="MODEL_CONFIG_INVALID")
        return None
    shapes = dict(_shapes(entry.get("shape", {}), remarks))
    batch = _batch_size(entry.get("batch_size", ""), remarks)
    if batch and shapes:
        remarks.add("read otherwise", "batch_size is ignored, since shape is given as well")
        batch = ""
    if "auto" in (batch, *shapes.values()):
        remarks.add("note", "auto is deprecated: -1 leaves a dimension free", "2023.3")
    path = _base_path(entry, folder, remarks)
    return ModelConfig(
        entry["name"],
        folder.locate(path),
        plugin,
        parse_policy(entry["model_version_policy"]) if "model_version_policy" in entry else VersionPolicy(),
        Preparation(batch, shapes, layouts, **preprocessing),
        entry.get("target_device") or "CPU",
        entry.get("nireq", 0),
        cached=entry.get("allow_cache", "auto" not in (batch, *shapes.values())),
        unusable=_unusable(entry, path),
        group=entry.get("group_name", ""),
    )


def _base_path(entry: Mapping[str, Any], folder: Folder, remarks: Remarks) -> str:
    given = entry.get("base_path", "")
    path = folder.join(given)
    if not given:
        remarks.add("read otherwise", f"base_path is missing: the versions are looked for in {folder.text} itself")
    elif is_escaped(path):
        remarks.add("refused", f"base_path: {_escaped(path)}", "2021.2", "PATH_INVALID")
    elif is_remote(path):
        remarks.add("note", f"{path} is downloaded by OVMS; the graph server serves local folders only")
    return path


def _unusable(entry: Mapping[str, Any], path: str) -> str:
    if is_escaped(path):
        return _escaped(path)
    if is_remote(path):
        return f"{path} is remote, and only local folders are served here"
    if "custom_loader_options" in entry:
        return "custom loaders are not used here"
    return ""


def _escaped(path: str) -> str:
    return (
        f"path {path} escapes with .., which is forbidden: use a path below the configuration's folder, or a full one"
    )


def _batch_size(value: Any, remarks: Remarks) -> str:
    text = str(value).replace(" ", "")
    if text in ("", "0", "auto") or is_dimension(text):
        return "" if text == "0" else text
    remarks.add("read otherwise", f"batch_size {value!r} is no batch size and is ignored")
    return ""


def _shapes(value: Any, remarks: Remarks) -> Iterator[tuple[str, str]]:
    for name, text in _per_tensor(value).items():
        if text == "auto" or is_shape(text):
            yield name, text
        else:
            remarks.add("read otherwise", f"shape {text!r} is no shape such as (1,3,224:448,-1) and is ignored")


def _layouts(value: Any) -> dict[str, str]:
    layouts = _per_tensor(value)
    for text in layouts.values():
        if not is_layout(text):
            raise ValueError(f"layout {text!r} is no layout such as NHWC or NHWC:NCHW")
    return layouts


def _per_tensor(value: Any) -> dict[str, str]:
    return {"": value} if isinstance(value, str) and value else dict(value or {})


def _plugin_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of old OpenVINO under their new names; raises :class:`ValueError` for a value of another type."""
    for key, value in given.items():
        if not isinstance(value, str | bool | int | float) and key != "DEVICE_PROPERTIES":
            raise ValueError(f"plugin_config.{key} has to be a string, a boolean or a number")
    return dict(_renamed(key, value) for key, value in given.items())


def _renamed(key: str, value: Any) -> tuple[str, Any]:
    if key in ("CPU_THROUGHPUT_STREAMS", "GPU_THROUGHPUT_STREAMS"):
        automatic = value == key.replace("STREAMS", "AUTO")
        return ("PERFORMANCE_HINT", "THROUGHPUT") if automatic else ("NUM_STREAMS", str(value))
    return ("INFERENCE_NUM_THREADS" if key == "CPU_THREADS_NUM" else key), value
