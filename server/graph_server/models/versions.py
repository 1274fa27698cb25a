"""Versions of a model: NAME/VERSION/FILE, and the policy that chooses among them.

Sources: src/model_version_policy.cpp, src/modelinstance.cpp (which files count as a model).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graph_server.errors import ConfigError

_PATTERNS = ("*.xml", "*.onnx", "*.tflite")
_OTHERS = ("*.pdmodel", "*.pb", "*.bin")  # OVMS reads more; these are named when nothing else is there


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """``latest`` with how many, ``specific`` with which, or ``all``."""

    kind: Literal["all", "latest", "specific"] = "latest"
    count: int = 1
    versions: tuple[int, ...] = ()

    def choose(self, available: Sequence[int]) -> tuple[int, ...]:
        """The versions to serve, from the lowest."""
        ordered = sorted(available)
        if self.kind == "latest":
            return tuple(ordered[-self.count :])
        return tuple(version for version in ordered if self.kind == "all" or version in self.versions)


def parse_policy(value: Mapping[str, Any]) -> VersionPolicy:
    """The policy of a ``model_version_policy`` that the schema has let through."""
    if "all" in value:
        return VersionPolicy("all")
    if "specific" in value:
        return VersionPolicy("specific", versions=tuple(value["specific"]["versions"]))
    return VersionPolicy("latest", count=value["latest"]["num_versions"])


def find_versions(name: str, base_path: Path) -> dict[int, Path]:
    """The model file of every version that has one; raises :class:`ConfigError` where there is none."""
    try:
        folders = [
            path
            for path in (base_path.iterdir() if base_path.is_dir() else ())
            if path.is_dir() and path.name.isdecimal() and int(path.name) > 0
        ]
        files = {int(folder.name): found for folder in folders if (found := _model_file(folder))}
    except OSError as error:
        raise ConfigError(f"model {name}: cannot read {error.filename}: {error.strerror}") from error
    if files:
        return files
    others = sorted(path.name for folder in folders for pattern in _OTHERS for path in folder.glob(pattern))
    if others:
        raise ConfigError(f"model {name}: {base_path} holds {others[0]}; .xml, .onnx and .tflite are served here")
    if (model := _model_file(base_path)) is not None:
        raise ConfigError(f"model {name}: {model} lies in no version folder: it belongs into {base_path}/1")
    raise ConfigError(
        f"model {name}: no version folder with an .xml, .onnx or .tflite file in {base_path} "
        "(fetch the models with `python -m graph_server assets`)"
    )


def _model_file(folder: Path) -> Path | None:
    for pattern in _PATTERNS:
        files = sorted(folder.glob(pattern))
        if files:
            return files[0]
    return None
