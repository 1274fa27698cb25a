"""The versions of a model: numbered folders in its directory, as a server that runs looks for them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.util.wording import counted

_LEAST_FREE = 100 << 20
"""Bytes that have to be free in the model directory. A model and its report need a few MB."""


def versions(out: Path) -> list[int]:
    """The versions in a model directory, lowest first."""
    if not out.is_dir():
        return []
    return sorted(
        int(path.name) for path in out.iterdir() if path.name.isascii() and path.name.isdigit() and path.is_dir()
    )


def choose_version(out: Path, wanted: int | None = None) -> int:
    """The version to write: ``wanted``, or the one after the highest. Raises :class:`.ConfigurationError`.

    The directory is made, and it is known afterwards that it can be written and has free space.
    """
    there = versions(out)
    if wanted is not None and wanted < 1:
        raise ConfigurationError(f"a version is 1 or more, not {wanted}", option="version")
    if wanted in there:
        raise ConfigurationError(f"{out} has a version {wanted} already: delete its folder first", option="version")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".part-"):
            free = shutil.disk_usage(out).free
    except OSError as error:
        why = "it is a file" if out.is_file() else error.strerror
        raise ConfigurationError(f"cannot write {out}: {why}", option="out") from error
    if free < _LEAST_FREE:
        raise ConfigurationError(f"{out} has {free >> 20} MB free, and {_LEAST_FREE >> 20} MB are needed", option="out")
    return wanted or max(there, default=0) + 1


@contextmanager
def new_version(out: Path, version: int) -> Iterator[Path]:
    """A folder to write into, which becomes the version at the end: a server never reads half a model.

    Raises :class:`.ConfigurationError`.
    """
    try:
        with tempfile.TemporaryDirectory(dir=out, prefix=".part-") as scratch:
            folder = Path(scratch) / str(version)
            folder.mkdir()
            yield folder
            os.rename(folder, out / str(version))
    except OSError as error:
        raise ConfigurationError(f"cannot write {out}: {error.strerror}", option="out") from error


def keep_newest(out: Path, keep: int) -> list[int]:
    """Delete all but the ``keep`` highest versions. Returns the deleted ones; raises :class:`.ConfigurationError`."""
    if keep < 1:
        raise ConfigurationError(f"at least {counted(1, 'version')} is kept, not {keep}", option="keep")
    old = versions(out)[:-keep]
    try:
        for version in old:
            shutil.rmtree(out / str(version))
    except OSError as error:
        raise ConfigurationError(f"cannot delete {error.filename}: {error.strerror}", option="keep") from error
    return old
