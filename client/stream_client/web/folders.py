"""The application's folder: uploads, results of streams, classifiers, the landmarks of clips that were shown."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stream_client.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders that are there."""

    uploads: Path
    results: Path
    classifiers: Path
    shown: Path


@contextmanager
def open_folders(data_dir: Path | None) -> Iterator[Folders]:
    """Folders below ``data_dir``, or below a temporary one, which is removed at the end.

    Results are always temporary: they belong to streams, which end with the application. Raises
    :class:`.ConfigurationError`.
    """
    with tempfile.TemporaryDirectory(prefix="stream-client-web-") as name:
        temporary = Path(name)
        base = data_dir or temporary
        try:
            folders = Folders(base / "uploads", temporary / "results", base / "classifiers", base / "shown")
            for folder in (folders.uploads, folders.results, folders.classifiers, folders.shown):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot use {base}: {error.strerror}", option="data_dir") from error
        yield folders
