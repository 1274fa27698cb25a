"""The paths of the project's files and of the user's cache."""

import os
from pathlib import Path

from graph_server.errors import ConfigError


def project_file(name: str) -> Path:
    """The path of ``graphs/…``, ``models/…`` or ``server_config/…``, installed or in a checkout.

    Raises :class:`ConfigError` if the file is missing.
    """
    here = Path(__file__).resolve().parent
    for root in (here / "data", here.parents[1]):
        if (root / name).exists():
            return root / name
    raise ConfigError(f"{name} is missing from this installation: install the package again")


def cache_folder() -> Path:
    """The user's cache for models and clips: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ovms-stream-client"
