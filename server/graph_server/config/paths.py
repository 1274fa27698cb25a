"""Paths of a configuration by OVMS's rules: OVMS joins them as text, and refuses ``..``.

Sources: src/filesystem/filesystem.hpp (setPath, setRootDirectoryPath, isPathEscaped, isLocalFilesystem).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_REMOTE = ("s3://", "gs://", "az://", "azfs://")


@dataclass(frozen=True, slots=True)
class Folder:
    """A base folder for relative paths. ``text`` is its path as written, with a slash at its end.

    ``mounts``: folders of this machine in place of others, like a container's volumes, by a path in this folder or a
    full path.
    """

    text: str
    mounts: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path | str, mounts: Mapping[str, Path] | None = None) -> "Folder":
        """The folder of a configuration file."""
        parent, slash, _ = str(file).rpartition("/")
        return cls(parent + slash if slash else f"{os.getcwd()}/", mounts or {})

    def join(self, given: str) -> str:
        """The path that OVMS makes from ``given``: appended as text, unless it is absolute or remote."""
        return join(self.text, given)

    def locate(self, path: str) -> Path:
        """The place of a joined path on this machine."""
        for name, target in self.mounts.items():
            start = self.join(name).rstrip("/")
            if path == start or path.startswith(f"{start}/"):
                return target / path[len(start) :].lstrip("/")
        return Path(path)


def join(base: str, given: str) -> str:
    """``given`` behind ``base`` as text, or alone where it is absolute or remote."""
    return given if given.startswith("/") or is_remote(given) else base + given


def is_remote(path: str) -> bool:
    """Whether a path is in an object store. OVMS downloads from there; this server does not."""
    return path.startswith(_REMOTE)


def is_escaped(path: str) -> bool:
    """Whether OVMS refuses the path because of ``..``. The rule looks at the text, not at files."""
    return any(
        path.startswith(f"..{slash}") or path.find(f"{slash}..") == len(path) - 3 >= 0 or f"{slash}..{slash}" in path
        for slash in ("/", "\\")
    )
