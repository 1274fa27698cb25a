"""The videos of a batch: files, folders, patterns, lists, and addresses of object stores."""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.fleet.batch.stores import in_store
from stream_client.util.file_kinds import is_video
from stream_client.util.redact import redact

_KEY_LETTERS = 60
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Video:
    """A video of the batch. ``address`` is an absolute path or a URL."""

    address: str

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return "://" in self.address

    @property
    def key(self) -> str:
        """The name of its results: that of the video, and eight digits of its address. No other video has it."""
        stem = posixpath.splitext(posixpath.basename(self.address))[0]
        plain = re.sub(r"[^\w.-]+", "_", stem)[:_KEY_LETTERS] or "video"
        return f"{plain}-{hashlib.sha256(self.address.encode()).hexdigest()[:8]}"


def find_videos(inputs: Sequence[str]) -> list[Video]:
    """Every video of ``inputs``, once, in order. ``@FILE`` is a list, one input a line.

    Folders are searched for the extensions of videos. A file that is named is taken whatever it is called.

    Raises :class:`.ConfigurationError` where an input is nothing, or nothing is found at all.
    """
    found = dict.fromkeys(address for each in inputs for address in _addresses(each))
    if not found:
        raise ConfigurationError(f"no video in {', '.join(map(redact, inputs))}", option="input")
    return [Video(address) for address in found]


def _addresses(name: str) -> Iterator[str]:
    if name.startswith("@"):
        try:
            lines = Path(name[1:]).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read the list {name[1:]}: {error}", option="input") from error
        for line in lines:
            if line.strip() and not line.startswith("#"):
                yield from _addresses(line.strip())
    elif "://" in name:
        yield from in_store(name)
    elif os.path.isdir(name):
        yield from _videos_in(name)
    elif os.path.exists(name):
        yield os.path.abspath(name)
    elif has_magic(name):
        matches = sorted(glob(name, recursive=True))
        if not matches:
            raise ConfigurationError(f"no file matches {name}", option="input")
        for match in matches:
            yield from _videos_in(match) if os.path.isdir(match) else (os.path.abspath(match),)
    else:
        raise ConfigurationError(f"{name} does not exist", option="input")


def _videos_in(folder: str) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders.sort()
        for each in sorted(files):
            if is_video(each):
                yield os.path.abspath(os.path.join(root, each))


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
