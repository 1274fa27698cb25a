"""Videos that have to be fetched: by http, and from object stores by fsspec."""

import posixpath
from collections.abc import Iterator
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from stream_client.errors import ConfigurationError, SourceError
from stream_client.util.extras import install_command
from stream_client.util.file_kinds import is_video
from stream_client.util.redact import redact

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CREDENTIALS = ": set the store's credentials; those of s3:// are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def in_store(url: str) -> Iterator[str]:
    """The addresses of the videos that ``url`` means: a video, a folder, or a pattern. Raises :class:`.SourceError`."""
    if url.startswith(("http://", "https://")):  # these have neither folders nor patterns
        yield url
        return
    with _StoreErrors(url):
        system, path = _file_system(url)
        if has_magic(path):
            paths = [match for match in sorted(system.glob(path)) if is_video(match)]
        elif system.isdir(path):
            paths = [match for match in sorted(system.find(path)) if is_video(match)]
        else:
            system.info(path)  # raises where it is missing
            paths = [path]
        for match in paths:
            yield system.unstrip_protocol(match)


def suffix_of(address: str) -> str:
    """The extension of a video's name; short, whatever the address."""
    return posixpath.splitext(address.partition("?")[0])[1][:8]


def fetch(address: str, folder: Path) -> Path:
    """A copy of a remote video in ``folder``. Raises :class:`.SourceError`."""
    copy = folder / f"source{suffix_of(address)}"
    with _StoreErrors(address):
        system, path = _file_system(address)
        system.get_file(path, str(copy))
    return copy


def _file_system(url: str) -> "tuple[AbstractFileSystem, str]":
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{redact(url)} needs fsspec: {install_command('cloud')}", option="input") from error
    system, path = url_to_fs(url)
    return system, str(path)


class _StoreErrors:
    """Makes one line of whatever an object store raises: its libraries have exceptions of their own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, ConfigurationError) or not isinstance(error, Exception):
            return
        if isinstance(error, FileNotFoundError):
            reason = "does not exist"
        else:
            reason = f"cannot be read: {redact(str(error)).rstrip('.')}{_CREDENTIALS if _is_refusal(error) else ''}"
        raise SourceError(f"{redact(self._url)} {reason}", option="input") from error


def _is_refusal(error: Exception) -> bool:
    """Whether credentials are missing or wrong. The stores' exceptions have only their names in common."""
    return isinstance(error, PermissionError) or any(
        word in type(error).__name__ for word in ("Credential", "Authentication")
    )
