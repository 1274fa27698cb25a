"""Versions of a model: NAME/VERSION/FILE, and the policy that chooses among them.

Sources: src/model_version_policy.cpp, src/modelmanager.cpp (readAvailableVersions), src/modelinstance.cpp
(fetchModelFilepaths), src/modelextensions.cpp.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graph_server.errors import LoadError

_FORMATS = ((".xml", ".bin"), (".onnx",), (".pdmodel", ".pdiparams"), (".pb",), (".tflite",))
"""The files of each format; the first one is read. Formats are in the order in which OVMS looks for them."""
_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """``latest`` with a count, ``specific`` with numbers, or ``all``."""

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
    """The policy for a ``model_version_policy`` that fits the schema."""
    if "all" in value:
        return VersionPolicy("all")
    if "specific" in value:
        return VersionPolicy("specific", versions=tuple(value["specific"]["versions"]))
    return VersionPolicy("latest", count=value["latest"]["num_versions"])


def available_versions(base_path: Path) -> tuple[int, ...]:
    """The versions with a folder in ``base_path``, whatever it contains. A single file is version 1.

    The number at the start of a folder's name is its version. Raises :class:`LoadError`.
    """
    if base_path.is_file():
        if base_path.suffix not in {suffix for suffixes in _FORMATS for suffix in suffixes} - {".bin"}:
            raise LoadError(f"{base_path} is no model: .xml, .onnx, .pdmodel, .pb and .tflite are", "FILE_INVALID")
        return (1,)
    try:
        names = [path.name for path in base_path.iterdir() if path.is_dir()]
    except OSError as error:
        raise LoadError(f"cannot read {base_path}: {error.strerror}", "PATH_INVALID") from error
    numbers = (int(found[0]) for name in names if (found := re.match(r"\s*[+-]?[0-9]+", name)))
    return tuple(sorted({number for number in numbers if 0 < number < 2**63}))


def model_file(base_path: Path, version: int) -> Path:
    """What OpenVINO reads for a version: a file, or a TensorFlow SavedModel's folder. Raises :class:`LoadError`."""
    if base_path.is_file():
        return _file(base_path.with_suffix(""), base_path)
    folder = base_path / str(version)
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.is_dir())
    except OSError as error:
        raise LoadError(f"{folder} is missing or cannot be read: {error.strerror}", "PATH_INVALID") from error
    for suffixes in _FORMATS:
        found = [next((name for name in names if name.endswith(suffix)), None) for suffix in suffixes]
        if found[0] is not None and None not in found:
            return folder if found[0].endswith(_SAVED_MODEL) else folder / found[0]
    raise LoadError(f"{folder} holds no model: .xml with .bin, .onnx, .pdmodel, .pb or .tflite", "FILE_INVALID")


def _file(stem: Path, given: Path) -> Path:
    """The same for one file, which may need another of the same name beside it."""
    suffixes = next(suffixes for suffixes in _FORMATS if given.suffix in suffixes)
    for suffix in suffixes:
        if not stem.with_suffix(suffix).is_file():
            raise LoadError(f"{given} needs {stem.name}{suffix} beside it", "FILE_INVALID")
    return given.parent if given.name == _SAVED_MODEL else stem.with_suffix(suffixes[0])
