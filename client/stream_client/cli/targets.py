"""Checks of the files that a command will write, before its work begins."""

from collections.abc import Iterable
from pathlib import Path

from stream_client.errors import ConfigurationError


def check_target(target: Path, inputs: Iterable[Path], option: str) -> None:
    """Raise :class:`.ConfigurationError` where ``target`` is an input, a folder, or in a folder that is not there."""
    if target.is_dir():
        raise ConfigurationError(f"cannot write {target}: it is a folder: name a file in it", option=option)
    if not target.parent.is_dir():
        raise ConfigurationError(f"cannot write {target}: make the folder {target.parent} first", option=option)
    if any(target.exists() and each.exists() and target.samefile(each) for each in inputs):
        raise ConfigurationError(f"{target} is an input as well: name another file", option=option)
