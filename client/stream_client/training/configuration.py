"""Models in a server's configuration, in OVMS's format."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream_client.errors import ConfigurationError


def read_configuration(config: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of a configuration, and its models by name. Raises :class:`.ConfigurationError`."""
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
        entries = content.setdefault("model_config_list", [])
        return content, {entry["config"]["name"]: entry["config"] for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"cannot read {config}: {type(error).__name__}: {error}", option="serve") from error


def add_models(places: Mapping[str, Path], config: Path) -> list[str]:
    """Add the model directories ``places``, by the name that is served, to ``config``; returns these names.

    A name that is there gets the new directory. Raises :class:`.ConfigurationError`.
    """
    content, by_name = read_configuration(config)
    entries = content["model_config_list"]
    for name, folder in places.items():
        base_path = _base_path(folder.resolve(), config.resolve().parent)
        if name in by_name:
            by_name[name]["base_path"] = base_path
            # The model was evaluated in float32. Without this hint a server may compute in bfloat16.
            by_name[name].setdefault("plugin_config", {}).setdefault("INFERENCE_PRECISION_HINT", "f32")
        else:
            # With this hint a small model runs in the graph's workers and waits for no other thread.
            plugin_config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
            entries.append({"config": {"name": name, "base_path": base_path, "plugin_config": plugin_config}})
    scratch = config.with_name(config.name + ".part")
    try:
        scratch.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.replace(scratch, config)
    except OSError as error:
        raise ConfigurationError(f"cannot write {config}: {error.strerror}", option="serve") from error
    return list(places)


def _base_path(folder: Path, root: Path) -> str:
    """``folder`` relative to ``root`` if it is below ``root``, else the full path. OVMS refuses ``..`` in paths."""
    return str(folder.relative_to(root) if folder.is_relative_to(root) else folder)
