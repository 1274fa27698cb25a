"""The paths of the project's files and of the user's cache."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from graph_server.errors import ConfigError

_MOST_FILES = 65_536


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


def allow_open_files() -> None:
    """Let this process open as many files as the system allows it: each connection is one, and 1,024 are soon used."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _MOST_FILES) if most > 0 else _MOST_FILES, most))
