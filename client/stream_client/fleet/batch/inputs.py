"""The videos of a batch: files, folders, patterns, lists, and addresses of object stores."""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from stream_client.errors import ConfigurationError, SourceError
from stream_client.util.extras import install_command
from stream_client.util.file_kinds import VIDEO
from stream_client.util.redact import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

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
        yield from _remote(name)
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
            if _is_video(each):
                yield os.path.abspath(os.path.join(root, each))


def _is_video(name: str) -> bool:
    return posixpath.splitext(name)[1].lower() in VIDEO


def _remote(url: str) -> Iterator[str]:
    if url.startswith(("http://", "https://")):  # these have neither folders nor patterns
        yield url
        return
    with _store_errors(url):
        system, path = _file_system(url)
        if has_magic(path):
            paths: Iterable[str] = [match for match in sorted(system.glob(path)) if _is_video(match)]
        elif system.isdir(path):
            paths = [match for match in sorted(system.find(path)) if _is_video(match)]
        else:
            paths = [path]
        for match in paths:
            yield system.unstrip_protocol(match)


def _file_system(url: str) -> "tuple[AbstractFileSystem, str]":
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{redact(url)} needs fsspec: {install_command('cloud')}", option="input") from error
    system, path = url_to_fs(url)
    return system, str(path)


def fetch(video: Video, folder: Path) -> Path:
    """A copy of a remote video in ``folder``. Raises :class:`.SourceError`."""
    copy = folder / f"source{posixpath.splitext(video.address.partition('?')[0])[1][:8]}"
    with _store_errors(video.address):
        system, path = _file_system(video.address)
        system.get_file(path, str(copy))
    return copy


class _store_errors:
    """Makes one line of whatever an object store raises: its libraries have exceptions of their own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, ConfigurationError) or not isinstance(error, Exception):
            return
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {redact(str(error))}"
        raise SourceError(f"{redact(self._url)} {reason}", option="input") from error


def checksum(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
